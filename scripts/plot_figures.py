"""Draw the figures on the runs: win rates, rewards, win rate against KL and length, learning curves, training cost.

Reads the run table, the files that it names, the win-rate and the cost table; writes six SVG files into the output
folder, and the win rates also as a PNG.
"""

from pipeline.figures.winrates import write_figures
from pipeline.jobs.io import command_line, run
from pipeline.jobs.records import Record
from pipeline.results.run_table import read_run_table
from pipeline.results.tables import read_table


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__.splitlines()[0])
    parser.add_argument("--runs", required=True, help="run table (YAML)")
    parser.add_argument("--winrate", required=True, help="win-rate table (CSV)")
    parser.add_argument("--cost", required=True, help="cost table (CSV)")
    parser.add_argument("--output-dir", required=True, help="folder for the figures")
    arguments = parser.parse_args(argv)
    table = read_run_table(arguments.runs)
    files = table.paths("metrics")
    record = Record(__file__, arguments, ("runs", "winrate", "cost"), ("output_dir",), table.summary, files=files)
    write_figures(table, read_table(arguments.winrate), read_table(arguments.cost), arguments.output_dir)
    record.write()


if __name__ == "__main__":
    run(main)
