"""Trainers of TRL that learn from rewards of the policy's own responses."""

import time
from collections.abc import Callable, Iterator

from datasets import Dataset
from torch.utils.data import Sampler
from transformers import Trainer

from pipeline.training.policy import Start
from pipeline.training.state import continued
from sail.internals import buffer_of, count_tokens, load_buffer

TOKENISED = ("dataset_num_proc",)  # an argument of the trainers that tokenise pairs


def prompts_of(start: Start) -> Dataset:
    """A prompt for each pair: `prompt` in tokens, and `source_prompt`, which the reward model is given."""
    return start.dataset.select_columns(["prompt_ids", "source_prompt"]).rename_column("prompt_ids", "prompt")


class CountsRollouts:
    """What such a trainer inherits first: it counts what its process samples.

    Attributes:
        rollout_tokens: sampled so far.
        rollout_seconds: of sampling so far.
    """

    rollout_tokens, rollout_seconds = 0, 0.0

    def count_rollouts(self, tokens: int, begun: float) -> None:
        """Count tokens that were sampled from a time (of `time.perf_counter`) until now."""
        self.rollout_tokens += tokens
        self.rollout_seconds += time.perf_counter() - begun

    def _state(self) -> dict:
        return {"rollouts": [self.rollout_tokens, self.rollout_seconds]}

    def _load_state(self, state: dict) -> None:
        self.rollout_tokens, self.rollout_seconds = state["rollouts"]


class OwnOrders(Sampler):
    """An order of the prompts of its own for each epoch, so that a training that goes on in one has it again.

    Args:
        make: gives the sampler of a seed.
        seed: of the first epoch's.
    """

    def __init__(self, make: Callable[[int], Sampler], seed: int):
        self.make, self.seed, self.epoch = make, seed, 0

    def __len__(self) -> int:
        return len(self.make(self.seed))  # type: ignore[arg-type]

    def set_epoch(self, epoch: int) -> None:
        """Name the epoch that the next order is for."""
        self.epoch = epoch

    def __iter__(self) -> Iterator:
        return iter(self.make(self.seed + self.epoch))


class Grouped(CountsRollouts):
    """What GRPOTrainer and RLOOTrainer inherit first: prompts in tokens, and checkpoints with their generations.

    TRL's checkpoints have none of the responses that were sampled and are yet to be trained on.
    """

    def _tokenize_prompts(self, prompts: list[list[int]]) -> tuple:
        return prompts, None, {}

    def _generate_single_turn(self, *args, **kwargs):
        begun = time.perf_counter()
        found = super()._generate_single_turn(*args, **kwargs)
        responses = found[0] if isinstance(found, tuple) else found
        self.count_rollouts(sum(map(len, responses)), begun)
        return found

    def _get_train_sampler(self, *args, **kwargs):
        inherited, seed = super()._get_train_sampler, self.args.seed

        def make(own: int) -> Sampler:
            self.args.seed = own
            try:
                return inherited(*args, **kwargs)
            finally:
                self.args.seed = seed

        return OwnOrders(make, seed)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """As the parent's."""
        count_tokens(self, inputs["prompt_mask"].sum() + inputs["completion_mask"].sum())
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def train(self, *args, **kwargs):
        """As the parent's; the adapter that TRL keeps as the reference goes with it."""
        found = super().train(*args, **kwargs)
        model = self.accelerator.unwrap_model(self.model)
        if "ref" in getattr(model, "peft_config", {}):
            model.delete_adapter("ref")
        return found

    def _state(self) -> dict:
        return super()._state() | {"buffer": buffer_of(self)}

    def _load_state(self, state: dict) -> None:
        super()._load_state(state)
        load_buffer(self, state["buffer"])


def grouped_trainer(start: Start, trainer: type[Trainer], config: type) -> Trainer:
    """A trainer of several responses to each prompt; a step has as many responses as the global batch says.

    Args:
        trainer: a class that is `Grouped`.
        config: of its arguments.
    """
    values = start.spec["hyperparameters"]
    more = {"cache_implementation": start.device.cache_implementation, "remove_unused_columns": False}
    args = start.arguments(config, but=("max_length", *TOKENISED), **more)
    args.max_length = values["max_length"]  # which is of the data, and of what is tried to fit
    return continued(trainer)(
        start.model,
        reward_funcs=start.reward_function,
        args=args,
        train_dataset=prompts_of(start),
        processing_class=start.tokenizer,
    )
