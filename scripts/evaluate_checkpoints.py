"""Let a policy's checkpoints answer prompts, and score the answers by the labelling reward model and by the judge.

Reads the spec (YAML: model entry, decoding, number of prompts), the judged split, the checkpoints that a training kept
with the policy itself, and the reference; writes one row per checkpoint and prompt (parquet, columns:
`pipeline.columns.checkpoint_scores`). Responses are plain samples, as KL is an expectation over these, with the
decoding's most tokens. Without --checkpoints the one checkpoint is the start of all policies, at step 0. A judge of
kind openai is not asked, since every checkpoint would be paid for.
"""

from pathlib import Path

from pipeline.columns.pairs import SPLIT_COLUMNS
from pipeline.jobs.io import command_line, read_json, read_parquet, read_yaml, run, write_parquet
from pipeline.jobs.records import Record
from pipeline.jobs.state import JobState
from pipeline.models.device_arguments import add_device_arguments


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--sampling", type=Path, required=True, help="spec of the responses, YAML")
    parser.add_argument("--data", type=Path, required=True, help="judged split, parquet")
    parser.add_argument("--model", required=True, help="policy, folder")
    parser.add_argument("--checkpoints", type=Path, help="checkpoints that its training kept: their JSON file")
    parser.add_argument("--reference-model", required=True, help="where policies start, folder or hub id")
    parser.add_argument("--seed", type=int, required=True, help="seed of the sampling")
    parser.add_argument("--label-spec", type=Path, required=True, help="spec of the labelling reward model, YAML")
    parser.add_argument("--label-model", required=True, help="labelling reward model, hub id or folder")
    parser.add_argument("--spec", type=Path, required=True, help="judge's spec, YAML")
    parser.add_argument("--reward-spec", type=Path, help="reward model spec, YAML, for a judge of kind reward")
    parser.add_argument("--reward-model", help="reward model, hub id or folder, for a judge of kind reward")
    parser.add_argument("--output", type=Path, required=True, help="parquet to write")
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)

    spec, label_entry = read_yaml(arguments.sampling), read_yaml(arguments.label_spec)
    frame = read_parquet(arguments.data, SPLIT_COLUMNS).head(spec["prompts"])

    from pipeline.generation.checkpoints import sample_checkpoints
    from pipeline.judges.checkpoints import score_checkpoints
    from pipeline.models.devices import device_from_arguments
    from pipeline.rewards.scorer import RewardModel
    from pipeline.training.kept import kept_folder

    device = device_from_arguments(arguments, spec["model"])
    inputs = ("sampling", "data", "model", "checkpoints", "reference_model", "label_spec", "label_model", "spec")
    named = [("model", label_entry)]
    record = Record(__file__, arguments, (*inputs, "reward_spec", "reward_model"), ("output",), spec, device, named)
    places = {0: arguments.reference_model}
    if arguments.checkpoints:
        folder = arguments.checkpoints.with_suffix("")
        *earlier, last = read_json(arguments.checkpoints)["steps"]
        places = {step: str(kept_folder(folder, step)) for step in earlier} | {last: arguments.model}
    with JobState(arguments.output, record.key) as state:
        if state.restored([arguments.output]):
            return
        start = arguments.reference_model
        table = sample_checkpoints(spec, frame, places, start, arguments.seed, device, state.folder)
        labels = RewardModel(arguments.label_model, label_entry, device)
        table = score_checkpoints(table, frame, labels, arguments, state.folder / "scores")
        write_parquet(table, arguments.output)
        record.write()
        state.finish([arguments.output])
    for step, rows in table.groupby("step"):
        print(f"step {step}: labelling reward model {rows['labelling_score'].mean():.4g}", flush=True)


if __name__ == "__main__":
    run(main, warm=True)
