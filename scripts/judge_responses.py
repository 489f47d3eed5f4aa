"""Judge a run's responses against a baseline: the dataset's chosen responses, or another run's.

Reads the judge's spec (YAML), the responses and the baseline's; writes the verdicts as parquet, one row per prompt,
with the columns `pipeline.judging.VERDICT_COLUMNS`.
"""

import argparse
from pathlib import Path

from pipeline.io import InputError, read_parquet, read_yaml, run, write_parquet
from pipeline.judging import gold_scores, judge_by_score, pair_responses
from pipeline.records import Record


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", type=Path, required=True, help="judge's spec, YAML")
    parser.add_argument("--responses", type=Path, required=True, help="the run's responses, parquet")
    parser.add_argument("--run", required=True, help="the run's name")
    parser.add_argument("--seed", type=int, required=True, help="the run's seed")
    parser.add_argument("--baseline", required=True, help="the baseline's name: chosen, or a run's")
    parser.add_argument(
        "--baseline-responses", type=Path, required=True, help="parquet of the baseline run, or the split"
    )
    parser.add_argument("--reward-spec", type=Path, help="reward model spec, YAML, for a judge of kind reward")
    parser.add_argument("--reward-model", help="reward model, hub id or folder, for a judge of kind reward")
    parser.add_argument("--device", default="auto", help="name of an entry of config/devices.yaml")
    parser.add_argument("--output", type=Path, required=True, help="verdicts to write, parquet")
    arguments = parser.parse_args(argv)

    judge = read_yaml(arguments.spec)
    inputs = ("spec", "responses", "baseline_responses", "reward_spec", "reward_model")
    record = Record(__file__, arguments, inputs, ("output",), judge)
    column = "chosen" if arguments.baseline == "chosen" else "response"
    responses = read_parquet(arguments.responses, ["prompt_id", "prompt", "response"])
    baseline = read_parquet(arguments.baseline_responses, ["prompt_id", column])
    table = pair_responses(responses, baseline.rename(columns={column: "baseline_response"}))
    if judge["kind"] == "gold":
        scorer, model = gold_scores, "gold"
    elif judge["kind"] == "reward":
        from pipeline.judging_reward import reward_scorer

        scorer = reward_scorer(arguments.reward_spec, arguments.reward_model, arguments.device)
        model = arguments.reward_model
    else:
        raise InputError(f"{arguments.spec}: no judge of kind {judge['kind']} can be run; there are gold and reward")
    verdicts = judge_by_score(table, scorer, judge["name"], model, arguments.run, arguments.seed, arguments.baseline)
    write_parquet(verdicts, arguments.output)
    record.write()
    print(f"{arguments.run} against {arguments.baseline}: win rate {100 * verdicts['preference'].mean():.1f}%")


if __name__ == "__main__":
    run(main)
