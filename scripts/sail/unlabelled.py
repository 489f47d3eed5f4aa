"""Pairs without a preference: the rows that the policy labels, where a trainer is given such pairs."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch
from datasets import Dataset, IterableDataset

from sail.internals import prepared
from sail.objective import DDP
from sail.reference import REFERENCE_COLUMNS, TOKEN_COLUMNS, brings_reference
from sail.rollouts import prompt_order


class TakesUnlabelled:
    """What `SAILTrainer` inherits to put unlabelled pairs in the place of the rows routed to DDP."""

    args: Any
    accelerator: Any
    data_collator: Any
    train_dataset: Any
    unlabelled_dataset: Dataset | None
    _examples: Callable[[dict], list[dict]]
    _log: Callable[[str, float], None]

    def _set_unlabelled(self, dataset: Dataset | None):
        """Take up pairs, in the form of the train dataset.

        Raises:
            ValueError: no row is routed to DDP, or the pairs lack what the train dataset has.
        """
        self.unlabelled_dataset, self._unlabelled_drawn = None, 0
        if dataset is None:
            return
        if isinstance(dataset, IterableDataset) or not len(dataset):
            raise ValueError("unlabelled_dataset must be a Dataset with at least one row")
        if self.args.r == 0:
            raise ValueError("unlabelled_dataset is for DDP rows: set r above 0, or leave it out")
        if brings_reference(dataset) != brings_reference(self.train_dataset):
            columns = " and ".join(REFERENCE_COLUMNS)
            raise ValueError(f"unlabelled_dataset and train_dataset must both have the columns {columns}, or neither")
        self.unlabelled_dataset = prepared(self, dataset, "unlabelled")
        self._walk_unlabelled(0)

    def _walk_unlabelled(self, drawn: int):
        """Take up this process's order of the pairs behind those that were drawn before."""
        if self.unlabelled_dataset is not None:
            place = self.accelerator.process_index, self.accelerator.num_processes
            order = prompt_order(len(self.unlabelled_dataset), self.args.seed, *place)
            self._unlabelled_rows: Iterator[int] = islice(order, drawn, None)
            self._unlabelled_drawn = drawn

    def _put_unlabelled(self, inputs: dict, routes: torch.Tensor) -> dict:
        """The batch with an unlabelled pair in each row that is routed to DDP; as it is without such pairs."""
        places = [row for row, route in enumerate(routes.tolist()) if route == DDP]
        if self.unlabelled_dataset is None or not places:
            return inputs
        examples = self._examples(inputs)
        columns = [*TOKEN_COLUMNS, *(name for name in REFERENCE_COLUMNS if name in inputs)]
        for row in places:
            pair = self.unlabelled_dataset[next(self._unlabelled_rows)]
            examples[row] = {name: pair[name] for name in columns}
        self._unlabelled_drawn += len(places)
        batch = self.data_collator(examples)
        return {key: value.to(inputs["input_ids"].device) for key, value in batch.items()}
