"""How a trainer fills its pool: the policy answers, the reference and the reward are asked."""

import random
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
from trl.models.utils import disable_gradient_checkpointing, unwrap_model_for_generation

from sail.rollouts import RolloutPair, RolloutPool, add_rewards, label_by_reward, sample_responses
from sail.sharding import whole_parameters


class SamplesPairs:
    """What `SAILTrainer` inherits to sample pairs with the policy as it is."""

    args: Any
    accelerator: Any
    model: Any
    model_wrapped: Any
    data_collator: Any
    pool: RolloutPool
    _sharded: bool
    _tokenizer: Any
    _rollout_rng: random.Random
    _reference_logps: Callable

    def _refill_together(self, wanted: int):
        """Where parameters are sharded, refill on all ranks as long as one has too few pairs for its batch.

        Elsewhere nothing is done: each rank refills its pool when it is empty, and none waits for another.
        """
        if not self._sharded:
            return
        while True:
            short = torch.tensor([float(len(self.pool) < wanted)], device=self.accelerator.device)
            if not self.accelerator.reduce(short, "sum").item():
                return
            self._refill()

    def _refill(self):
        """Sample, label and score a batch of pairs with the policy as it is, and add them to the pool."""
        started = time.perf_counter()
        rows = [self.train_dataset[row] for row in islice(self._prompt_rows, self.args.rollout_prompts)]
        self._prompts_drawn += len(rows)
        prompts = [row["prompt_ids"] for row in rows]
        responses = self._generate([ids for ids in prompts for _ in range(2)])
        pairs = [
            RolloutPair(ids, (responses[2 * i], responses[2 * i + 1]), self.state.global_step)
            for i, ids in enumerate(prompts)
        ]
        self._add_reference_logps(pairs)
        if self.reward_function is not None and self.args.g > 0:
            add_rewards(pairs, rows, self._tokenizer, self.reward_function, self.args.reverse)
            label_by_reward(pairs, self.args.label_draw, self._rollout_rng)
            self._log("sail/reward_ties", sum(pair.tied for pair in pairs) / len(pairs))
            self._log("sail/reward", sum(sum(pair.rewards) for pair in pairs) / (2 * len(pairs)))
            self._log("sail/reward_preferred", sum(pair.rewards[pair.preferred] for pair in pairs) / len(pairs))
            self._log("sail/reward_other", sum(pair.rewards[1 - pair.preferred] for pair in pairs) / len(pairs))
        self._log("sail/identical", sum(pair.identical for pair in pairs) / len(pairs))
        self._log("sail/response_tokens", sum(map(len, responses)) / len(responses))
        self.pool.extend(pairs)
        seconds = time.perf_counter() - started
        self._log("sail/rollouts_per_second", len(responses) / seconds)
        self.rollout_seconds += seconds

    def _generate(self, prompts: list[list[int]]) -> list[list[int]]:
        """A response per prompt; the model's mode and the global random state are afterwards as before."""
        devices = [self.accelerator.device] if self.accelerator.device.type == "cuda" else []
        eos_token_ids = {self._tokenizer.eos_token_id}
        configured = self.model.generation_config.eos_token_id
        eos_token_ids |= set(configured if isinstance(configured, list) else [configured]) - {None}
        with (
            torch.random.fork_rng(devices=devices),
            # The next one does so too, but does not undo it after an exception.
            disable_gradient_checkpointing(self.model, self.args.gradient_checkpointing_kwargs),
            unwrap_model_for_generation(self.model_wrapped, self.accelerator) as model,
            whole_parameters(model, self.accelerator),
            self.accelerator.autocast(),
        ):
            torch.manual_seed(self._rollout_rng.getrandbits(63))
            training = model.training
            model.eval()
            try:
                return sample_responses(
                    model,
                    prompts,
                    pad_token_id=self._tokenizer.pad_token_id,
                    eos_token_ids=sorted(eos_token_ids),
                    max_new_tokens=self.args.rollout_max_new_tokens,
                    temperature=self.args.rollout_temperature,
                    top_p=self.args.rollout_top_p,
                    batch_size=self.args.rollout_batch_size,
                )
            finally:
                model.train(training)

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
