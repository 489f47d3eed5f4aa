"""Judge a run's responses against a baseline: the dataset's chosen responses, or another run's.

Reads the judge's spec (YAML), the responses and the baseline's; writes the verdicts as parquet, one row per prompt (and
order, where a judge of kind openai sees both), with the columns `pipeline.columns.verdicts.VERDICT_COLUMNS`.
"""

from pathlib import Path

from pipeline.columns.responses import RESPONSE_TEXTS
from pipeline.jobs.io import command_line, read_parquet, read_yaml, run, write_parquet
from pipeline.jobs.records import Record
from pipeline.judges.kinds import add_judge_arguments, judge_pairs


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    add_judge_arguments(parser)
    parser.add_argument("--responses", type=Path, required=True, help="the run's responses, parquet")
    parser.add_argument("--run", required=True, help="the run's name")
    parser.add_argument("--seed", type=int, required=True, help="the run's seed")
    parser.add_argument("--baseline", required=True, help="the baseline's name: chosen, or a run's")
    parser.add_argument(
        "--baseline-responses", type=Path, required=True, help="parquet of the baseline run, or the split"
    )
    parser.add_argument("--output", type=Path, required=True, help="verdicts to write, parquet")
    arguments = parser.parse_args(argv)

    from pipeline.judges.tables import pair_responses

    inputs = ("spec", "responses", "baseline_responses", "reward_spec", "reward_model", "service")
    record = Record(__file__, arguments, inputs, ("output", "store"), read_yaml(arguments.spec))
    column = "chosen" if arguments.baseline == "chosen" else "response"
    responses = read_parquet(arguments.responses, RESPONSE_TEXTS)
    baseline = read_parquet(arguments.baseline_responses, ["prompt_id", column])
    table = pair_responses(responses, baseline.rename(columns={column: "baseline_response"}))
    verdicts = judge_pairs(table, arguments, arguments.run, arguments.seed, arguments.baseline)
    write_parquet(verdicts, arguments.output)
    record.write()
    rate = verdicts["preference"].mean()
    told = f"win rate {100 * rate:.1f}%" if verdicts["preference"].notna().any() else "no verdict"
    print(f"{arguments.run} against {arguments.baseline}: {told}")


if __name__ == "__main__":
    run(main, warm=True, first=False)
