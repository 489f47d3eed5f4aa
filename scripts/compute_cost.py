"""Aggregate what each training took into the cost table.

Reads the run table and the cost files that it names; writes one CSV row per trained run. The columns are described in
`pipeline.results.tables.cost_table`.
"""

from pipeline.jobs.io import command_line, run, write_csv
from pipeline.jobs.records import Record
from pipeline.results.run_table import read_run_table
from pipeline.results.tables import cost_table


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__.splitlines()[0])
    parser.add_argument("--runs", required=True, help="run table (YAML)")
    parser.add_argument("--output", required=True, help="cost table to write (CSV)")
    arguments = parser.parse_args(argv)
    table = read_run_table(arguments.runs)
    record = Record(__file__, arguments, ("runs",), ("output",), table.summary, files=table.paths("cost"))
    write_csv(cost_table(table), arguments.output)
    record.write()


if __name__ == "__main__":
    run(main)
