"""How a trainer uses an engine that samples in its place: started, watched whether it follows, its pairs weighed."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from transformers import TopPLogitsWarper

from sail.objective import importance_weights
from sail.sharding import is_sharded

if TYPE_CHECKING:
    from sail.engine import Engine

logger = logging.getLogger(__name__)

COMPARED = 8  # responses of a refill whose log-probabilities the engine and the model are compared in


class UsesEngine:
    """What `SamplesPairs` inherits."""

    args: Any
    accelerator: Any
    model: Any
    processing_class: Any
    _together: bool
    _engine: "Engine | None"
    _end_tokens: Any
    _log: Callable[[str, float], None]

    def _start_engine(self):
        """Start vLLM, where it is to sample, and see whether processes must refill together."""
        self._engine = None
        if self.args.use_vllm:
            from sail.engine import Engine  # imports vLLM

            self._engine = Engine(self.model, self.accelerator, self.processing_class, self.args, self._end_tokens())
        self._together = is_sharded(self.accelerator) or (self._engine is not None and self._engine.together)

    def _warn_if_approximate(self):
        args, reasons = self.args, []
        if args.has_extremes:
            reasons.append("the best and the worst of several responses are no independent draws")
        if args.vllm_importance_sampling_correction:
            if args.rollout_top_p != 1:
                reasons.append("weights do not bring back what top_p leaves out")
            if (args.vllm_importance_sampling_clip_min, args.vllm_importance_sampling_clip_max) != (None, None):
                reasons.append("importance weights are bounded")
        else:
            if args.rollout_temperature != 1 or args.rollout_top_p != 1:
                reasons.append("rollouts are not sampled at temperature 1 and top_p 1")
            if args.rollout_policy == "start":
                reasons.append("pairs are sampled by the policy that the training began with")
            elif args.max_age > 0:
                reasons.append(f"pairs may be up to {args.max_age} steps old")
        if args.estimator == "exact" and reasons:
            logger.warning("The online gradient is approximate: %s.", " and ".join(reasons))

    def _importance_weights(self, chosen_logps, rejected_logps, sampler_logps) -> torch.Tensor:
        """The weight of each row's pair, 1 of the dataset's; shape (B,)."""
        args = self.args
        weights = importance_weights(
            chosen_logps,
            rejected_logps,
            sampler_logps,
            args.vllm_importance_sampling_mode,
            args.vllm_importance_sampling_clip_min,
            args.vllm_importance_sampling_clip_max,
        )
        self._log("sail/importance_weight", weights[~sampler_logps.isnan()].mean().item())
        return weights

    @torch.no_grad()
    def _log_engine_gap(self, prompts: list[list[int]], responses: list[list[int]], logps: list[list[float]]):
        """How far the engine's log-probabilities of its tokens are from the model's, on the first few responses."""
        warp = TopPLogitsWarper(self.args.rollout_top_p) if self.args.rollout_top_p < 1 else lambda _, scores: scores
        gaps = []
        for prompt, ids, sampled in list(zip(prompts, responses, logps, strict=True))[:COMPARED]:
            tokens = torch.tensor([prompt + ids], device=self.accelerator.device)
            logits = self.model(tokens, logits_to_keep=len(ids) + 1).logits[0, -len(ids) - 1 : -1].float()
            right = warp(None, logits / self.args.rollout_temperature).log_softmax(-1)
            right = right.gather(1, tokens[0, -len(ids) :, None])[:, 0].cpu()
            gaps.append((right - torch.tensor(sampled)).abs())
        gap = torch.cat(gaps)
        gap = gap[gap.isfinite()]  # a token at the edge of the nucleus may be inside for one of them only
        self._log("sail/engine_gap", gap.mean().item())
        self._log("sail/engine_gap_max", gap.max().item())
