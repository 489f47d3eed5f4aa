"""Write what is made from the descriptions: the JSON Schemas in config/schemas and the tables of config/README.md.

    python scripts/write_reference.py            # after an edit of a description
    python scripts/write_reference.py --check    # says which files are stale, and fails if any is

It reads the descriptions (pipeline/config/schemas, and description.py of each method, source, reward format, judge kind
and backend) and writes no other file.
"""

from pathlib import Path

from pipeline.config.reference import COMMAND, reference, stale_files
from pipeline.jobs.io import InputError, command_line, run

ROOT = Path(__file__).resolve().parents[1]


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args(argv)
    stale = [str(path.relative_to(ROOT)) for path in stale_files()]
    if arguments.check and stale:
        raise InputError(f"stale: {', '.join(stale)}; run {COMMAND}")
    for path, text in reference().items():
        if not arguments.check:
            path.write_text(text, encoding="utf-8")
    print(f"{'up to date' if not stale else 'written anew: ' + ', '.join(stale)}")


if __name__ == "__main__":
    run(main)
