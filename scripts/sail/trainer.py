"""`SAILTrainer`: TRL's DPOTrainer with online rows."""

import contextlib
import copy
import math
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset, IterableDataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sail import objective
from sail.baseline import VarianceBaseline
from sail.checkpoint import Resumable
from sail.config import SAILConfig
from sail.internals import add_metric
from sail.objective import DDP, DPP, DPR, OFFLINE, ROUTES
from sail.reference import REFERENCE_COLUMNS, Recorder, ReferenceColumnsDPOTrainer, brings_reference
from sail.rewards import RewardFunctions, reward_function
from sail.rollouts import RewardFunction, RolloutPool
from sail.sampling import SamplesPairs
from sail.unlabelled import TakesUnlabelled

if TYPE_CHECKING:
    from peft import PeftModel


class SAILTrainer(Resumable, SamplesPairs, TakesUnlabelled, ReferenceColumnsDPOTrainer):  # type: ignore[misc]
    """Online DPO (SAIL, arXiv 2406.15567): DDP, DPP, DPR and any mix of them with offline rows.

    The only change from DPOTrainer is that each row of a training batch may be routed: to DDP (the policy labels the
    offline pair), DPP (the policy answers and labels) or DPR (the policy answers, a reward labels), see `SAILConfig`.
    Routed rows get the extra gradient of `sail.objective`; the loss of TRL stays as it is and a delta is added. With
    r = p = g = 0 nothing is added, drawn or replaced. With p or g above 0 the dataset's responses end with the end of
    sequence, as sampled ones do, without what a chat template writes behind it (ChatML's line break).

    Args:
        reward_funcs: for DPR, in TRL's convention: a callable, of which `reward(prompts=…, completions=…,
            completion_ids=…, trainer_state=…, log_metric=…, **columns)` gives a list of floats, None for what it does
            not apply to (prompts and completions are texts, or lists of messages if the dataset is conversational, and
            columns are the dataset's other columns); it may be a coroutine function. Or a sequence classifier with one
            label, or its hub id or folder. A list of these is their sum, weighted by `reward_weights` of the arguments.
        reward_processing_classes: the classifier's tokenizer, or a list with one for each function, None where it has
            none; loaded with the classifier where absent.
        unlabelled_dataset: pairs without a preference, in train_dataset's columns, which DDP rows then are.
        Others: as DPOTrainer's. A dataset's columns `ref_chosen_logps` and `ref_rejected_logps` are taken as they are.

    Raises:
        ValueError: g > 0 without `reward_funcs`, or `unlabelled_dataset` without r > 0.
    """

    _tag_names = ["trl", "dpo", "sail"]  # noqa: RUF012
    _name = "SAIL"
    precompute_ref_logps: bool

    def __init__(
        self,
        model: "str | PreTrainedModel | PeftModel",
        ref_model: PreTrainedModel | None = None,
        args: SAILConfig | None = None,
        data_collator: Any = None,
        train_dataset: Any = None,
        *others: Any,
        reward_funcs: RewardFunction | str | PreTrainedModel | list | None = None,
        reward_processing_classes: PreTrainedTokenizerBase | list | None = None,
        unlabelled_dataset: Dataset | None = None,
        **kwargs: Any,
    ) -> None:
        args = SAILConfig("SAIL") if args is None else copy.copy(args)
        if args.g > 0 and reward_funcs is None:
            raise ValueError("g > 0 (DPR) needs a reward: pass reward_funcs, or set g=0")
        if args.max_steps <= 0:
            args.num_train_epochs = args.num_train_epochs / (1 - args.online_share)
        self._samples = args.p + args.g > 0
        if self._samples:
            # The parent keeps a reference model only without its flag, and rollouts need one.
            args.precompute_ref_log_probs = False
        elif brings_reference(train_dataset):
            args.precompute_ref_log_probs = True
        if self._samples and isinstance(train_dataset, IterableDataset):
            raise ValueError("rollouts draw prompts by row: pass a Dataset, no IterableDataset, or set p and g to 0")
        super().__init__(model, ref_model, args, data_collator, train_dataset, *others, **kwargs)
        self._set_unlabelled(unlabelled_dataset)
        self.reward_function: RewardFunctions | None = None
        if reward_funcs is not None:
            self.reward_function = reward_function(
                reward_funcs, reward_processing_classes, self.accelerator.device, args.reward_weights
            )
        if self._samples:
            self._cut_responses()
            age = args.max_age if args.rollout_policy == "current" else math.inf
            self.pool = RolloutPool(age, args.rollout_reuse)
            self._walk_prompts(0)
            self._start_engine()
            self._rollout_rng = random.Random(f"{args.seed}:{self.accelerator.process_index}:rollouts")
            self._warn_if_approximate()
        self.rollout_seconds, self.rollout_tokens = 0.0, 0
        self._routing = torch.Generator().manual_seed(args.seed * 1009 + self.accelerator.process_index)
        # Labels have draws of their own: a row's route does not depend on how the batch is split.
        self._labels = torch.Generator().manual_seed(
            random.Random(f"{args.seed}:{self.accelerator.process_index}:labels").getrandbits(63)
        )
        self._baseline = VarianceBaseline(args.baseline)
        if args.share_prompt:
            self.share_prompts()

    def _state(self) -> dict:
        """What this process has drawn, sampled and counted so far."""
        state = {
            "routing": self._routing.get_state(),
            "labels": self._labels.get_state(),
            "baseline": self._baseline.state_dict(),
            "rollout_seconds": self.rollout_seconds,
            "rollout_tokens": self.rollout_tokens,
            "unlabelled_drawn": self._unlabelled_drawn,
        }
        if self._samples:
            state |= {
                "pool": self.pool.state_dict(),
                "prompts_drawn": self._prompts_drawn,
                "rollout_rng": self._rollout_rng.getstate(),
            }
        return state

    def _load_state(self, state: dict):
        self._routing.set_state(state["routing"])
        self._labels.set_state(state["labels"])
        self._baseline.load_state_dict(state["baseline"])
        self.rollout_seconds, self.rollout_tokens = state["rollout_seconds"], state.get("rollout_tokens", 0)
        self._walk_unlabelled(state.get("unlabelled_drawn", 0))
        if self._samples:
            self.pool.load_state_dict(state["pool"])
            self._rollout_rng.setstate(state["rollout_rng"])
            self._walk_prompts(state["prompts_drawn"])

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        has_reference = set(REFERENCE_COLUMNS) <= set(inputs)
        if not self.model.training or self.args.online_share == 0:
            with self._reference_in_batch(has_reference):
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        routes = self._draw_routes(len(inputs["input_ids"]) // 2)
        inputs = self._put_unlabelled(inputs, routes)
        if not has_reference:
            inputs |= dict(zip(REFERENCE_COLUMNS, self._reference_logps(inputs), strict=True))
        inputs, routes, pairs = self._replace_rows(inputs, routes)
        routes, pairs = routes.to(inputs["input_ids"].device), pairs.to(inputs["input_ids"].device)
        if self.args.r + self.args.p > 0 and not self.args.has_dpo_loss:
            inputs = self._label_by_policy(inputs, routes)
        sampler_logps = inputs.pop("sampler_logps", None)
        recorder = Recorder(self.shared(model))
        with self._reference_in_batch(True):
            loss = super().compute_loss(recorder, inputs, False, num_items_in_batch)
        self._log("sail/dpo_loss", loss.detach().item())
        return loss + self._online_terms(inputs, routes, pairs, *recorder.logps(inputs), sampler_logps).mean()

    def _reference_logps(self, inputs):
        return self.compute_ref_log_probs(self.ref_model or self.model, inputs)

    @contextlib.contextmanager
    def _reference_in_batch(self, is_there: bool) -> Iterator[None]:
        """The parent's loss reads the reference log-probabilities from the batch if they are there."""
        before, self.precompute_ref_logps = self.precompute_ref_logps, is_there
        try:
            yield
        finally:
            self.precompute_ref_logps = before

    def _draw_routes(self, size: int) -> torch.Tensor:
        """A route per row of the batch, shape (size,)."""
        r, p, g = self.args.r, self.args.p, self.args.g
        draws = torch.rand(size, generator=self._routing, dtype=torch.float64)
        edges = torch.tensor([r, r + p, r + p + g], dtype=torch.float64)
        return torch.tensor([DDP, DPP, DPR, OFFLINE])[torch.bucketize(draws, edges, right=True)]

    def _replace_rows(self, inputs: dict, routes: torch.Tensor) -> tuple[dict, torch.Tensor, torch.Tensor]:
        """Put sampled pairs in the place of the rows routed to DPP and DPR.

        A row for which the pool has no usable pair stays the offline row that it was, route OFFLINE.

        Returns:
            The batch, the routes, and numbers of the rows' pairs, equal where these have a response in common.
        """
        pairs = -1 - torch.arange(len(routes))
        wanted = [row for row, route in enumerate(routes.tolist()) if route in (DPP, DPR)]
        if self._samples:
            self._log("sail/stale_pairs", self.pool.drop_stale(self.state.global_step))
            self._refill_together(len(wanted))
        if not wanted:
            return inputs, routes, pairs
        routes, taken, reuses = routes.clone(), {}, []
        for row in wanted:
            pair = self._next_pair(routes[row].item())  # type: ignore[arg-type]
            if pair is None:
                routes[row] = OFFLINE
                continue
            taken[row], pairs[row] = pair, id(pair) if pair.group is None else pair.group
            reuses.append(pair.uses - 1)
        if not taken:
            return inputs, routes, pairs
        self._log("sail/age", sum(self.state.global_step - pair.step for pair in taken.values()) / len(taken))
        self._log("sail/reuse", sum(reuses) / len(reuses))
        examples = self._examples(inputs)
        for row, pair in taken.items():
            examples[row] = pair.as_example(by_reward=routes[row].item() == DPR)
        batch = self.data_collator(examples)
        if self.args.vllm_importance_sampling_correction:
            batch["sampler_logps"] = torch.full((len(routes),), math.nan)
            for row, pair in taken.items():
                batch["sampler_logps"][row] = sum(pair.sampler_logps)  # type: ignore[arg-type]
        return {key: value.to(inputs["input_ids"].device) for key, value in batch.items()}, routes, pairs

    def _examples(self, inputs: dict) -> list[dict]:
        """The rows of a collated batch as the tokenised examples that they were, cut to max_length."""
        examples = []
        size = len(inputs["input_ids"]) // 2
        attended, completion = inputs["attention_mask"].bool(), inputs["completion_mask"].bool()
        for row in range(size):
            prompts = [inputs["input_ids"][i][attended[i] & ~completion[i]].tolist() for i in (row, row + size)]
            example = {
                # Cut at the beginning, a prompt is longer beside the shorter response; cut again, it gives both.
                "prompt_ids": max(prompts, key=len),
                "chosen_ids": inputs["input_ids"][row][completion[row]].tolist(),
                "rejected_ids": inputs["input_ids"][row + size][completion[row + size]].tolist(),
            }
            examples.append(example | {name: inputs[name][row].item() for name in REFERENCE_COLUMNS if name in inputs})
        return examples

    def _label_by_policy(self, inputs: dict, routes: torch.Tensor) -> dict:
        """The batch with a label drawn from the policy on DDP and DPP rows: with it such a row is a pair as any other.

        Only where the loss is not DPO's, for which the expectation over both labels has a closed form. It is asked of
        the model itself: a wrapper that spreads it over processes would wait for the others here.
        """
        recorder = Recorder(self.shared(self.model))
        with torch.no_grad():
            recorder.forward(inputs)
        chosen, rejected = (
            objective.divergence_scores(
                logps - inputs[name], self.args.f_divergence_type, self.args.f_alpha_divergence_coef
            )
            for logps, name in zip(recorder.logps(inputs), REFERENCE_COLUMNS, strict=True)
        )
        flipped = self._draw_flips(self.args.beta * (chosen - rejected), routes)
        rows = torch.arange(2 * len(flipped), device=flipped.device)
        rows = torch.where(flipped.repeat(2), rows.roll(len(flipped)), rows)
        reference = torch.cat([inputs[name] for name in REFERENCE_COLUMNS])[rows].chunk(2)
        relabelled = {key: value[rows] for key, value in inputs.items() if key not in REFERENCE_COLUMNS}
        return relabelled | dict(zip(REFERENCE_COLUMNS, reference, strict=True))

    def _draw_flips(self, margin: torch.Tensor, routes: torch.Tensor) -> torch.Tensor:
        """The DDP and DPP rows whose label, drawn from σ(Δ), is not the batch's; shape (B,), bool."""
        draws = torch.rand(len(margin), generator=self._labels, dtype=torch.float64).to(margin.device)
        flipped = (draws > torch.sigmoid(margin)) & ((routes == DDP) | (routes == DPP))
        self._log("sail/label_flips", flipped.sum().item())
        return flipped

    def _online_terms(self, inputs, routes, pairs, chosen_logps, rejected_logps, sampler_logps=None) -> torch.Tensor:
        """What the routed rows add to their DPO losses, shape (B,)."""
        args = self.args
        reference = [inputs[name] for name in REFERENCE_COLUMNS]
        margin = objective.preference_margin(chosen_logps, rejected_logps, *reference, args.beta)  # type: ignore[call-arg]
        weights = {"rho": args.rho, "pi": args.pi, "gamma": args.gamma}
        if not args.has_dpo_loss:
            terms = torch.zeros_like(margin)
        elif args.estimator == "exact":
            baseline = self._baseline(margin.detach(), routes, pairs, self.state.global_step)
            terms = objective.exact_terms(margin, chosen_logps, rejected_logps, routes, baseline=baseline, **weights)
            # No label is drawn; so many would be turned in expectation.
            by_policy = (routes == DDP) | (routes == DPP)
            self._log("sail/label_flips", torch.sigmoid(-margin.detach())[by_policy].sum().item())
        else:
            flipped = self._draw_flips(margin, routes)
            weights["scale"] = args.upstream_scale
            terms = objective.upstream_terms(margin, chosen_logps, rejected_logps, routes, flipped, **weights)
        if args.revkl > 0:
            on_policy = (routes == DPP) | (routes == DPR)
            penalty = objective.reverse_kl_terms(chosen_logps, rejected_logps, *reference, on_policy)  # type: ignore[call-arg]
            terms = terms + args.revkl / (args.p + args.g) * penalty
        if sampler_logps is not None:
            importance = self._importance_weights(chosen_logps, rejected_logps, sampler_logps)
            terms = objective.weighted_terms(margin, terms, importance)
        log_ratios = (chosen_logps - reference[0] + rejected_logps - reference[1]).detach() / 2
        for route, name in {OFFLINE: "offline", **ROUTES}.items():
            rows = routes == route
            count = rows.sum().item()
            self._log(f"sail/rows_{name}", count)
            if count and route != OFFLINE:
                self._log(f"sail/extra_loss_{name}", terms.detach()[rows].mean().item())
            if count and route in (DPP, DPR):
                # Over the policy's own responses (as old as `sail/age` says) the mean log-ratio estimates the KL.
                self._log("sail/kl", log_ratios[rows].mean().item())
        self._log("sail/extra_loss", terms.detach().mean().item())
        return terms

    def _log(self, name: str, value: float):
        add_metric(self, name, value)
