"""Measure what the runs' gains are made of: the parts that judges give of their verdicts.

Reads the run table and the verdicts that it names; writes one CSV row per run, opponent, judge and part
(`pipeline.results.parts_table.parts_table`), and draws them.
"""

from pathlib import Path

from pipeline.figures.drawing import save_figure
from pipeline.figures.parts import parts_figure
from pipeline.jobs.io import command_line, run, write_csv
from pipeline.jobs.records import Record
from pipeline.metrics.bootstrap import add_bootstrap_arguments
from pipeline.results.parts_table import parts_table
from pipeline.results.run_table import read_run_table


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--runs", required=True, help="run table (YAML)")
    parser.add_argument("--output", required=True, help="table of parts to write (CSV)")
    parser.add_argument("--figure", type=Path, required=True, help="figure to write (SVG)")
    add_bootstrap_arguments(parser)
    arguments = parser.parse_args(argv)
    runs = read_run_table(arguments.runs)
    record = Record(__file__, arguments, ("runs",), ("output", "figure"), runs.summary, files=runs.paths("verdicts"))
    table = parts_table(runs, arguments.resamples, arguments.seed)
    save_figure(parts_figure(table), arguments.figure)
    write_csv(table, arguments.output)
    record.write()


if __name__ == "__main__":
    run(main)
