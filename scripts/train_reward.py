"""Train a Bradley-Terry reward model on a dataset's train pairs, with TRL's RewardTrainer.

Reads the reward model's spec (YAML), the train split and the SFT model that it starts from; writes model/ (in
safe-rlhf's score-model format), metrics.parquet, cost.json and manifest.json into the output folder.

Under `accelerate launch` processes share the global batch; the first one writes.
"""

from functools import partial
from pathlib import Path

from pipeline.columns.pairs import PAIR_COLUMNS
from pipeline.jobs.io import command_line, read_parquet, read_yaml, run
from pipeline.jobs.records import Record
from pipeline.models.devices import add_device_arguments, device_from_arguments
from pipeline.tracking import OFF


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="reward model spec, YAML")
    parser.add_argument("--data", type=Path, required=True, help="train split, parquet")
    parser.add_argument("--model", required=True, help="SFT model that it starts from, folder")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the checkpoint and its records")
    parser.add_argument("--wandb", default=OFF, metavar="PROJECT", help=f"project of Weights & Biases, or {OFF}")
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)

    spec = read_yaml(arguments.spec)
    frame = read_parquet(arguments.data, PAIR_COLUMNS)

    from pipeline.rewards.checkpoints import save_score_model
    from pipeline.training.reward import reward_trainer
    from pipeline.training.running import run_training

    device = device_from_arguments(arguments)
    record = Record(__file__, arguments, ("spec", "data", "model"), ("output_dir",), spec, device)
    trainer = partial(reward_trainer, spec, frame, arguments.model, device)
    tracked = arguments.wandb, f"{spec['name']}/reward", "reward models", "train_reward", spec
    save = partial(save_score_model, text_format=spec.get("text_format", "chat_template"))
    run_training("reward", trainer, record, arguments.output_dir, tracked, save)


if __name__ == "__main__":
    run(main)
