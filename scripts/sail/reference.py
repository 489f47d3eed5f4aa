"""The reference's log-probabilities: from the dataset's columns where it has them."""

from trl import DPOTrainer

from sail.shared_prompt import SharesPrompts

REFERENCE_COLUMNS = ("ref_chosen_logps", "ref_rejected_logps")
TOKEN_COLUMNS = ("prompt_ids", "chosen_ids", "rejected_ids")


def brings_reference(dataset) -> bool:
    """Whether a dataset has the reference's log-probabilities as columns."""
    return set(REFERENCE_COLUMNS) <= set(getattr(dataset, "column_names", None) or [])


class ReferenceColumnsDPOTrainer(SharesPrompts, DPOTrainer):
    """DPO on a dataset that brings the reference's log-probabilities.

    The only changes from DPOTrainer: with `precompute_ref_log_probs=True` the columns `ref_chosen_logps` and
    `ref_rejected_logps` of a dataset that has them are used as they are, and no reference model is loaded; a dataset
    with the columns `prompt_ids`, `chosen_ids` and `rejected_ids` is in tokens already, and no text of it is read;
    after `share_prompts()` each pair's prompt is computed once.
    """

    def _prepare_dataset(self, dataset, processing_class, args, dataset_name):
        if not set(TOKEN_COLUMNS) <= set(getattr(dataset, "column_names", None) or []):
            return super()._prepare_dataset(dataset, processing_class, args, dataset_name)
        if args.max_length is None or args.truncation_mode != "keep_start":
            return dataset
        return dataset.filter(lambda row: len(row["prompt_ids"]) < args.max_length)

    def _precompute_ref_logps(self, dataset, name, batch_size):
        if brings_reference(dataset):
            return dataset
        return super()._precompute_ref_logps(dataset, name, batch_size)


class Recorder:
    """Stands for the policy in the parent's loss and keeps the per-token log-probabilities that it returned."""

    def __init__(self, model):
        self.model = model
        self.log_probs = None

    def __call__(self, *args, **kwargs):
        outputs = self.model(*args, **kwargs)
        self.log_probs = outputs.log_probs
        return outputs

    def forward(self, inputs: dict) -> None:
        """Run the policy on a batch as the parent's loss does."""
        labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
        known = {key: value for key, value in inputs.items() if key not in (*REFERENCE_COLUMNS, "completion_mask")}
        self(**known, labels=labels, use_cache=False, fused_lm_head=True)

    def logps(self, inputs: dict) -> tuple:
        """s_θ of the chosen and the rejected responses of the batch that was run last, shape (B,) each."""
        # Adapters of virtual tokens put them before the real ones.
        tokens = inputs["completion_mask"].size(1) - 1
        return self.log_probs[:, -tokens:].sum(dim=1).chunk(2)
