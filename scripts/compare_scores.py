"""Compare the reward-model scores of the runs' responses with those of the dataset's chosen and rejected responses.

Reads the run table, the scores and responses that it names and, per dataset, the scored split of the same prompts
(columns prompt_id, chosen_score, rejected_score); writes one CSV row per run. The columns are described in
`pipeline.results.score_comparison.comparison_table`.
"""

import argparse
from pathlib import Path

from pipeline.jobs.io import command_line, run, write_csv
from pipeline.jobs.records import Record
from pipeline.metrics.bootstrap import add_bootstrap_arguments
from pipeline.results.run_table import read_run_table
from pipeline.results.score_comparison import comparison_table


def named_path(text: str) -> tuple[str, Path]:
    """An argument NAME=FILE."""
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not DATASET=FILE")
    return name, Path(path)


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--runs", required=True, help="run table (YAML)")
    parser.add_argument(
        "--pairs", type=named_path, nargs="+", required=True, metavar="DATASET=FILE", help="scored splits, parquet"
    )
    parser.add_argument("--output", required=True, help="table to write (CSV)")
    add_bootstrap_arguments(parser)
    arguments = parser.parse_args(argv)
    table = read_run_table(arguments.runs)
    files = [*table.paths("scores", "responses"), *dict(arguments.pairs).values()]
    record = Record(__file__, arguments, ("runs",), ("output",), table.summary, files=files)
    write_csv(comparison_table(table, dict(arguments.pairs), arguments.resamples, arguments.seed), arguments.output)
    record.write()


if __name__ == "__main__":
    run(main)
