"""Score responses of policies with the reward model.

Reads the reward model's spec (YAML), tables of responses and the reward model; writes a table for each (parquet) with
the columns prompt_id and response_score (higher is better).

A killed job continues where it was, from a folder beside the first output that is removed at the end. Under `accelerate
launch` each process scores a share and the first one writes; the result is the same.
"""

from pathlib import Path

from pipeline.columns.response_scores import RESPONSE_SCORE_COLUMNS
from pipeline.columns.responses import RESPONSE_TEXTS
from pipeline.jobs.io import command_line, read_parquet, read_yaml, run, write_parquet
from pipeline.jobs.records import Record, record_path
from pipeline.jobs.state import JobState
from pipeline.models.device_arguments import add_device_arguments


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="reward model spec, YAML")
    parser.add_argument("--responses", type=Path, nargs="+", required=True, help="tables of responses, parquet")
    parser.add_argument("--reward-model", required=True, help="reward model, hub id or folder")
    parser.add_argument("--output", type=Path, nargs="+", required=True, help="parquet to write for each table")
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)

    if len(arguments.output) != len(arguments.responses):
        parser.error(f"{len(arguments.responses)} tables of responses, {len(arguments.output)} files to write")

    entry = read_yaml(arguments.spec)
    frames = [read_parquet(path, RESPONSE_TEXTS) for path in arguments.responses]

    from pipeline.models.devices import device_from_arguments
    from pipeline.models.templates import as_text
    from pipeline.rewards.finite import check_finite
    from pipeline.rewards.scorer import RewardModel

    device = device_from_arguments(arguments)
    inputs = ("spec", "responses", "reward_model")
    record = Record(__file__, arguments, inputs, ("output",), entry, device, [("model", entry)])
    model = RewardModel(arguments.reward_model, entry, device)
    with JobState(arguments.output[0], "scores") as state:
        for path, frame, output in zip(arguments.responses, frames, arguments.output, strict=True):
            prompts = [as_text(prompt) for prompt in frame["prompt"]]
            scores = model.score_once(prompts, frame["response"].tolist(), state.folder, str(path))
            if scores is not None:
                check_finite(scores, str(path))
                write_parquet(frame[["prompt_id"]].assign(response_score=scores)[RESPONSE_SCORE_COLUMNS], output)
        for output in arguments.output:
            record.write(record_path(output))


if __name__ == "__main__":
    run(main, warm=True)
