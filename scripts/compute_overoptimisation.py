"""Aggregate the scores of policies' checkpoints, and draw them against KL.

Reads the run table and the measured checkpoints that it names; writes one CSV row per run and checkpoint (columns:
`pipeline.results.overoptimisation.overoptimisation_table`) and an SVG.
"""

from pathlib import Path

from pipeline.figures.drawing import save_figure
from pipeline.figures.overoptimisation import overoptimisation_figure
from pipeline.jobs.io import command_line, run, write_csv
from pipeline.jobs.records import Record
from pipeline.metrics.bootstrap import add_bootstrap_arguments
from pipeline.results.overoptimisation import overoptimisation_table
from pipeline.results.run_table import read_run_table


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--runs", required=True, help="run table (YAML)")
    parser.add_argument("--output", required=True, help="table to write (CSV)")
    parser.add_argument("--figure", type=Path, required=True, help="figure to write (SVG)")
    add_bootstrap_arguments(parser)
    arguments = parser.parse_args(argv)
    table = read_run_table(arguments.runs)
    files = table.paths("checkpoints")
    record = Record(__file__, arguments, ("runs",), ("output", "figure"), table.summary, files=files)
    measured = overoptimisation_table(table, arguments.resamples, arguments.seed)
    write_csv(measured, arguments.output)
    save_figure(overoptimisation_figure(table, measured), arguments.figure)
    record.write()


if __name__ == "__main__":
    run(main)
