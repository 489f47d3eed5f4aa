"""Pairs taken apart: rows of one response, which is desirable or not."""

from datasets import Dataset
from trl.data_utils import unpair_preference_dataset

from pipeline.columns.reference import REFERENCE_LOGPS
from pipeline.models.fitting import fitted, forward_bytes
from pipeline.models.logps import response_logps
from pipeline.training.policy import Start

SIDES = ("chosen", "rejected")


def unpaired(start: Start, mismatched: bool) -> Dataset:
    """The pairs as KTOTrainer takes them, in tokens, in an order drawn from the seed.

    Args:
        start: with pairs that have the reference's log-probabilities.
        mismatched: whether the loss estimates a KL, for which each prompt also has another row's response: that of the
            row before it in its global batch, of the first row the last one's.

    Returns:
        prompt_ids, completion_ids, label (whether desirable), ref_logps; and KL_completion_ids and ref_KL_logps, the
        reference's log-probability of that response, where there is a KL.
    """
    rows = _apart(start.dataset, [f"{side}_ids" for side in SIDES], {"prompt_ids": "prompt"})
    logps = _apart(start.dataset, REFERENCE_LOGPS, {})["completion"]
    rows = rows.rename_columns({"prompt": "prompt_ids", "completion": "completion_ids"})
    rows = rows.add_column("ref_logps", list(logps)).shuffle(seed=start.seed)
    return _with_mismatched(rows.flatten_indices(), start) if mismatched else rows


def _apart(dataset: Dataset, sides: list[str], others: dict[str, str]) -> Dataset:
    """TRL's rows of one response, of the two columns that stand for chosen and rejected."""
    names = dict(zip(sides, SIDES, strict=True)) | others
    return unpair_preference_dataset(dataset.select_columns(list(names)).rename_columns(names))


def _with_mismatched(rows: Dataset, start: Start) -> Dataset:
    values = start.spec["hyperparameters"]
    size, longest = 2 * values["global_batch_size"], values["max_length"]
    prompts, responses = rows["prompt_ids"][:], rows["completion_ids"][:]
    batches = [responses[first : first + size] for first in range(0, len(responses), size)]
    others = [response for batch in batches for response in (batch[-1], *batch[:-1])]
    cut = [other[: max(longest - len(prompt), 0)] for prompt, other in zip(prompts, others, strict=True)]
    device = fitted(start.device, "reference", start.scratch, lambda: 2 * forward_bytes(start.model, longest))
    start.model.eval()
    logps = response_logps(start.model, prompts, cut, start.tokenizer.pad_token_id, device.batch_sizes["reference"])
    return rows.add_column("KL_completion_ids", others).add_column("ref_KL_logps", logps)
