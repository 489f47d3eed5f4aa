"""Print the win rates of a run as a small table, and where the report is.

Reads the table that compute_winrate.py writes; `make run` ends with it.
"""

from pathlib import Path

from pipeline.jobs.io import command_line, run
from pipeline.results.small_table import small_table
from pipeline.results.tables import read_set_rates


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__.splitlines()[0])
    parser.add_argument("winrates", type=Path, help="win-rate table (CSV)")
    parser.add_argument("--report", type=Path, help="the report's page; told only where it is")
    arguments = parser.parse_args(argv)
    print(f"\nWin rates in per cent, with 95% intervals ({arguments.winrates}):\n")
    print(small_table(read_set_rates(arguments.winrates)))
    if arguments.report and arguments.report.is_file():
        print(f"\nThe report is {arguments.report}")


if __name__ == "__main__":
    run(main)
