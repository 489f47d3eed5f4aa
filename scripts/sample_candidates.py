"""Sample several responses to each prompt of a split from what policies start from, and score them.

Reads the spec (YAML: model entry, decoding, n, the reward model's name), the split, the model that policies start from,
and the reward model with its spec; writes the responses (parquet, columns: `pipeline.columns.candidates`), n to each
prompt_id of the split, or of a set of prompts of one turn.

A killed job continues where it was; sampled responses are kept while they are scored. Under `accelerate launch`
processes share prompts and texts; the first one writes, and the result is the same.
"""

from pathlib import Path

from pipeline.columns.candidates import PROMPT_COLUMNS
from pipeline.columns.prompts import FURTHER
from pipeline.jobs.io import InputError, command_line, read_parquet, read_yaml, run, write_parquet
from pipeline.jobs.records import Record, record_path
from pipeline.jobs.state import JobState
from pipeline.models.device_arguments import add_device_arguments


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="candidates spec, YAML")
    parser.add_argument("--data", type=Path, required=True, help="split, parquet")
    parser.add_argument("--model", required=True, help="where policies start, folder or hub id")
    parser.add_argument("--seed", type=int, required=True, help="seed of the sampling")
    parser.add_argument("--reward-spec", type=Path, required=True, help="reward model spec, YAML")
    parser.add_argument("--reward-model", required=True, help="reward model, hub id or folder")
    parser.add_argument("--output", type=Path, required=True, help="parquet to write")
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)

    spec, reward_entry = read_yaml(arguments.spec), read_yaml(arguments.reward_spec)
    frame = read_parquet(arguments.data)
    if FURTHER in frame and any(map(len, frame[FURTHER])):
        raise InputError(
            f"{arguments.data}: some of its prompts have several turns, each asked after the policy's own answer; a "
            "run that chooses among responses answers prompts of one turn, so leave this set or such runs (bon) out"
        )
    frame = read_parquet(arguments.data, PROMPT_COLUMNS).drop_duplicates("prompt_id", ignore_index=True)

    from pipeline.generation.candidates import kept_candidates, score_candidates
    from pipeline.models.devices import device_from_arguments
    from pipeline.rewards.scorer import RewardModel

    device = device_from_arguments(arguments, spec["model"])
    inputs = ("spec", "data", "model", "reward_spec", "reward_model")
    record = Record(__file__, arguments, inputs, ("output",), spec, device, [("model", reward_entry)])
    results = [arguments.output, record_path(arguments.output)]
    with JobState(arguments.output, record.key) as state:
        if state.restored(results):
            return
        sampled = kept_candidates(spec, frame, arguments.model, arguments.seed, device, state.folder)
        reward = RewardModel(arguments.reward_model, reward_entry, device)
        table = score_candidates(sampled, reward, state.folder / "scores", "candidates")
        if table is not None:
            write_parquet(table, arguments.output)
            record.write(results[1])
        state.finish(results)
    length, ended = sampled["response_tokens"].mean(), sampled["finished"].mean()
    asked = f"{spec['n']} responses to {len(frame)} prompts"
    print(f"{asked}, {length:.1f} tokens on average, {ended:.1%} ended by themselves")


if __name__ == "__main__":
    run(main, warm=True)
