"""Prepare a preference dataset: train.parquet, selection.parquet, eval.parquet and card.json.

Reads the resolved dataset entry (YAML) and the source that it names: the embedded world, a local file or folder, or a
dataset of the Hugging Face Hub; of a mix, the prepared splits of its datasets. The parquet files have the columns
prompt_id, prompt, chosen and rejected; prompt, chosen and rejected are text, or lists of messages {role, content} for
dialogues. With label noise train has the columns flipped and label_prob too, and bt_prob where labels are drawn from
it. The splits of a mix have the column source, the name of the dataset that a row is from.

With --inspect nothing is prepared: it prints the shape that a dataset has, five pairs as they would be trained on, and
an entry for config/datasets.yaml.
"""

from pathlib import Path

from pipeline.data.inspection import inspect, report
from pipeline.data.mixing import mix
from pipeline.data.preparation import prepare
from pipeline.data.tally import CHANGED, MALFORMED, SHAPE, in_words
from pipeline.jobs.io import InputError, command_line, read_yaml, run
from pipeline.jobs.records import Record


def main(argv: list[str] | None = None) -> None:
    """Prepare the dataset of --spec into --output-dir; nothing is written unless all of it is ready."""
    parser = command_line(__doc__)
    parser.add_argument("--spec", type=Path, help="resolved dataset entry, YAML")
    parser.add_argument(
        "--parts", nargs="*", default=[], help="of a mix: folders of its datasets' prepared splits, in its order"
    )
    parser.add_argument("--output-dir", type=Path, help="folder for the splits and the card")
    parser.add_argument("--processes", type=int, help="that filter rows side by side; all CPUs if left out")
    parser.add_argument("--inspect", metavar="PATH_OR_ID", help="local file or folder, or hub id, to look at instead")
    parser.add_argument("--config-name", help="of the dataset on the hub, for --inspect")
    arguments = parser.parse_args(argv)
    if bool(arguments.inspect) == bool(arguments.spec and arguments.output_dir):
        parser.error("give --spec and --output-dir to prepare a dataset, or --inspect to look at one")
    if arguments.inspect:
        print(report(inspect(arguments.inspect, arguments.config_name)))
        return

    spec = read_yaml(arguments.spec)
    record = Record(__file__, arguments, ("spec", "parts"), ("output_dir",), spec, entries=[("dataset", spec)])
    names = [part["dataset"] for part in spec.get("mix", ())]
    if len(names) != len(arguments.parts):
        raise InputError(f"{arguments.spec}: --parts must be {len(names)} folders, of {', '.join(names) or 'no mix'}")
    if names:
        card = mix(spec, arguments.parts, arguments.output_dir)
    else:
        card = prepare(spec, arguments.output_dir, arguments.processes)
    record.write()
    counts = ", ".join(f"{name} {count:,}" for name, count in card["splits"].items())
    reasons = in_words(card["dropped"], card.get(MALFORMED))
    print(f"{card['dataset']}: {card['rows_in']:,} rows in, {counts}; dropped: {reasons}")
    for kind in (SHAPE, CHANGED):
        if kind in card:
            print(f"{kind}: {in_words(card[kind])}")


if __name__ == "__main__":
    run(main)
