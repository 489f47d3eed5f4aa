"""Train a Bradley-Terry reward model on a dataset's train pairs, with TRL's RewardTrainer.

Reads the reward model's spec (YAML), the train split and the model that it starts from; writes model/, metrics.parquet,
cost.json and manifest.json into the output folder. The model is an adapter with its head, or in safe-rlhf's score-model
format (Llama and Qwen2), or a sequence classifier (other architectures).

Under `accelerate launch` processes share the global batch; the first one writes.
"""

from functools import partial
from pathlib import Path

from pipeline.columns.pairs import PAIR_COLUMNS
from pipeline.jobs.io import command_line, read_parquet, read_yaml, run
from pipeline.jobs.records import Record
from pipeline.models.device_arguments import add_device_arguments
from pipeline.tracking import OFF


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="reward model spec, YAML")
    parser.add_argument("--data", type=Path, required=True, help="train split, parquet")
    parser.add_argument("--model", required=True, help="model that it starts from, folder or hub id")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the checkpoint and its records")
    parser.add_argument("--wandb", default=OFF, metavar="PROJECT", help=f"project of Weights & Biases, or {OFF}")
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)

    spec = read_yaml(arguments.spec)
    frame = read_parquet(arguments.data, [*PAIR_COLUMNS, *(["prompt_id"] if "share" in spec["train"] else [])])

    from pipeline.models.devices import device_from_arguments
    from pipeline.rewards.saving import save_reward_model
    from pipeline.training.classifier import is_merged
    from pipeline.training.reward import reward_trainer
    from pipeline.training.running import run_training

    device = device_from_arguments(arguments, spec.get("base"))
    models = [("model", spec["base"])] if "base" in spec else []
    record = Record(__file__, arguments, ("spec", "data", "model"), ("output_dir",), spec, device, models)
    trainer = partial(reward_trainer, spec, frame, arguments.model, device)
    tracked = arguments.wandb, f"{spec['name']}/reward", "reward models", "train_reward", spec
    save = partial(save_reward_model, merge=is_merged(spec, arguments.model))
    run_training("reward", trainer, record, arguments.output_dir, tracked, save)


if __name__ == "__main__":
    run(main, warm=True)
