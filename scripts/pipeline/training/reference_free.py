"""Pairs in tokens for the trainers of TRL that have no reference, and that tokenise text themselves."""

from datasets import Dataset

from pipeline.columns.pairs import PAIR_RESPONSES
from sail.internals import count_tokens


def id_columns(dataset: Dataset) -> Dataset:
    """The columns in tokens alone: TRL would put others in its chat template."""
    return dataset.select_columns(["prompt_ids", *(f"{name}_ids" for name in PAIR_RESPONSES)])


class TokenPairs:
    """What ORPOTrainer and CPOTrainer inherit first: rows are in tokens already, and the tokens of steps are counted.

    Attributes:
        whole_logits: the loss has the logits of all tokens at a time, see `pipeline.training.fitting`.
    """

    whole_logits = True

    def tokenize_row(self, feature: dict, model=None) -> dict:
        """A row's two sequences, cut at max_length, with labels on the response alone."""
        prompt = feature["prompt_ids"]
        row = {"prompt_input_ids": prompt, "prompt_attention_mask": [1] * len(prompt)}
        for name in PAIR_RESPONSES:
            ids = (prompt + feature[f"{name}_ids"])[: self.max_length]
            row[f"{name}_input_ids"], row[f"{name}_attention_mask"] = ids, [1] * len(ids)
            row[f"{name}_labels"] = [-100] * len(prompt) + ids[len(prompt) :]
        return row

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """As the parent's."""
        count_tokens(self, sum(inputs[f"{name}_attention_mask"].sum() for name in PAIR_RESPONSES))
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
