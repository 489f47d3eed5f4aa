"""Fine-tune a policy on the chosen responses of a dataset, with TRL's SFTTrainer.

Reads the SFT spec (YAML) and the train split; writes model/, metrics.parquet, cost.json and manifest.json into the
output folder. A model entry with an architecture is made anew, with a tokenizer trained on the split.

Under `accelerate launch` processes share the global batch; the first one writes.
"""

import argparse
import tempfile
from pathlib import Path

from pipeline.devices import add_device_arguments, device_from_arguments
from pipeline.io import read_parquet, read_yaml, run
from pipeline.provenance import write_provenance
from pipeline.tracking import OFF


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", type=Path, required=True, help="SFT spec, YAML")
    parser.add_argument("--data", type=Path, required=True, help="train split, parquet")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the checkpoint and its records")
    parser.add_argument("--wandb", default=OFF, metavar="PROJECT", help=f"project of Weights & Biases, or {OFF}")
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)

    spec = read_yaml(arguments.spec)
    frame = read_parquet(arguments.data, ["prompt", "chosen", "rejected"])

    from pipeline.processes import is_first_process
    from pipeline.training import train_and_save
    from pipeline.training_sft import sft_trainer
    from pipeline.training_tracking import track

    device = device_from_arguments(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = sft_trainer(spec, frame, device, scratch)
        name = f"{spec['dataset']}/{spec['model']['name']}/sft"
        track(trainer, arguments.wandb, name, name, "train_sft", spec)
        train_and_save(trainer, trainer.processing_class, arguments.output_dir, device)
    if is_first_process():
        write_provenance(arguments.output_dir / "provenance.json", spec, [arguments.spec, arguments.data], device)


if __name__ == "__main__":
    run(main)
