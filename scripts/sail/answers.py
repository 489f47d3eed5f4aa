"""How a trainer has its policy answer prompts, several times each, and the reference asked about the answers."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from trl.models.utils import disable_gradient_checkpointing, unwrap_model_for_generation

from sail.generation import sample_responses
from sail.internals import tokenizer_of
from sail.rollouts import Rollouts
from sail.sharding import whole_parameters

# Gives a response to each prompt, of at most so many tokens: token ids of both.
Respond = Callable[[list[list[int]], int], list[list[int]]]


class AnswersPrompts:
    """What a DPO trainer inherits to sample responses with the policy as it is.

    Its arguments have rollout_max_new_tokens, rollout_temperature, rollout_top_p, rollout_batch_size and
    cache_implementation, see `sail.SAILConfig`.
    """

    args: Any
    accelerator: Any
    model: Any
    model_wrapped: Any
    data_collator: Any
    _reference_logps: Callable

    def _end_tokens(self) -> list[int]:
        """The tokens that end a response: the tokenizer's and those of the model's generation config."""
        configured = self.model.generation_config.eos_token_id
        ends = {tokenizer_of(self).eos_token_id, *(configured if isinstance(configured, list) else [configured])}
        return sorted(ends - {None})

    @contextmanager
    def _aside(self, seed: int) -> Iterator[None]:
        """Do what training does not notice: the model's mode and the global random state are afterwards as before.

        Args:
            seed: of the random state meanwhile.
        """
        devices = [self.accelerator.device] if self.accelerator.device.type == "cuda" else []
        training = self.model.training
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            self.model.eval()
            try:
                yield
            finally:
                self.model.train(training)

    def _sampling_model(self) -> AbstractContextManager[Any]:
        """The wrapped model that samples."""
        return nullcontext(self.model_wrapped)

    @contextmanager
    def _responding(self) -> Iterator[Respond]:
        """What samples responses while it lasts; sharded parameters are gathered once for all of them."""
        with (
            # The next one does so too, but does not undo it after an exception.
            disable_gradient_checkpointing(self.model, self.args.gradient_checkpointing_kwargs),
            self._sampling_model() as wrapped,
            unwrap_model_for_generation(wrapped, self.accelerator) as model,
            whole_parameters(model, self.accelerator),
            self.accelerator.autocast(),
        ):

            def respond(prompts: list[list[int]], max_new_tokens: int) -> list[list[int]]:
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

            yield respond

    def _sampled(self, prompts: list[list[int]], max_new_tokens: int) -> list[list[int]]:
        """A response per prompt."""
        with self._responding() as respond:
            return respond(prompts, max_new_tokens)

    def _answered(
        self, rows: list[dict], count: int, step: int, respond: Callable[[list[list[int]], int], tuple]
    ) -> list[Rollouts]:
        """Responses to the prompt of each row of the dataset, within max_length.

        Args:
            count: how many to each.
            step: the optimizer step whose policy it is.
            respond: gives responses, and the log-probabilities of their tokens or None.
        """
        limit, most = self.args.max_length, self.args.rollout_max_new_tokens
        prompts = [row["prompt_ids"] for row in rows]
        if limit is not None:
            if self.args.truncation_mode == "keep_end":
                # The collator would cut such a prompt after the policy has answered it whole.
                prompts = [ids[-max(limit - most, 1) :] for ids in prompts]
            most = max(min(most, limit - min(map(len, prompts))), 1)
        responses, logps = respond([ids for ids in prompts for _ in range(count)], most)
        if limit is not None:
            # What the collator would cut away is not trained on: the reward must not see it either.
            responses = [ids[: max(limit - len(prompts[i // count]), 0)] for i, ids in enumerate(responses)]
        ends = self._end_tokens()
        cut = [not ids or ids[-1] not in ends for ids in responses]
        sums = None
        if logps is not None:
            sums = [sum(tokens[: len(ids)]) for tokens, ids in zip(logps, responses, strict=True)]
        parts = [slice(first, first + count) for first in range(0, len(responses), count)]
        return [
            Rollouts(
                *(ids, responses[part], step, cut[part], [0.0] * count),
                sampler_logps=None if sums is None else sums[part],
            )
            for ids, part in zip(prompts, parts, strict=True)
        ]

    def _add_reference_logps(self, rollouts: list[Rollouts]):
        """Set the log-probabilities of all responses under the reference, two of a prompt side by side."""
        size = self.args.per_device_train_batch_size
        twos = [(group, i) for group in rollouts for i in _firsts_of_two(len(group.response_ids))]
        # Log-probabilities do not depend on what else is in the batch; similar lengths together save padding.
        twos.sort(key=lambda two: len(two[0].prompt_ids) + max(map(len, two[0].response_ids[two[1] : two[1] + 2])))
        for start in range(0, len(twos), size):
            some = twos[start : start + size]
            examples = [
                {"prompt_ids": of.prompt_ids, "chosen_ids": of.response_ids[i], "rejected_ids": of.response_ids[i + 1]}
                for of, i in some
            ]
            batch = {key: value.to(self.accelerator.device) for key, value in self.data_collator(examples).items()}
            for (group, i), *logps in zip(some, *self._reference_logps(batch), strict=True):
                group.ref_logps[i : i + 2] = [one.item() for one in logps]


def _firsts_of_two(count: int) -> list[int]:
    """Where each two of so many begin that stand side by side; of an odd number the last two share one with others."""
    return [*range(0, count - 1, 2), *([count - 2] if count % 2 else [])]
