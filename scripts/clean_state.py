"""Remove what killed jobs would go on from, and what they left half-written; jobs that run are left alone.

Nothing that is finished is touched. The next run begins again where it could have continued.
"""

from pathlib import Path

from pipeline.jobs.io import command_line, remove_abandoned, run
from pipeline.jobs.state import STATE, all_states, remove_states


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of the results")
    arguments = parser.parse_args(argv)

    states = all_states(arguments.results)
    removed = remove_states(states)
    folders = [path for path in (arguments.results, *arguments.results.rglob("*")) if path.is_dir()]
    left = sum(remove_abandoned(folder, ".") for folder in folders if STATE not in folder.parts)
    print(f"removed {removed} of {len(states)} states, others are in use; {left} files and folders left half-written")


if __name__ == "__main__":
    run(main)
