"""Prepare a set of prompts that runs answer besides their dataset's own: a parquet file and a card (JSON).

Reads the resolved entry (YAML) and the source that it names: a local file or folder, or a dataset of the Hugging Face
Hub, or one file of it. The parquet file has the columns of `pipeline.columns.prompts`, a row a prompt.
"""

from pathlib import Path

from pipeline.data.prompt_sets import prepare_prompts, set_table
from pipeline.jobs.io import command_line, read_yaml, run, write_json, write_table
from pipeline.jobs.records import Record


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="resolved entry of the set, YAML")
    parser.add_argument("--output", type=Path, required=True, help="set to write, parquet")
    parser.add_argument("--card", type=Path, required=True, help="card to write, JSON")
    arguments = parser.parse_args(argv)

    spec = read_yaml(arguments.spec)
    record = Record(__file__, arguments, ("spec",), ("output", "card"), spec, entries=[("dataset", spec)])
    frame, card = prepare_prompts(spec)
    write_table(set_table(frame), arguments.output)
    write_json(card, arguments.card)
    record.write()
    turns = ", ".join(
        f"{count} of {number} turn{'s' if number != '1' else ''}" for number, count in card["turns"].items()
    )
    print(f"{card['set']}: {card['prompts']:,} prompts ({turns}), {card['references']:,} with reference answers")


if __name__ == "__main__":
    run(main)
