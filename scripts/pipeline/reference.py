"""Reference log-probabilities of preference pairs, exactly as DPOTrainer computes them."""

import pandas as pd
from trl import DPOConfig, DPOTrainer

from pipeline.devices import Device
from pipeline.models import load_policy, load_tokenizer
from pipeline.training import preference_dataset


def reference_logps(spec: dict, frame: pd.DataFrame, model_path: str, device: Device, scratch: str) -> pd.DataFrame:
    """Log-probabilities of chosen and rejected under the SFT model, by TRL's own precomputation.

    Args:
        spec: {dataset, model: entry, max_length}; max_length is of prompt with response, in tokens, as in training.
        frame: prompt_id, prompt, chosen, rejected of a split.

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
    trainer = DPOTrainer(model, args=arguments, train_dataset=dataset, processing_class=tokenizer)
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
