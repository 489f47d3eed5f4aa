"""Score a dataset's pairs with a reward model: chosen_score, rejected_score and the Bradley-Terry probability.

Adds chosen_score, rejected_score and bt_prob = sigmoid(chosen_score - rejected_score) (float64; higher is better, also
for cost models: safe-rlhf's by their config, others by --reverse or the spec) to a split of a dataset, or to all
splits. The dataset is a prepared folder, any local file or folder of parquet or JSON lines, a saved dataset, or a hub
id, of any shape or source that config/README.md knows. All other columns, all types and the order of the rows stay as
they are; rows without a pair (a tie, prompts that differ, …) have null for a score.

Instead of --dataset, --run_name and --tag name what `snakemake publish` calls {tag}-{run_name} on the hub: the pairs of
a dataset, taken from results/ where these are of that tag. A run's name stands for its responses in results/: each is
`chosen`, the dataset's own chosen response `rejected`. `--split default` is the split of a dataset that has one.

A killed job continues where it was, from a folder beside its outputs that is removed at the end. Under `accelerate
launch` each process scores a share and the first one writes; the result is the same.
"""

import argparse
from pathlib import Path

from pipeline.columns.pair_scores import SCORING_COLUMNS
from pipeline.columns.pairs import PAIR_COLUMNS
from pipeline.data.shapes import SYSTEM
from pipeline.data.splitting import dropped_rows
from pipeline.data.tally import MALFORMED, in_words
from pipeline.jobs.io import command_line, read_yaml, run, write_table
from pipeline.jobs.parts import part_names
from pipeline.jobs.records import Record, record_path
from pipeline.jobs.state import JobState
from pipeline.models.device_arguments import add_device_arguments
from pipeline.publishing.lookup import find_pairs
from pipeline.rewards.finite import check_finite
from pipeline.rewards.pair_tables import pairs_of, read_splits, refuse_columns, score_columns, with_scores

ROLES = (*PAIR_COLUMNS, SYSTEM)


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dataset", help="local file or folder, or hub id")
    source.add_argument("--run_name", help="dataset or run of the config with that --tag")
    parser.add_argument("--namespace", help="with --run_name: whose dataset on the hub; HF_TOKEN's user if left out")
    parser.add_argument("--config_name", help="configuration of the dataset on the hub")
    parser.add_argument("--revision", help="of the dataset on the hub")
    parser.add_argument(
        "--columns",
        nargs="+",
        type=named_column,
        metavar="ROLE=COLUMN",
        help="columns of other names: prompt=…, chosen=…, rejected=…, system=…",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--split", help="the split to score; default for a dataset's only one")
    which.add_argument("--process_all_splits", action="store_true", help="score every split")
    parser.add_argument("--score_model_id", required=True, help="reward model, hub id or folder")
    parser.add_argument("--spec", type=Path, help="reward model spec, YAML: reverse, text_format, …")
    parser.add_argument(
        "--reverse",
        action=argparse.BooleanOptionalAction,
        help="without --spec: lower is better in the checkpoint; by its config's score_type if left out",
    )
    parser.add_argument(
        "--text_format", choices=part_names("reward_formats"), help="without --spec: by its architecture if left out"
    )
    parser.add_argument("--suffix", help="end of the new columns' names, after an underscore: one per reward model")
    parser.add_argument("--tag", help="the config's, with --run_name; else a folder below --output to write to")
    parser.add_argument(
        "--per_device_evalreward_batch_size", type=int, help="texts side by side; the device's if left out"
    )
    parser.add_argument(
        "--output", type=Path, help="folder to write {split}.parquet to; scored/ and the dataset's name if left out"
    )
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.spec and (arguments.reverse is not None or arguments.text_format):
        parser.error("--reverse and --text_format stand in the file of --spec; give one or the other")
    if arguments.per_device_evalreward_batch_size is not None and arguments.per_device_evalreward_batch_size < 1:
        parser.error("--per_device_evalreward_batch_size must be at least 1")
    if arguments.run_name and not arguments.tag:
        parser.error("--run_name is a name in the config of a --tag; give that too")

    found, name, folder = arguments.dataset, arguments.dataset, arguments.output
    if arguments.run_name:
        found, name = find_pairs(arguments.run_name, arguments.tag, arguments.namespace), arguments.run_name
        arguments.dataset = found if isinstance(found, str) else None  # which the record then names
    folder = folder or Path("scored", Path(name).stem if Path(name).is_file() else Path(name).name)
    arguments.output = folder = folder / arguments.tag if arguments.tag else folder
    tables = read_splits(found, arguments.split, arguments.config_name, arguments.revision)
    pairs = {}
    for split, table in tables.items():
        location = f"{name}, split {split}"
        refuse_columns(table, location, score_columns(arguments.suffix))
        pairs[split], tally = pairs_of(table, location, dict(arguments.columns or []))
        if unscored := len(table) - len(pairs[split]):
            reasons = in_words(dropped_rows(tally), tally.of(MALFORMED))
            print(f"{split}: {unscored:,} rows have no pair, and null for a score: {reasons}", flush=True)

    from pipeline.models.devices import device_from_arguments
    from pipeline.rewards.scorer import RewardModel, score_pairs

    given = {"reverse": arguments.reverse, "text_format": arguments.text_format}
    entry = read_yaml(arguments.spec) if arguments.spec else given
    device = device_from_arguments(arguments)
    inputs = ("dataset", "score_model_id", "spec")
    record = Record(__file__, arguments, inputs, ("output",), entry, device, [("model", entry)])
    model = RewardModel(arguments.score_model_id, entry, device, arguments.per_device_evalreward_batch_size)
    with JobState(folder / "-".join(tables), "scores") as state:
        for split, table in tables.items():
            scored = score_pairs(pairs[split], model, state.folder, split)
            if scored is None:  # another process writes
                continue
            for column in SCORING_COLUMNS[:2]:
                check_finite(scored[column], f"{name}, split {split}: {column}")
            write_table(with_scores(table, scored, arguments.suffix), folder / f"{split}.parquet")
            record.write(record_path(folder / f"{split}.parquet"))
            higher = (scored.bt_prob > 0.5).mean()
            print(f"{split}: {len(scored)} pairs, the chosen response scores higher in {higher:.1%}")


def named_column(text: str) -> tuple[str, str]:
    """A role and its column, written with an equals sign."""
    role, _, column = text.partition("=")
    if role not in ROLES or not column:
        raise argparse.ArgumentTypeError(f"{text!r} must be one of {', '.join(ROLES)}, an equals sign and a column")
    return role, column


if __name__ == "__main__":
    run(main, warm=True)
