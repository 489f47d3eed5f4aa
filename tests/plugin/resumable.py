"""A small SAIL run that saves after every step. As a program: killed before a step, or to its end.

python -m plugin.resumable CHECKPOINT FOLDER KILL_BEFORE SEED
"""

import os
import signal
import sys
from pathlib import Path

from datasets import Dataset
from safetensors.torch import save_file
from transformers import AutoTokenizer, TrainerCallback

from plugin.tiny import reward, rows
from sail import SAILConfig, SAILTrainer


def trainer(checkpoint, tokenizer, folder, **changes) -> SAILTrainer:
    """A trainer of six steps (unless changed) on 32 rows."""
    arguments = {
        "output_dir": str(folder),
        "max_steps": 6,
        "per_device_train_batch_size": 8,
        "learning_rate": 1e-2,
        "max_length": 64,
        "activation_checkpointing": False,
        "bf16": False,
        "use_cpu": True,
        "report_to": "none",
        "save_strategy": "steps",
        "save_steps": 1,
        "disable_tqdm": True,
        "seed": 7,
        "rollout_max_new_tokens": 6,
        "rollout_prompts": 6,
        "rollout_batch_size": 5,
        "max_age": 3,
    }
    args = SAILConfig(**arguments | changes)
    data = Dataset.from_list(rows(32))
    run = SAILTrainer(
        str(checkpoint),
        args=args,
        train_dataset=data,
        processing_class=tokenizer,
        reward_funcs=reward if args.g else None,
    )
    if args.train_sampling_strategy == "group_by_length":
        lengths = [len(row["prompt_ids"]) + len(row["chosen_ids"]) for row in run.train_dataset]
        run.train_dataset = run.train_dataset.add_column("length", lengths)
        run.args.remove_unused_columns = False  # the sampler reads it
    return run


class KillBefore(TrainerCallback):
    """SIGKILL to this process before a step."""

    def __init__(self, step: int):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def main(checkpoint: str, folder: str, kill_before: str, seed: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    run = trainer(checkpoint, tokenizer, folder, r=0.2, p=0.3, g=0.3, seed=int(seed))
    run.add_callback(KillBefore(int(kill_before)))
    run.train(resume_from_checkpoint=any(Path(folder).glob("checkpoint-*")))
    weights = {name: tensor.contiguous() for name, tensor in run.model.state_dict().items()}
    save_file(weights, Path(folder) / "final.safetensors")


if __name__ == "__main__":
    main(*sys.argv[1:])
