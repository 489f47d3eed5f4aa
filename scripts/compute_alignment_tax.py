"""Compare runs' scores in benchmarks with those of what they start from and of the baseline run.

Reads the run table and the measured benchmarks that it names; writes one CSV row per run, task and metric (columns:
`pipeline.results.alignment_tax.alignment_tax_table`).
"""

from pathlib import Path

from pipeline.jobs.io import command_line, run, write_csv
from pipeline.jobs.records import Record
from pipeline.metrics.bootstrap import add_bootstrap_arguments
from pipeline.results.alignment_tax import alignment_tax_table
from pipeline.results.run_table import read_run_table


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--runs", required=True, help="run table (YAML)")
    parser.add_argument("--output", required=True, help="table to write (CSV)")
    add_bootstrap_arguments(parser)
    arguments = parser.parse_args(argv)
    table = read_run_table(arguments.runs)
    results = table.paths("lm_eval", "lm_eval_start")
    files = [*results, *(Path(path).with_suffix(".parquet") for path in results)]
    record = Record(__file__, arguments, ("runs",), ("output",), table.summary, files=files)
    write_csv(alignment_tax_table(table, arguments.resamples, arguments.seed), arguments.output)
    record.write()


if __name__ == "__main__":
    run(main)
