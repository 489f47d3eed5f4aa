"""Reference log-probabilities of preference pairs, exactly as DPOTrainer computes them."""

from pathlib import Path

import pandas as pd
import torch
from torch.utils.data import DataLoader
from trl import DPOConfig

from pipeline.columns.reference import REFERENCE_COLUMNS, REFERENCE_LOGPS
from pipeline.jobs.gathering import PATIENCE, gathered
from pipeline.jobs.partial import PartialResults
from pipeline.jobs.processes import own_share, processes
from pipeline.models.checkpoints import load_policy, load_tokenizer
from pipeline.models.devices import Device
from pipeline.models.fitting import fitted, forward_bytes
from pipeline.training.fitting import tile_tokens
from pipeline.training.running import preference_dataset, say_template
from sail import ReferenceColumnsDPOTrainer
from sail.internals import logits_of


class ReferenceTrainer(ReferenceColumnsDPOTrainer):
    """DPOTrainer whose precomputation of the reference's log-probabilities is shared by processes and can go on.

    The only change, beside pairs in tokens, is that each process does every n-th batch of those that one process alone
    has, and keeps what it has in the output folder, where it is found again. accelerate would fill the last batch with
    other rows, which changes the last digits of its values.
    """

    def _precompute_ref_logps(self, dataset, name, batch_size):
        device = self.accelerator.device
        starts = own_share(range(0, len(dataset), batch_size))
        finished = PartialResults(Path(self.args.output_dir) / f"{name}-{processes()[0]}")
        for start in starts[finished.found :]:
            rows = dataset.select(range(start, min(start + batch_size, len(dataset))))
            [batch] = DataLoader(rows, batch_size=batch_size, collate_fn=self.data_collator)
            batch = {key: value.to(device) for key, value in batch.items()}
            finished.add({start: [part.cpu() for part in self.compute_ref_log_probs(self.model, batch)]})
        values = gathered(finished.values, device.type)
        for i, column in enumerate(REFERENCE_LOGPS):
            dataset = dataset.add_column(column, torch.cat([values[start][i] for start in sorted(values)]).tolist())
        return dataset


def reference_logps(spec: dict, frame: pd.DataFrame, model_path: str, device: Device, scratch: str) -> pd.DataFrame:
    """Log-probabilities of chosen and rejected under the SFT model, as DPOTrainer computes them.

    Args:
        spec: {dataset, model: entry, max_length}; max_length is of prompt with response, in tokens, as in training.
        frame: prompt_id, prompt, chosen, rejected of a split.
        scratch: folder that finished batches are kept in.

    Returns:
        row (int64, position in the frame), prompt_id, ref_chosen_logps, ref_rejected_logps (float64, nats).
    """
    entry = spec["model"]
    tokenizer = load_tokenizer(model_path, entry)
    model = load_policy(model_path, entry, device=device, **device.model_kwargs())
    tile = tile_tokens(device, "reference")
    device = fitted(device, "reference", scratch, lambda: 2 * forward_bytes(model, spec["max_length"]))
    arguments = DPOConfig(
        output_dir=scratch,
        max_length=spec["max_length"],
        precompute_ref_log_probs=True,
        precompute_ref_batch_size=device.batch_sizes["reference"],
        ddp_timeout=int(PATIENCE.total_seconds()),
        report_to=[],
        **(
            device.training_kwargs("reference", device.batch_sizes["reference"], 1)
            | {"activation_checkpointing": False}
        ),
    )
    say_template(tokenizer, entry)
    dataset = preference_dataset(frame, tokenizer, entry)
    with logits_of(tile):
        trainer = ReferenceTrainer(model, args=arguments, train_dataset=dataset, processing_class=tokenizer)
    kept = trainer.train_dataset
    rows = kept["row"][:]
    columns = {name: pd.Series(kept[name][:], dtype="float64") for name in REFERENCE_LOGPS}
    columns |= {"row": rows, "prompt_id": frame["prompt_id"].to_numpy()[rows]}
    return pd.DataFrame(columns)[REFERENCE_COLUMNS]
