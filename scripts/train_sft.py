"""Fine-tune a policy on the chosen responses of a dataset, or on all, with TRL's SFTTrainer.

Reads the SFT spec (YAML), the train split and, for all responses, rows without a preference; writes model/,
metrics.parquet, cost.json and manifest.json into the output folder. A model entry with an architecture is made anew,
with a tokenizer trained on the rows.

Under `accelerate launch` processes share the global batch; the first one writes.
"""

from functools import partial
from pathlib import Path

import pandas as pd

from pipeline.columns.pairs import PAIR_COLUMNS
from pipeline.jobs.io import InputError, command_line, read_parquet, read_yaml, run
from pipeline.jobs.records import Record
from pipeline.models.device_arguments import add_device_arguments
from pipeline.tracking import OFF


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="SFT spec, YAML")
    parser.add_argument("--data", type=Path, required=True, help="train split, parquet")
    parser.add_argument("--unlabelled", type=Path, help="pairs without a preference, parquet")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the checkpoint and its records")
    parser.add_argument("--wandb", default=OFF, metavar="PROJECT", help=f"project of Weights & Biases, or {OFF}")
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)

    spec = read_yaml(arguments.spec)
    frame = read_parquet(arguments.data, PAIR_COLUMNS)
    if arguments.unlabelled:
        if spec["sft"]["responses"] != "all":
            raise InputError(f"{arguments.spec}: --unlabelled needs responses: all")
        frame = pd.concat([frame, read_parquet(arguments.unlabelled, PAIR_COLUMNS)], ignore_index=True)

    from pipeline.models.devices import device_from_arguments
    from pipeline.training.running import run_training
    from pipeline.training.sft import sft_trainer

    device = device_from_arguments(arguments, spec["model"])
    inputs = ("spec", "data", "unlabelled")
    record = Record(__file__, arguments, inputs, ("output_dir",), spec, device, [("model", spec["model"])])
    name = f"{spec['dataset']}/{spec['model']['name']}/sft"
    tracked = arguments.wandb, name, name, "train_sft", spec
    run_training("sft", partial(sft_trainer, spec, frame, device), record, arguments.output_dir, tracked)


if __name__ == "__main__":
    run(main, warm=True)
