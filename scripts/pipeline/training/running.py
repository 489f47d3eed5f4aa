"""What the training scripts share: datasets in a model's format, trainer arguments, records."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerCallback

from pipeline.columns.cost import COST_TOKENS
from pipeline.columns.learning_curve import CURVE_COLUMNS
from pipeline.columns.pairs import PAIR_RESPONSES
from pipeline.columns.reference import REFERENCE_LOGPS
from pipeline.config.arguments import trainer_options
from pipeline.jobs.gathering import PATIENCE
from pipeline.jobs.io import InputError, write_json, write_parquet
from pipeline.jobs.processes import is_first_process, processes
from pipeline.jobs.records import Record, own_peak_mib
from pipeline.jobs.state import JobState
from pipeline.models.checkpoints import save_checkpoint, write_manifest
from pipeline.models.devices import Device
from pipeline.models.fitting import free
from pipeline.models.manners import template_notes
from pipeline.models.template_check import check_template
from pipeline.models.templates import as_text, format_prompt, pair_token_ids
from pipeline.training.fitting import fit, smaller_batch, tile_tokens
from pipeline.training.kept import KeepsCheckpoints, kept_results, write_kept
from pipeline.training.processes import share_order, whole_weights
from pipeline.training.progress import StepLines
from pipeline.training.state import train_on
from pipeline.training.tokens import counted_tokens
from pipeline.training.tracking import track
from sail.internals import logits_of

LOGGING_STEPS = 10


class LogsLastStep(TrainerCallback):
    """The last steps have a line in the trainer's log too, however many they are."""

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == state.max_steps:
            control.should_log = True


def preference_dataset(
    frame: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, entry: dict, reference: pd.DataFrame | None = None
) -> Dataset:
    """Preference pairs as `sail.ReferenceColumnsDPOTrainer` takes them, in tokens.

    Args:
        frame: prompt, chosen, rejected: text or messages.
        tokenizer, entry: of the model that is trained; they decide the format.
        reference: row, ref_chosen_logps, ref_rejected_logps; `row` is the position in the frame. Pairs without a row
            in it (too long for the model) are left out.

    Returns:
        prompt (in the model's format), prompt_ids, chosen_ids, rejected_ids, source_prompt (as in the frame), row; with
        a reference also its two columns.
    """
    prompts = [as_text(prompt) for prompt in frame["prompt"]]
    responses = zip(*(map(as_text, frame[name]) for name in PAIR_RESPONSES), strict=True)
    pairs = [
        pair_token_ids(prompt, list(both), tokenizer, entry) for prompt, both in zip(prompts, responses, strict=True)
    ]
    columns = {
        "prompt": [format_prompt(prompt, tokenizer, entry) for prompt in prompts],
        "prompt_ids": [start for start, _ in pairs],
        **{f"{name}_ids": [both[side] for _, both in pairs] for side, name in enumerate(PAIR_RESPONSES)},
    }
    dataset = Dataset.from_dict(columns | {"source_prompt": prompts, "row": list(range(len(frame)))})
    if reference is None:
        return dataset
    rows = reference["row"].tolist()
    if rows and max(rows) >= len(frame):
        raise InputError(
            f"the reference has row {max(rows)}, the data only {len(frame)} rows; they do not belong together"
        )
    dataset = dataset.select(rows)
    for name in REFERENCE_LOGPS:
        dataset = dataset.add_column(name, reference[name].tolist())
    return dataset


def say_template(tokenizer: PreTrainedTokenizerBase, entry: dict) -> None:
    """Check a model's chat template, and print what is to be known of how prompts and responses are put, once."""
    check_template(tokenizer, entry)
    if is_first_process():
        for line in template_notes(tokenizer, entry):
            print(line, flush=True)


def trainer_arguments(hyperparameters: dict, device: Device, stage: str, folder: str | Path, seed: int) -> dict:
    """Arguments of a trainer: what all trainers here are given, and what a spec's hyperparameters stand for."""
    return {
        "output_dir": str(folder),
        "logging_steps": LOGGING_STEPS,
        "logging_nan_inf_filter": False,  # a loss that is not a number is to be seen, not replaced by the one before
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "dataset_num_proc": None,
        "ddp_timeout": int(PATIENCE.total_seconds()),
        **trainer_options(hyperparameters),
        "seed": seed,
        **device.training_kwargs(stage, hyperparameters["global_batch_size"]),
    }


def add_lengths(dataset: Dataset) -> Dataset:
    """Tokenised preference pairs with the column `length`: the tokens of the longer sequence of each pair."""
    names = [name for name in ("prompt_ids", "chosen_ids", "rejected_ids") if name in dataset.column_names]
    table = dataset.select_columns(names).with_format("arrow")[:]
    *prompt, chosen, rejected = (pc.list_value_length(table[name]).to_numpy() for name in names)
    return dataset.add_column("length", (sum(prompt) + np.maximum(chosen, rejected)).tolist())


def run_training(
    stage: str, make: Callable, record: Record, output_dir: Path, tracked: tuple, save=save_checkpoint, kept: int = 0
) -> None:
    """The work of a training script, unless it was done before: train, and write results and record.

    A step that runs out of memory, where the device leaves the batch to be found, is tried again with half of it, from
    the last checkpoint on.

    Args:
        stage: sft, policy or reward.
        make: called with a folder that the trainer may write to, for the trainer.
        tracked: what `pipeline.training.tracking.track` takes beside the trainer.
        save, kept: see `train_and_save`.
    """
    names = ("model", "metrics.parquet", "cost.json", "provenance.json", "manifest.json")
    results = [output_dir / name for name in names] + kept_results(output_dir, kept)
    with JobState(output_dir, record.key) as state:
        if state.restored(results):
            return
        seconds = None
        with logits_of(tile_tokens(record.device, stage)):
            while seconds is None:
                seconds = _attempt(stage, make, record.device, state.folder, output_dir, tracked, save, kept)
        record.write(seconds=seconds)
        state.finish(results)


def _attempt(stage: str, make: Callable, device: Device, folder: Path, output_dir: Path, tracked: tuple, save, kept):
    """Train once; None where a step ran out of memory, and the next attempt has a smaller batch.

    Raises:
        InputError: it ran out of memory, and there is no smaller batch, or other processes have to begin again too.
    """
    trainer = make(str(folder))
    batch = fit(trainer, stage, device, folder)
    rows = trainer.args.per_device_train_batch_size
    track(trainer, *tracked)
    try:
        return train_and_save(trainer, trainer.processing_class, output_dir, device, save, batch, kept)
    except torch.OutOfMemoryError:
        pass  # what the error refers to is given free first
    del trainer
    free()
    fewer, text = smaller_batch(folder, rows, stage, device)
    if processes()[1] > 1:
        raise InputError(f"{text}; the same command goes on from the last checkpoint with {fewer}")
    print(f"{text}; goes on from the last checkpoint with {fewer}", flush=True)
    return None


def train_and_save(
    trainer, tokenizer, output_dir: Path, device: Device, save=save_checkpoint, batch: dict | None = None, kept: int = 0
) -> float:
    """Train, then write into `output_dir`: metrics.parquet, cost.json, model/ and, last of all, manifest.json.

    With kept checkpoints also these, and before the manifest the file by which they are known.

    A killed training goes on from the last checkpoint in the trainer's own output folder. Of several processes the
    first one writes.

    Args:
        trainer: a TRL trainer of a class made by `pipeline.training.state.continued`, not yet trained.
        save: called with (model, tokenizer, folder), and with state_dict where the model has a part of it only.
        batch: what was found to fit, for cost.json.
        kept: how many checkpoints are kept, see `pipeline.training.kept`.

    Returns:
        Seconds that the training took, all attempts together.

    Raises:
        InputError: the loss ended as not a number.
    """
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(LogsLastStep())
    trainer.add_callback(StepLines())
    share_order(trainer)
    if kept:
        trainer.add_callback(KeepsCheckpoints(trainer, tokenizer, kept, Path(trainer.args.output_dir), save))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    train_on(trainer, device.checkpoint_seconds)
    curve = learning_curve(trainer.state.log_history)
    lost = curve.loc[(curve["metric"] == "loss") & curve["value"].isna(), "step"]
    if len(lost):
        raise InputError(f"the loss is not a number from step {lost.iloc[0]} on; a lower learning_rate may be right")
    weights, counted = whole_weights(trainer), counted_tokens(trainer)
    if not is_first_process():
        return trainer.seconds()
    write_parquet(curve, output_dir / "metrics.parquet")
    before = getattr(trainer, "seconds_before_training", 0.0)  # of sampling what it is trained on
    cost = {
        "seconds": trainer.seconds() + before,
        "rollout_seconds": getattr(trainer, "rollout_seconds", 0.0) + before,
        "steps": trainer.state.global_step,
        **(dict(zip(COST_TOKENS, counted, strict=True)) if counted[0] else {}),
        "peak_memory_mib": peak_memory_mib(device),
        "device": device.description,
        "machine": device.record(),
        **({"batch": batch} if batch else {}),
        **({"seconds_before_training": before} if before else {}),
    }
    write_json(cost, output_dir / "cost.json")
    save(trainer.accelerator.unwrap_model(trainer.model), tokenizer, output_dir / "model", **weights)
    if kept:
        write_kept(Path(trainer.args.output_dir), output_dir, kept, trainer.state.global_step)
    write_manifest(output_dir / "model", output_dir / "manifest.json")
    return cost["seconds"] - before


def learning_curve(log_history: list[dict]) -> pd.DataFrame:
    """The trainer's log in long form: step (int64), metric (str), value (float64).

    The closing summary, rates per second and seconds of steps are left out: timings differ between two runs of the
    same training.
    """
    rows = [
        (entry["step"], metric, float(value))
        for entry in log_history
        if "train_runtime" not in entry
        for metric, value in entry.items()
        if metric not in ("step", "epoch", "step_time") and not metric.endswith("_per_second")
    ]
    frame = pd.DataFrame(rows, columns=CURVE_COLUMNS)
    return frame.astype({"step": "int64", "metric": "str", "value": "float64"})


def peak_memory_mib(device: Device) -> float:
    """Largest memory in MiB so far: of the GPU as torch allocated it, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return own_peak_mib()
