"""How a trainer fills its pool: the policy answers, the reference and the reward are asked."""

import logging
import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice, zip_longest
from typing import Any

import torch
from trl.trainer.utils import use_adapter

from sail.answers import AnswersPrompts
from sail.engine_use import UsesEngine
from sail.generation import cut_behind_end
from sail.internals import tokenizer_of
from sail.objective import DPR
from sail.rollouts import (
    RolloutPair,
    RolloutPool,
    Rollouts,
    add_rewards,
    label_by_reward,
    pairs_among,
    prompt_order,
)

logger = logging.getLogger(__name__)
BOTH = ("chosen_ids", "rejected_ids")


class SamplesPairs(UsesEngine, AnswersPrompts):
    """What `SAILTrainer` inherits to sample pairs with the policy as it is."""

    args: Any
    accelerator: Any
    ref_model: Any
    rollout_tokens: int
    pool: RolloutPool
    train_dataset: Any
    state: Any
    reward_function: Any
    _rollout_rng: random.Random
    _log: Callable[[str, float], None]

    def _cut_responses(self):
        """Let the dataset's responses end where sampled ones do, whatever a chat template writes behind that."""
        ends = self._end_tokens()
        batches = self.train_dataset.select_columns(list(BOTH)).iter(1000)
        if any(len(cut_behind_end(ids, ends)) < len(ids) for batch in batches for name in BOTH for ids in batch[name]):
            for name in ("train_dataset", "unlabelled_dataset"):
                if (dataset := getattr(self, name)) is not None:
                    setattr(self, name, dataset.map(lambda row: {key: cut_behind_end(row[key], ends) for key in BOTH}))

    def _walk_prompts(self, drawn: int):
        """Take up this process's order of prompts behind those that were drawn before."""
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        self._prompt_rows = islice(prompt_order(len(self.train_dataset), self.args.seed, rank, processes), drawn, None)
        self._prompts_drawn = drawn

    def _next_pair(self, route: int) -> RolloutPair | None:
        """The next usable pair, after a refill if the pool is empty; None if the refill brought none."""
        refilled = self._together  # there no rank may sample alone
        while True:
            if not len(self.pool):
                if refilled:
                    return None
                self._refill()
                refilled = True
                continue
            pair = self.pool.take()
            if route == DPR and pair.rewards is None:  # no reward function applies to it
                continue
            # The published code drops pairs that carry no preference; the exact gradient needs them.
            is_needed = self.args.estimator == "exact" and not self.args.has_extremes
            if is_needed or not (pair.identical or (route == DPR and pair.tied)):
                return pair

    def _refill_together(self, wanted: int):
        """Where parameters are sharded, or the engine is shared, refill on all ranks as long as one has too few pairs
        for its batch.

        Elsewhere nothing is done: each rank refills its pool when it is empty, and none waits for another. It ends too
        where a refill brought a pair to none of them.
        """
        fresh = 1
        while self._together:
            counts = torch.tensor([float(len(self.pool) < wanted), float(fresh)], device=self.accelerator.device)
            if not self.accelerator.reduce(counts, "sum").all():
                return
            before = len(self.pool)
            self._refill()
            fresh = len(self.pool) - before

    def _refill(self):
        """Sample, label and score a batch of pairs with the policy as it is, and add them to the pool."""
        started = time.perf_counter()
        count = math.ceil(self.args.rollout_prompts / self.accelerator.num_processes)
        rows = [self.train_dataset[row] for row in islice(self._prompt_rows, count)]
        self._prompts_drawn += len(rows)
        with self._aside(self._rollout_rng.getrandbits(63)):
            rollouts, pairs = self._sample_pairs(rows)
        responses = [ids for group in rollouts for ids in group.response_ids]
        self._log("sail/identical", sum(pair.identical for pair in pairs) / max(len(pairs), 1))
        self._log("sail/response_tokens", sum(map(len, responses)) / len(responses))
        self._log("sail/cut", sum(sum(group.cut) for group in rollouts) / len(responses))
        self.pool.extend(self._kept(pairs))
        seconds = time.perf_counter() - started
        self._log("sail/rollouts_per_second", len(responses) / seconds)
        self.rollout_seconds += seconds
        self.rollout_tokens += sum(map(len, responses))

    def _kept(self, pairs: list[RolloutPair]) -> list[RolloutPair]:
        """The pairs that may be trained on: all of them, or those that are whole."""
        if not self.args.mask_truncated_completions:
            return pairs
        whole = [pair for pair in pairs if not any(pair.cut)]
        if not whole:
            logger.warning(
                "mask_truncated_completions left none of %d pairs, as each has a response without an end: the rows "
                "stay the dataset's. A higher rollout_max_new_tokens (now %d) may be right.",
                *(len(pairs), self.args.rollout_max_new_tokens),
            )
        return whole

    def _sample_pairs(self, rows: list[dict]) -> tuple[list[Rollouts], list[RolloutPair]]:
        """Responses to the prompt of each row of the dataset, and labelled pairs of them.

        Of the pairs of a prompt the first ones of all prompts come before the second ones.
        """
        step = self.state.global_step if self.args.rollout_policy == "current" else 0
        rollouts = self._answered(rows, self.args.rollout_responses, step, self._respond)
        self._add_reference_logps(rollouts)
        scored = self.reward_function is not None and self.args.g > 0
        if scored:
            add_rewards(
                rollouts,
                rows,
                tokenizer_of(self),
                self.reward_function,
                self.args.reverse,
                self.args.missing_eos_penalty,
                trainer_state=self.state,
                log_metric=self._log,
            )
        first = self._prompts_drawn - len(rows)
        found = [pairs_among(group, self.args.has_extremes, first + i) for i, group in enumerate(rollouts)]
        pairs = [pair for layer in zip_longest(*found) for pair in layer if pair is not None]
        if scored:
            label_by_reward(pairs, self.args.label_draw, self._rollout_rng)
            self._log_rewards(pairs)
        return rollouts, pairs

    def _respond(self, prompts: list[list[int]], most: int) -> tuple[list[list[int]], list[list[float]] | None]:
        """A response to each prompt, and where an engine sampled them the log-probabilities of their tokens."""
        if self._engine is None:
            return self._sampled(prompts, most), None
        responses, logps = self._engine.respond(prompts, self.state.global_step, self._prompts_drawn)
        self._log_engine_gap(prompts, responses, logps)
        return responses, logps

    def _log_rewards(self, pairs):
        pairs = [pair for pair in pairs if pair.rewards]
        if not pairs:
            return
        self._log("sail/reward_ties", sum(pair.tied for pair in pairs) / len(pairs))
        self._log("sail/reward", sum(sum(pair.rewards) for pair in pairs) / (2 * len(pairs)))
        self._log("sail/reward_preferred", sum(pair.rewards[pair.preferred] for pair in pairs) / len(pairs))
        self._log("sail/reward_other", sum(pair.rewards[1 - pair.preferred] for pair in pairs) / len(pairs))

    def used_share(self) -> float:
        """The part of what was sampled so far that rows have stood for, or that was thrown away."""
        rows = self._prompts_drawn * self.args.pairs_per_prompt * self.args.rollout_reuse
        return 1 - len(self.pool) / max(rows, 1)

    @contextmanager
    def _sampling_model(self) -> Iterator[Any]:
        """The wrapped model of the policy, or of the one that the training began with, which is the reference."""
        if self.args.rollout_policy == "current":
            yield self.model_wrapped
        elif self.ref_model is not None:
            yield self.ref_model
        else:
            adapted = self.accelerator.unwrap_model(self.model)
            with use_adapter(adapted, adapter_name="ref" if "ref" in adapted.peft_config else None):
                yield self.model_wrapped
