"""Measure which prompts of sets have runs of words in common with a dataset's train prompts.

Reads the splits that are trained on and prepared sets (parquet); writes for each set how many of its prompts, of those
that are long enough, share eight words in a row with a train prompt (JSON).
"""

from pathlib import Path

from pipeline.data.set_contamination import set_contamination
from pipeline.jobs.io import command_line, run, write_json
from pipeline.jobs.records import Record
from pipeline.results.csv_tables import named_path


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="splits that are trained on, parquet")
    parser.add_argument(
        "--sets", type=named_path, nargs="+", required=True, metavar="SET=FILE", help="prepared sets, parquet"
    )
    parser.add_argument("--output", type=Path, required=True, help="what was found, JSON")
    arguments = parser.parse_args(argv)

    sets = dict(arguments.sets)
    record = Record(__file__, arguments, ("train",), ("output",), {"sets": list(sets)}, files=list(sets.values()))
    found = {name: set_contamination(path, arguments.train) for name, path in sets.items()}
    write_json(found, arguments.output)
    record.write()
    for name, counts in found.items():
        print(
            f"{name}: {counts['shared']} of {counts['eval_prompts']} prompts share {counts['words']} words with train"
        )


if __name__ == "__main__":
    run(main)
