"""Write the README's table of win rates and its picture from .github/winrate.csv, or make that of a run's tables first.

    python scripts/write_readme.py                 # after an edit of .github/winrate.csv
    python scripts/write_readme.py --winrate results/winrate.csv --cost results/cost.csv
    python scripts/write_readme.py --check         # says whether the README is stale, and fails if it is

Runs of the table that `--controls` names which the first table does not have are added and marked with a star.
"""

from pathlib import Path

from pipeline.jobs.io import InputError, command_line, run, write_csv, write_text
from pipeline.report.readme import draw, read_small, shrunk, with_table
from pipeline.results.tables import read_table

ROOT = Path(__file__).resolve().parents[1]
README, TABLE, PICTURE = ROOT / "README.md", ROOT / ".github" / "winrate.csv", ROOT / ".github" / "winrate.png"


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--winrate", help="win-rate table of a run (CSV)")
    parser.add_argument("--cost", help="its cost table (CSV)")
    parser.add_argument("--controls", help="win-rate table of the controls (CSV)")
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args(argv)
    if bool(arguments.winrate) != bool(arguments.cost):
        raise InputError("--winrate and --cost go together: the tables of one run")
    if arguments.winrate and not arguments.check:
        controls = read_table(arguments.controls) if arguments.controls else None
        write_csv(shrunk(read_table(arguments.winrate), read_table(arguments.cost), controls), TABLE)
    small = read_small(TABLE)
    before = README.read_text(encoding="utf-8")
    after = with_table(before, small)
    if arguments.check:
        if after != before:
            raise InputError(
                "README.md: its win rates are not those of .github/winrate.csv; run scripts/write_readme.py"
            )
        return
    write_text(after, README)
    draw(small, PICTURE)


if __name__ == "__main__":
    run(main)
