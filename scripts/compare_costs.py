"""Compare the runs' win rates with what they cost: device time, steps, tokens, dollars, and the Pareto front.

Reads the run table, the verdicts and costs that it names with their records, and the win-rate table; writes one CSV row
per run (`pipeline.results.winrate_vs_cost.winrate_vs_cost`), and draws them.
"""

from pathlib import Path

from pipeline.figures.drawing import save_figure
from pipeline.figures.winrate_vs_cost import whole_figure
from pipeline.jobs.io import command_line, run, write_csv
from pipeline.jobs.records import Record
from pipeline.metrics.bootstrap import add_bootstrap_arguments
from pipeline.results.run_table import read_run_table
from pipeline.results.tables import read_table
from pipeline.results.winrate_vs_cost import winrate_vs_cost


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__.splitlines()[0])
    parser.add_argument("--runs", required=True, help="run table (YAML)")
    parser.add_argument("--winrate", required=True, help="win-rate table (CSV)")
    parser.add_argument("--dollars-per-hour", type=float, help="what an hour of a job costs")
    parser.add_argument("--output", required=True, help="table to write (CSV)")
    parser.add_argument("--figure", type=Path, required=True, help="figure to write (SVG)")
    add_bootstrap_arguments(parser)
    arguments = parser.parse_args(argv)
    runs = read_run_table(arguments.runs)
    files = runs.paths("verdicts", "cost")
    record = Record(__file__, arguments, ("runs", "winrate"), ("output", "figure"), runs.summary, files=files)
    given = read_table(arguments.winrate), arguments.dollars_per_hour, arguments.resamples, arguments.seed
    table = winrate_vs_cost(runs, *given)
    save_figure(whole_figure(runs, table), arguments.figure)
    write_csv(table, arguments.output)
    record.write()


if __name__ == "__main__":
    run(main)
