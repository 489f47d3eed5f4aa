"""Prepare a preference dataset: train.parquet, selection.parquet, eval.parquet and card.json.

Reads the resolved dataset entry (YAML) and the source that it names: the embedded world, a local file or folder, or a
dataset of the Hugging Face Hub. The parquet files have the columns prompt_id, prompt, chosen and rejected; prompt,
chosen and rejected are text, or lists of messages {role, content} for dialogues.
"""

import argparse
from pathlib import Path

from pipeline.data.preparation import prepare, write
from pipeline.io import read_yaml, run


def main(argv: list[str] | None = None) -> None:
    """Prepare the dataset of --spec into --output-dir; nothing is written unless all of it is ready."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", type=Path, required=True, help="resolved dataset entry, YAML")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the splits and the card")
    arguments = parser.parse_args(argv)

    splits, card = prepare(read_yaml(arguments.spec))
    write(splits, card, arguments.output_dir)
    counts = ", ".join(f"{name} {count:,}" for name, count in card["splits"].items())
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in card["dropped"].items() if count)
    print(f"{card['dataset']}: {card['rows_in']:,} rows in, {counts}; dropped: {reasons or 'none'}")


if __name__ == "__main__":
    run(main)
