"""Judge a run's responses against a baseline: the dataset's chosen responses, or another run's.

Reads the judge's spec (YAML), the responses and the baseline's; writes the verdicts as parquet, one row per prompt (and
order, where a judge of kind openai sees both), with the columns `pipeline.columns.verdicts.VERDICT_COLUMNS`. With
--prompts the responses are to a set of prompts: the baseline may be the set's reference answers, or `check`, by which a
judge of kind check says of the run's responses alone whether they are right; each turn of a prompt has rows of its own,
in a column turn.
"""

from pathlib import Path

from pipeline.columns.prompts import CHECK, REFERENCE, SET_COLUMNS
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
    parser.add_argument(
        "--baseline", required=True, help="the baseline's name: chosen, or a run's; of a set reference or check"
    )
    parser.add_argument(
        "--baseline-responses", type=Path, required=True, help="parquet of the baseline run, or the split"
    )
    parser.add_argument("--prompts", type=Path, help="set of prompts that the responses are to, parquet")
    parser.add_argument("--output", type=Path, required=True, help="verdicts to write, parquet")
    arguments = parser.parse_args(argv)

    from pipeline.judges.tables import pair_responses
    from pipeline.judges.turns import named_turns, set_pairs, unnamed_turns

    inputs = ("spec", "responses", "baseline_responses", "prompts", "reward_spec", "reward_model", "service")
    record = Record(__file__, arguments, inputs, ("output", "store"), read_yaml(arguments.spec))
    names = arguments.run, arguments.seed, arguments.baseline
    responses = read_parquet(arguments.responses, RESPONSE_TEXTS)
    if arguments.prompts:
        of_a_run = arguments.baseline not in (REFERENCE, CHECK)
        baseline = read_parquet(arguments.baseline_responses, RESPONSE_TEXTS) if of_a_run else None
        prompts = read_parquet(arguments.prompts, SET_COLUMNS)
        table = named_turns(set_pairs(responses, baseline, prompts, arguments.baseline), prompts)
        verdicts = unnamed_turns(judge_pairs(table, arguments, *names), prompts)
    else:
        column = "chosen" if arguments.baseline == "chosen" else "response"
        baseline = read_parquet(arguments.baseline_responses, ["prompt_id", column])
        table = pair_responses(responses, baseline.rename(columns={column: "baseline_response"}))
        verdicts = judge_pairs(table, arguments, *names)
    write_parquet(verdicts, arguments.output)
    record.write()
    rate = verdicts["preference"].mean()
    told = f"win rate {100 * rate:.1f}%" if verdicts["preference"].notna().any() else "no verdict"
    print(f"{arguments.run} against {arguments.baseline}: {told}")


if __name__ == "__main__":
    run(main, warm=True, first=False)
