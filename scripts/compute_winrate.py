"""Aggregate the verdicts, scores and log-probabilities of all runs into the win-rate table.

Reads the run table and the files that it names; writes one CSV row per (dataset, model, run, baseline). The columns and
how they are computed are described in `pipeline.tables.winrate_table` and `pipeline.statistics`.
"""

import argparse

from pipeline.io import run, write_csv
from pipeline.run_table import read_run_table
from pipeline.statistics import RESAMPLES
from pipeline.tables import winrate_table


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", required=True, help="run table (YAML)")
    parser.add_argument("--output", required=True, help="win-rate table to write (CSV)")
    parser.add_argument("--resamples", type=int, default=RESAMPLES, help="bootstrap resamples (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the bootstrap (default %(default)s)")
    arguments = parser.parse_args(argv)
    if arguments.resamples < 1:
        parser.error("--resamples must be at least 1")
    table = read_run_table(arguments.runs)
    write_csv(winrate_table(table, arguments.resamples, arguments.seed), arguments.output)


if __name__ == "__main__":
    run(main)
