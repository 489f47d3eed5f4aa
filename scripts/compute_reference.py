"""Compute the reference log-probabilities of a dataset's pairs, once per SFT model and split.

Reads the reference spec (YAML), the SFT model and a split; writes parquet with the columns row (position in the split),
prompt_id, ref_chosen_logps and ref_rejected_logps (nats, summed over the response's tokens). Pairs whose prompt alone
fills max_length have no row.

Under `accelerate launch` processes share the batches; the first one writes, and the result is the same.
"""

from pathlib import Path

from pipeline.columns.pairs import SPLIT_COLUMNS
from pipeline.jobs.io import command_line, read_parquet, read_yaml, run, write_parquet
from pipeline.jobs.records import Record, record_path
from pipeline.jobs.state import JobState
from pipeline.models.device_arguments import add_device_arguments


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="reference spec, YAML")
    parser.add_argument("--data", type=Path, required=True, help="split, parquet")
    parser.add_argument("--model", required=True, help="SFT model, folder")
    parser.add_argument("--output", type=Path, required=True, help="parquet to write")
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)

    spec = read_yaml(arguments.spec)
    frame = read_parquet(arguments.data, SPLIT_COLUMNS)

    from pipeline.jobs.processes import is_first_process
    from pipeline.models.devices import device_from_arguments
    from pipeline.training.reference import reference_logps

    device = device_from_arguments(arguments, spec["model"])
    record = Record(__file__, arguments, ("spec", "data", "model"), ("output",), spec, device)
    results = [arguments.output, record_path(arguments.output)]
    with JobState(arguments.output, record.key) as state:
        if state.restored(results):
            return
        result = reference_logps(spec, frame, arguments.model, device, str(state.folder))
        if is_first_process():
            write_parquet(result, arguments.output)
            record.write()
        state.finish(results)


if __name__ == "__main__":
    run(main, warm=True)
