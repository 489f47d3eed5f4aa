"""Draw the figures on the runs: win rates, rewards, win rate against KL and length, learning curves, training cost.

Reads the run table, the files that it names, the win-rate and the cost table, and the scored judged splits. Writes an
SVG file for each into the output folder, one of the agreement of judge and reward model against KL, and the win rates
also as a PNG.
"""

from functools import cache
from pathlib import Path

from pipeline.figures.agreement import agreement_figure
from pipeline.figures.drawing import save_figure
from pipeline.figures.winrates import write_figures
from pipeline.jobs.io import command_line, run
from pipeline.jobs.records import Record
from pipeline.results.agreement import find_agreement, with_kl
from pipeline.results.csv_tables import named_path
from pipeline.results.run_table import read_run_table, read_verdict_details
from pipeline.results.seed_table import seed_table
from pipeline.results.tables import read_table


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__.splitlines()[0])
    parser.add_argument("--runs", required=True, help="run table (YAML)")
    parser.add_argument("--winrate", required=True, help="win-rate table (CSV)")
    parser.add_argument("--cost", required=True, help="cost table (CSV)")
    parser.add_argument(
        "--pairs", type=named_path, nargs="*", default=[], metavar="DATASET=FILE", help="scored judged splits, parquet"
    )
    parser.add_argument("--output-dir", required=True, help="folder for the figures")
    arguments = parser.parse_args(argv)
    table = read_run_table(arguments.runs)
    pairs = dict(arguments.pairs)
    files = [*table.paths("metrics", "verdicts", "scores"), *pairs.values()]
    record = Record(__file__, arguments, ("runs", "winrate", "cost"), ("output_dir",), table.summary, files=files)
    read = cache(read_verdict_details)
    seeds = seed_table(table, read)
    write_figures(table, read_table(arguments.winrate), read_table(arguments.cost), arguments.output_dir, seeds)
    agreed = agreement_figure(table, [with_kl(row, seeds) for row in find_agreement(table, pairs, read)])
    save_figure(agreed, Path(arguments.output_dir) / f"{agreed.name}.svg")
    record.write()


if __name__ == "__main__":
    run(main)
