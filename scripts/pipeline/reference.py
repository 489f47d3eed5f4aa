"""Reference log-probabilities of preference pairs, exactly as DPOTrainer computes them."""

from pathlib import Path

import pandas as pd
from datasets import Dataset, concatenate_datasets
from trl import DPOConfig, DPOTrainer

from pipeline.devices import Device
from pipeline.models import load_policy, load_tokenizer
from pipeline.pieces import Pieces
from pipeline.training import preference_dataset

BATCHES = 8  # that are computed together


class PiecewiseReference(DPOTrainer):
    """The only change from DPOTrainer is that reference log-probabilities are computed in pieces of some batches.

    The batches are the same. Finished pieces are kept in the output folder, and found there again.
    """

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        rows = BATCHES * batch_size * self.accelerator.num_processes
        kept, columns = Path(self.args.output_dir) / name, ["ref_chosen_logps", "ref_rejected_logps"]
        pieces = Pieces(kept if self.accelerator.num_processes == 1 else None)
        for start in range(len(pieces.values) * rows, len(dataset), rows):
            part = dataset.select(range(start, min(start + rows, len(dataset))))
            part = super()._precompute_ref_logps(part, name, batch_size)
            pieces.add([part[column][:] for column in columns])
            print(f"{min(start + rows, len(dataset))}/{len(dataset)} pairs", flush=True)
        found = [[value for piece in pieces.all() for value in piece[i]] for i in range(len(columns))]
        added = Dataset.from_dict(dict(zip(columns, found, strict=True)))
        return concatenate_datasets([dataset, added], axis=1)


def reference_logps(spec: dict, frame: pd.DataFrame, model_path: str, device: Device, scratch: str) -> pd.DataFrame:
    """Log-probabilities of chosen and rejected under the SFT model, by TRL's own precomputation.

    Args:
        spec: {dataset, model: entry, max_length}; max_length is of prompt with response, in tokens, as in training.
        frame: prompt_id, prompt, chosen, rejected of a split.
        scratch: folder that finished pieces are kept in.

    Returns:
        row (int64, position in the frame), prompt_id, ref_chosen_logps, ref_rejected_logps (float64, nats).
    """
    entry = spec["model"]
    tokenizer = load_tokenizer(model_path, entry)
    model = load_policy(model_path, entry, **device.model_kwargs())
    arguments = DPOConfig(
        output_dir=scratch,
        max_length=spec["max_length"],
        precompute_ref_log_probs=True,
        precompute_ref_batch_size=device.batch_sizes["reference"],
        report_to=[],
        **device.training_kwargs("policy", device.batch_sizes["policy"]),
    )
    dataset = preference_dataset(frame, tokenizer, entry)
    trainer = PiecewiseReference(model, args=arguments, train_dataset=dataset, processing_class=tokenizer)
    kept = trainer.train_dataset
    rows = kept["row"][:]
    return pd.DataFrame(
        {
            "row": rows,
            "prompt_id": frame["prompt_id"].to_numpy()[rows],
            "ref_chosen_logps": pd.Series(kept["ref_chosen_logps"][:], dtype="float64"),
            "ref_rejected_logps": pd.Series(kept["ref_rejected_logps"][:], dtype="float64"),
        }
    )
