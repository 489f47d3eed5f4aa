"""Score a dataset's pairs with a reward model: chosen_score, rejected_score and the Bradley-Terry probability.

Adds chosen_score, rejected_score and bt_prob = sigmoid(chosen_score - rejected_score) (float64) to a split, or to all
splits, of a folder of parquet files. All other columns and the order of the rows stay as they are.

A killed job continues where it was, from a folder beside its outputs that is removed at the end. Under `accelerate
launch` each process scores a share and the first one writes; the result is the same.
"""

import argparse
from pathlib import Path

from pipeline.devices import add_device_arguments, device_from_arguments
from pipeline.io import InputError, read_parquet, read_yaml, run, write_parquet


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True, help="folder with one parquet file per split")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--split", help="the split to score")
    which.add_argument("--process_all_splits", action="store_true", help="score every split")
    parser.add_argument("--score_model_id", required=True, help="reward model, hub id or folder")
    parser.add_argument("--spec", type=Path, help="reward model spec, YAML: reverse, text_format, …")
    parser.add_argument("--tag", help="folder below --output to write to")
    parser.add_argument(
        "--per_device_evalreward_batch_size", type=int, help="texts side by side; the device's if left out"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder to write {split}.parquet to")
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)

    splits = {path.stem: path for path in sorted(arguments.dataset.glob("*.parquet"))}
    if arguments.split and arguments.split not in splits:
        raise InputError(f"{arguments.dataset}: no split {arguments.split!r}; there are {', '.join(splits) or 'none'}")
    if arguments.split:
        splits = {arguments.split: splits[arguments.split]}
    columns = ["prompt", "chosen", "rejected"]
    for path in splits.values():
        read_parquet(path, columns, allow_empty=True)

    from pipeline.rewards import RewardModel, score_pairs
    from pipeline.scoring import Shards

    entry = read_yaml(arguments.spec) if arguments.spec else {}
    size = arguments.per_device_evalreward_batch_size
    model = RewardModel(arguments.score_model_id, entry, device_from_arguments(arguments), size)
    folder = arguments.output / arguments.tag if arguments.tag else arguments.output
    with Shards(folder / "-".join(splits)) as shards:
        for split, path in splits.items():
            scored = score_pairs(read_parquet(path, allow_empty=True), model, shards, split)
            if scored is None:  # another process writes
                continue
            write_parquet(scored, folder / f"{split}.parquet")
            higher = (scored.bt_prob > 0.5).mean()
            print(f"{split}: {len(scored)} pairs, the chosen response scores higher in {higher:.1%}")


if __name__ == "__main__":
    run(main)
