"""What the training scripts share: datasets in a model's format, trainer arguments, progress, records."""

import resource
import sys
import time
from itertools import repeat
from pathlib import Path

import pandas as pd
import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerCallback

from pipeline.jobs.io import InputError, write_json, write_parquet
from pipeline.jobs.processes import PATIENCE, is_first_process
from pipeline.models.checkpoints import save_checkpoint, write_manifest
from pipeline.models.devices import Device
from pipeline.models.templates import as_text, format_prompt, format_response
from pipeline.training.processes import share_order, whole_weights
from pipeline.training.progress import SlowSteps
from pipeline.training.state import train_on

LOGGING_STEPS = 10


class Progress(TrainerCallback):
    """One line per logging interval, the last steps' too: step, loss, seconds spent and about how many are left."""

    def on_train_begin(self, args, state, control, **kwargs):
        self.started, self.first = time.perf_counter(), state.global_step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == state.max_steps:
            control.should_log = True

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in (logs or {}) and state.is_world_process_zero:
            spent, done = time.perf_counter() - self.started, state.global_step - self.first
            left = spent / max(done, 1) * (state.max_steps - state.global_step)
            print(
                f"step {state.global_step}/{state.max_steps}  loss {float(logs['loss']):.4f}  "
                f"{spent:.0f} s, about {left:.0f} s left",
                flush=True,
            )


def preference_dataset(
    frame: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, entry: dict, reference: pd.DataFrame | None = None
) -> Dataset:
    """Preference pairs as DPOTrainer and RewardTrainer take them.

    Args:
        frame: prompt, chosen, rejected: text or messages.
        tokenizer, entry: of the model that is trained; they decide the format.
        reference: row, ref_chosen_logps, ref_rejected_logps; `row` is the position in the frame. Pairs without a row
            in it (too long for the model) are left out.

    Returns:
        prompt, chosen, rejected, source_prompt (as in the frame), row; with a reference also its two columns.
    """
    columns = {"prompt": [], "chosen": [], "rejected": [], "source_prompt": [], "row": list(range(len(frame)))}
    for prompt, chosen, rejected in zip(*(map(as_text, frame[name]) for name in ("prompt", "chosen", "rejected"))):  # noqa: B905
        columns["prompt"].append(format_prompt(prompt, tokenizer, entry))
        columns["chosen"].append(format_response(chosen, tokenizer, entry))
        columns["rejected"].append(format_response(rejected, tokenizer, entry))
        columns["source_prompt"].append(prompt)
    dataset = Dataset.from_dict(columns)
    if reference is None:
        return dataset
    rows = reference["row"].tolist()
    if rows and max(rows) >= len(frame):
        raise InputError(
            f"the reference has row {max(rows)}, the data only {len(frame)} rows; they do not belong together"
        )
    dataset = dataset.select(rows)
    for name in ("ref_chosen_logps", "ref_rejected_logps"):
        dataset = dataset.add_column(name, reference[name].tolist())
    return dataset


# Hyperparameters that every trainer is given.
COMMON = (
    *("learning_rate", "epochs", "max_steps", "warmup_steps", "lr_scheduler", "optimizer", "weight_decay"),
    *("adam_beta2", "max_grad_norm", "max_length", "group_by_length", "global_batch_size"),
)


def trainer_arguments(hyperparameters: dict, device: Device, stage: str, folder: str | Path, seed: int) -> dict:
    """Arguments that every TRL trainer here is given, from a spec's COMMON hyperparameters."""
    given = hyperparameters
    steps, grouped = given.get("max_steps"), given.get("group_by_length", False)
    return {
        "output_dir": str(folder),
        "seed": seed,
        "learning_rate": given["learning_rate"],
        "num_train_epochs": given["epochs"],
        "max_steps": steps if steps else -1,
        "warmup_steps": given["warmup_steps"],
        "lr_scheduler_type": given["lr_scheduler"],
        "optim": given["optimizer"],
        "weight_decay": given["weight_decay"],
        "adam_beta2": given.get("adam_beta2", 0.999),
        "max_grad_norm": given.get("max_grad_norm", 1.0),
        "max_length": given["max_length"],
        "gradient_checkpointing": device.type == "cuda",
        "logging_steps": LOGGING_STEPS,
        "logging_nan_inf_filter": False,  # a loss that is not a number is to be seen, not replaced by the one before
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "dataset_num_proc": None,
        "ddp_timeout": int(PATIENCE.total_seconds()),
        "train_sampling_strategy": "group_by_length" if grouped else "random",
        "remove_unused_columns": not grouped,  # the sampler reads the column `length`
        **device.training_kwargs(stage, given["global_batch_size"]),
    }


def add_lengths(dataset: Dataset) -> Dataset:
    """Tokenised preference pairs with the column `length`: the tokens of the longer sequence of each pair."""
    prompts = map(len, dataset["prompt_ids"]) if "prompt_ids" in dataset.column_names else repeat(0)
    sequences = zip(prompts, map(len, dataset["chosen_ids"]), map(len, dataset["rejected_ids"]), strict=False)
    return dataset.add_column("length", [prompt + max(chosen, rejected) for prompt, chosen, rejected in sequences])


def trained_files(folder: Path) -> list[Path]:
    """What a training writes into its output folder, its record included."""
    return [folder / name for name in ("model", "metrics.parquet", "cost.json", "provenance.json", "manifest.json")]


def train_and_save(trainer, tokenizer, output_dir: Path, device: Device, save=save_checkpoint) -> float:
    """Train, then write into `output_dir`: metrics.parquet, cost.json, model/ and, last of all, manifest.json.

    A killed training goes on from the last checkpoint in the trainer's own output folder. Of several processes the
    first one writes.

    Args:
        trainer: a TRL trainer of a class made by `pipeline.training.state.continued`, not yet trained.
        save: called with (model, tokenizer, folder), and with state_dict where the model has a part of it only.

    Returns:
        Seconds that the training took, all attempts together.

    Raises:
        InputError: the loss ended as not a number.
    """
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(SlowSteps())
    trainer.add_callback(Progress())
    share_order(trainer)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    train_on(trainer, device.checkpoint_seconds)
    curve = learning_curve(trainer.state.log_history)
    losses = curve.loc[curve["metric"] == "loss", "value"]
    if losses.isna().any():
        step = curve.loc[losses.index[losses.isna()][0], "step"]
        raise InputError(f"the loss is not a number from step {step} on; a lower learning_rate may be right")
    weights = whole_weights(trainer)
    if not is_first_process():
        return trainer.seconds()
    write_parquet(curve, output_dir / "metrics.parquet")
    cost = {
        "seconds": trainer.seconds(),
        "rollout_seconds": getattr(trainer, "rollout_seconds", 0.0),
        "steps": trainer.state.global_step,
        "peak_memory_mib": peak_memory_mib(device),
        "device": device.description,
        "machine": device.record(),
    }
    write_json(cost, output_dir / "cost.json")
    save(trainer.accelerator.unwrap_model(trainer.model), tokenizer, output_dir / "model", **weights)
    write_manifest(output_dir / "model", output_dir / "manifest.json")
    return cost["seconds"]


def learning_curve(log_history: list[dict]) -> pd.DataFrame:
    """The trainer's log in long form: step (int64), metric (str), value (float64).

    The closing summary and rates per second are left out: timings differ between two runs of the same training.
    """
    rows = [
        (entry["step"], metric, float(value))
        for entry in log_history
        if "train_runtime" not in entry
        for metric, value in entry.items()
        if metric not in ("step", "epoch") and not metric.endswith("_per_second")
    ]
    frame = pd.DataFrame(rows, columns=["step", "metric", "value"])
    return frame.astype({"step": "int64", "metric": "str", "value": "float64"})


def peak_memory_mib(device: Device) -> float:
    """Largest memory in MiB so far: of the GPU as torch allocated it, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
