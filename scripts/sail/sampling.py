"""How a trainer fills its pool: the policy answers, the reference and the reward are asked."""

import logging
import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import islice
from typing import Any

import torch
from trl.models.utils import disable_gradient_checkpointing, unwrap_model_for_generation
from trl.trainer.utils import use_adapter

from sail.engine_use import UsesEngine
from sail.generation import cut_behind_end, sample_responses
from sail.internals import tokenizer_of
from sail.objective import DPR
from sail.rollouts import RolloutPair, RolloutPool, add_rewards, label_by_reward, prompt_order
from sail.sharding import whole_parameters

logger = logging.getLogger(__name__)
BOTH = ("chosen_ids", "rejected_ids")


class SamplesPairs(UsesEngine):
    """What `SAILTrainer` inherits to sample pairs with the policy as it is."""

    args: Any
    accelerator: Any
    model: Any
    model_wrapped: Any
    ref_model: Any
    rollout_tokens: int
    data_collator: Any
    pool: RolloutPool
    train_dataset: Any
    state: Any
    reward_function: Any
    _rollout_rng: random.Random
    _reference_logps: Callable
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
            if self.args.estimator == "exact" or not (pair.identical or (route == DPR and pair.tied)):
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
        with self._aside():
            pairs = self._sample_pairs(rows)
        responses = [ids for pair in pairs for ids in pair.response_ids]
        self._log("sail/identical", sum(pair.identical for pair in pairs) / len(pairs))
        self._log("sail/response_tokens", sum(map(len, responses)) / len(responses))
        self._log("sail/cut", sum(sum(pair.cut) for pair in pairs) / len(responses))
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

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Do what training does not notice: the model's mode and the global random state are afterwards as before."""
        devices = [self.accelerator.device] if self.accelerator.device.type == "cuda" else []
        training = self.model.training
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self._rollout_rng.getrandbits(63))
            self.model.eval()
            try:
                yield
            finally:
                self.model.train(training)

    def _sample_pairs(self, rows: list[dict]) -> list[RolloutPair]:
        """A labelled pair for each row of the dataset, to its prompt."""
        limit, most = self.args.max_length, self.args.rollout_max_new_tokens
        prompts = [row["prompt_ids"] for row in rows]
        if limit is not None:
            if self.args.truncation_mode == "keep_end":
                # The collator would cut such a prompt after the policy has answered it whole.
                prompts = [ids[-max(limit - most, 1) :] for ids in prompts]
            most = max(min(most, limit - min(map(len, prompts))), 1)
        doubled, logps = [ids for ids in prompts for _ in range(2)], None
        if self._engine is None:
            responses = self._sampled(doubled, most)
        else:
            responses, logps = self._engine.respond(doubled, self.state.global_step, self._prompts_drawn)
            self._log_engine_gap(doubled, responses, logps)
        if limit is not None:
            # What the collator would cut away is not trained on: the reward must not see it either.
            responses = [ids[: max(limit - len(prompts[i // 2]), 0)] for i, ids in enumerate(responses)]
        ends = self._end_tokens()
        cut = [not ids or ids[-1] not in ends for ids in responses]
        step = self.state.global_step if self.args.rollout_policy == "current" else 0
        pairs = [
            RolloutPair(
                ids,
                (responses[2 * i], responses[2 * i + 1]),
                step,
                cut=(cut[2 * i], cut[2 * i + 1]),
            )
            for i, ids in enumerate(prompts)
        ]
        if logps is not None:
            sums = [sum(tokens[: len(ids)]) for tokens, ids in zip(logps, responses, strict=True)]
            for pair, first, second in zip(pairs, sums[::2], sums[1::2], strict=True):
                pair.sampler_logps = (first, second)
        self._add_reference_logps(pairs)
        if self.reward_function is not None and self.args.g > 0:
            add_rewards(
                pairs,
                rows,
                tokenizer_of(self),
                self.reward_function,
                self.args.reverse,
                self.args.missing_eos_penalty,
                trainer_state=self.state,
                log_metric=self._log,
            )
            label_by_reward(pairs, self.args.label_draw, self._rollout_rng)
            self._log_rewards(pairs)
        return pairs

    def _log_rewards(self, pairs):
        pairs = [pair for pair in pairs if pair.rewards]
        if not pairs:
            return
        self._log("sail/reward_ties", sum(pair.tied for pair in pairs) / len(pairs))
        self._log("sail/reward", sum(sum(pair.rewards) for pair in pairs) / (2 * len(pairs)))
        self._log("sail/reward_preferred", sum(pair.rewards[pair.preferred] for pair in pairs) / len(pairs))
        self._log("sail/reward_other", sum(pair.rewards[1 - pair.preferred] for pair in pairs) / len(pairs))

    def _end_tokens(self) -> list[int]:
        """The tokens that end a response: the tokenizer's and those of the model's generation config."""
        configured = self.model.generation_config.eos_token_id
        ends = {tokenizer_of(self).eos_token_id, *(configured if isinstance(configured, list) else [configured])}
        return sorted(ends - {None})

    def used_share(self) -> float:
        """The part of what was sampled so far that rows have stood for, or that was thrown away."""
        return 1 - len(self.pool) / max(self._prompts_drawn * self.args.rollout_reuse, 1)

    @contextmanager
    def _as_start(self) -> Iterator[Any]:
        """The wrapped model of the policy that the training began with, which is the reference."""
        if self.ref_model is not None:
            yield self.ref_model
            return
        adapted = self.accelerator.unwrap_model(self.model)
        with use_adapter(adapted, adapter_name="ref" if "ref" in adapted.peft_config else None):
            yield self.model_wrapped

    def _sampled(self, prompts: list[list[int]], max_new_tokens: int) -> list[list[int]]:
        """A response per prompt."""
        starts = self.args.rollout_policy == "start"
        with (
            # The next one does so too, but does not undo it after an exception.
            disable_gradient_checkpointing(self.model, self.args.gradient_checkpointing_kwargs),
            self._as_start() if starts else nullcontext(self.model_wrapped) as wrapped,
            unwrap_model_for_generation(wrapped, self.accelerator) as model,
            whole_parameters(model, self.accelerator),
            self.accelerator.autocast(),
        ):
            return sample_responses(
                model,
                prompts,
                pad_token_id=tokenizer_of(self).pad_token_id,
                eos_token_ids=self._end_tokens(),
                max_new_tokens=max_new_tokens,
                temperature=self.args.rollout_temperature,
                top_p=self.args.rollout_top_p,
                batch_size=self.args.rollout_batch_size,
                cache_implementation=self.args.cache_implementation,
            )

    def _add_reference_logps(self, pairs: list[RolloutPair]):
        size = self.args.per_device_train_batch_size
        # Log-probabilities do not depend on what else is in the batch; similar lengths together save padding.
        order = sorted(pairs, key=lambda pair: len(pair.prompt_ids) + max(map(len, pair.response_ids)))
        for start in range(0, len(order), size):
            some = order[start : start + size]
            examples = [
                {"prompt_ids": p.prompt_ids, "chosen_ids": p.response_ids[0], "rejected_ids": p.response_ids[1]}
                for p in some
            ]
            batch = {key: value.to(self.accelerator.device) for key, value in self.data_collator(examples).items()}
            for pair, first, second in zip(some, *self._reference_logps(batch), strict=True):
                pair.ref_logps = (first.item(), second.item())
