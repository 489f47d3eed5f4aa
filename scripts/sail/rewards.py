"""Reward functions in TRL's convention: callables, coroutines and reward models, and several of them as one."""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase
from trl.trainer.utils import get_callable_name, is_async_callable, start_event_loop_in_daemon

from sail.reward_models import ModelReward
from sail.rollouts import RewardFunction

logger = logging.getLogger(__name__)


class RewardFunctions:
    """Reward functions as one: the weighted sum of what they give.

    Each is called by keywords: prompts, completions, completion_ids, the dataset's other columns, trainer_state and
    log_metric, and gives a float for each completion, or None where it does not apply. What gives None is left out of
    that completion's sum. Coroutine functions are awaited together.

    Args:
        functions: the functions.
        weights: one for each; 1 where absent.

    Raises:
        ValueError: there are no functions, or not as many weights as functions.
    """

    def __init__(self, functions: Sequence[RewardFunction], weights: Sequence[float] | None = None):
        if not functions:
            raise ValueError("reward_funcs is empty: give at least one reward function")
        if weights is not None and len(weights) != len(functions):
            raise ValueError(
                f"reward_weights has {len(weights)} weights for {len(functions)} reward functions: give one for each"
            )
        self.functions, self.weights = list(functions), list(weights or [1.0] * len(functions))
        self.names = [get_callable_name(function) for function in functions]
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(
        self, *, prompts: list, completions: list, log_metric: Callable[[str, float], None] | None = None, **given: Any
    ) -> list[float | None]:
        """A reward per completion, None where no function applies.

        Args:
            log_metric: called with a name and a value; functions get it too.
            given: further keywords of the functions.

        Raises:
            ValueError: a function does not give one finite number, or None, for each completion.
        """
        given |= {"prompts": prompts, "completions": completions}
        given |= {"log_metric": log_metric} if log_metric else {}
        own = self._ask(given)
        for name, values in zip(self.names, own, strict=True):
            _check(name, values, prompts, completions)
            scored = [value for value in values if value is not None]
            if log_metric and len(own) > 1 and scored:
                log_metric(f"rewards/{name}/mean", sum(scored) / len(scored))
        rewards = [self._weighted(values) for values in zip(*own, strict=True)]
        if None in rewards:
            place = rewards.index(None)
            logger.warning(
                "No reward function applies to %d of %d completions; the first is %r of %r.",
                *(rewards.count(None), len(rewards), completions[place], prompts[place]),
            )
        return rewards

    def _ask(self, given: dict) -> list[list]:
        """What each function gives."""
        waiting = {i: function for i, function in enumerate(self.functions) if is_async_callable(function)}
        found = {i: function(**given) for i, function in enumerate(self.functions) if i not in waiting}
        if waiting:

            async def together():
                return await asyncio.gather(*(function(**given) for function in waiting.values()))

            if self._loop is None:  # one for the whole training: sessions belong to the loop that they were made in
                _, self._loop, _ = start_event_loop_in_daemon("sail-rewards")
            results = asyncio.run_coroutine_threadsafe(together(), self._loop).result()
            found |= dict(zip(waiting, results, strict=True))
        return [_values(found[i]) for i in range(len(self.functions))]

    def _weighted(self, values: Sequence[float | None]) -> float | None:
        weighted = [
            weight * float(value) for weight, value in zip(self.weights, values, strict=True) if value is not None
        ]
        return sum(weighted) if weighted else None


def reward_function(
    reward_funcs: Any,
    tokenizers: PreTrainedTokenizerBase | Sequence[PreTrainedTokenizerBase | None] | None,
    device: torch.device | str,
    weights: Sequence[float] | None = None,
) -> RewardFunctions:
    """The function of `reward_funcs` and `reward_processing_classes` of `sail.SAILTrainer`.

    Raises:
        ValueError: a list has another length than the other ones, or a model is no reward model.
    """
    functions = list(reward_funcs) if isinstance(reward_funcs, list | tuple) else [reward_funcs]
    given: list[Any] = list(tokenizers) if isinstance(tokenizers, list | tuple) else [tokenizers]
    given = [None] * len(functions) if tokenizers is None else given
    if len(given) != len(functions):
        raise ValueError(
            f"reward_processing_classes has {len(given)} entries for {len(functions)} reward functions: give one, or "
            "None, for each"
        )
    return RewardFunctions(
        [
            ModelReward(function, tokenizer, device) if isinstance(function, str | torch.nn.Module) else function
            for function, tokenizer in zip(functions, given, strict=True)
        ],
        weights,
    )


def _values(given: Any) -> list:
    """What a function gave as a list; tensors and arrays have their numbers in it."""
    return given.tolist() if hasattr(given, "tolist") else list(given)


def _check(name: str, values: list, prompts: list, completions: list) -> None:
    if len(values) != len(completions):
        raise ValueError(f"the reward function {name} gave {len(values)} rewards for {len(completions)} completions")
    for value, prompt, completion in zip(values, prompts, completions, strict=True):
        if value is not None and not math.isfinite(value):
            raise ValueError(f"the reward function {name} gave {value} for the completion {completion!r} of {prompt!r}")
