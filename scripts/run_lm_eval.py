"""Run benchmarks of EleutherAI's lm-eval on a checkpoint.

Reads the spec (YAML: model entry, lm-eval's version, tasks) and the checkpoint; writes lm-eval's results of every task
(JSON), and the answers one by one (parquet, columns: `pipeline.columns.benchmark_samples`), by which two checkpoints
are compared question by question.
"""

from pathlib import Path

from pipeline.jobs.io import command_line, read_yaml, run, write_json, write_parquet
from pipeline.jobs.records import Record
from pipeline.jobs.state import JobState
from pipeline.models.device_arguments import add_device_arguments


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="spec of the benchmarks, YAML")
    parser.add_argument("--model", required=True, help="checkpoint, hub id or folder")
    parser.add_argument("--local-files", nargs="*", default=[], help="files of local tasks, which the results rest on")
    parser.add_argument("--output", type=Path, required=True, help="results to write, JSON")
    parser.add_argument("--samples", type=Path, required=True, help="answers to write, parquet")
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)
    spec = read_yaml(arguments.spec)

    from pipeline.generation.benchmarks import measure_tasks
    from pipeline.models.devices import device_from_arguments

    device = device_from_arguments(arguments, spec["model"])
    record = Record(__file__, arguments, ("spec", "model", "local_files"), ("output", "samples"), spec, device)
    with JobState(arguments.output, record.key) as state:
        if state.restored([arguments.output, arguments.samples]):
            return
        results, samples = measure_tasks(spec, arguments.model, device, state.folder)
        write_parquet(samples, arguments.samples)
        write_json(results, arguments.output)
        record.write()
        state.finish([arguments.output, arguments.samples])


if __name__ == "__main__":
    run(main, warm=True)
