"""Write the README's tables and its picture of .github/winrate.csv and methods.csv, or one of these from a run's first.

    python scripts/write_readme.py                 # after an edit of .github/winrate.csv or methods.csv
    python scripts/write_readme.py --winrate results/winrate.csv --cost results/cost.csv
    python scripts/write_readme.py --winrate results/winrate.csv --cost results/cost.csv --table methods
    python scripts/write_readme.py --check         # says whether the README is stale, and fails if it is

The picture is that of .github/winrate.csv. Runs of the table that `--controls` names which the first table does not
have are added and marked with a star.
"""

from pathlib import Path

from pipeline.jobs.io import InputError, command_line, run, write_csv, write_text
from pipeline.report.readme import TABLES, draw, read_small, shrunk, with_table
from pipeline.results.tables import read_table

ROOT = Path(__file__).resolve().parents[1]
README, FOLDER = ROOT / "README.md", ROOT / ".github"


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--winrate", help="win-rate table of a run (CSV)")
    parser.add_argument("--cost", help="its cost table (CSV)")
    parser.add_argument("--table", choices=TABLES, default="winrate", help="which table of the README is theirs")
    parser.add_argument("--controls", help="win-rate table of the controls (CSV)")
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args(argv)
    if bool(arguments.winrate) != bool(arguments.cost):
        raise InputError("--winrate and --cost go together: the tables of one run")
    if arguments.winrate and not arguments.check:
        controls = read_table(arguments.controls) if arguments.controls else None
        small = shrunk(read_table(arguments.winrate), read_table(arguments.cost), controls)
        write_csv(small, FOLDER / f"{arguments.table}.csv")
    before = after = README.read_text(encoding="utf-8")
    tables = {name: read_small(FOLDER / f"{name}.csv") for name in TABLES}
    for name, table in tables.items():
        after = with_table(after, table, name)
    if arguments.check:
        if after != before:
            raise InputError("README.md: its numbers are not those of .github; run scripts/write_readme.py")
        return
    write_text(after, README)
    draw(tables["winrate"], FOLDER / "winrate.png")


if __name__ == "__main__":
    run(main)
