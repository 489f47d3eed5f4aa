"""`SAILConfig`: the parent's arguments and what SAIL adds to them."""

import math
from dataclasses import dataclass, field

from trl import DPOConfig

ESTIMATORS = ("exact", "upstream")
BASELINES = ("none", "mean", "leave-one-out")
LABEL_DRAWS = ("hard", "bernoulli")
VLLM_MODES = ("colocate", "server")
CORRECTIONS = ("sequence_mask", "sequence_truncate")
ROLLOUT_POLICIES = ("current", "start")
ROLLOUT_PAIRS = ("all", "extremes")


@dataclass
class SAILConfig(DPOConfig):
    """Arguments of `SAILTrainer`. The only change from `trl.DPOConfig` is the fields below.

    Each row of a training batch is routed on its own: to DDP with probability r, to DPP with p, to DPR with g; else it
    stays an offline DPO row. With r = p = g = 0 the trainer is `trl.DPOTrainer`.

    With rho, pi, gamma and revkl at 0 it is the plain mixture: routed rows are pairs as any others, for which each loss
    type and f-divergence of the parent is defined.

    So that the offline data is seen as often as plain DPO sees it, the number of epochs is divided by 1 − r − p − g.

    Raises:
        ValueError: a value out of its range, r + p + g > 1 or = 1 without max_steps, or a setting of the parent for
            which the extra terms are not defined. The message says what to set.
    """

    r: float = field(default=0.0, metadata={"help": "Share of rows labelled by the policy (DDP)."})
    rho: float = field(default=0.2, metadata={"help": "Weight of the extra gradient on DDP rows; 1 is exact."})
    p: float = field(default=0.0, metadata={"help": "Share of rows answered and labelled by the policy (DPP)."})
    pi: float = field(default=0.2, metadata={"help": "Weight of the extra gradient on DPP rows; 1 is exact."})
    g: float = field(default=0.0, metadata={"help": "Share of rows answered by the policy, labelled by reward (DPR)."})
    gamma: float = field(default=0.02, metadata={"help": "Weight of the extra gradient on DPR rows; 1 is exact."})
    estimator: str = field(default="exact", metadata={"help": f"Gradient estimator, one of {ESTIMATORS}."})
    upstream_scale: float = field(
        default=1.0,
        metadata={"help": "Factor of the upstream estimator's response part; the published code's own weight is 8."},
    )
    baseline: str = field(
        default="mean", metadata={"help": f"Baseline of the response part (exact estimator), one of {BASELINES}."}
    )
    revkl: float = field(default=0.0, metadata={"help": "Weight λ of KL(π_θ ‖ π_ref), estimated on policy responses."})
    label_draw: str = field(
        default="hard",
        metadata={"help": "DPR label: hard (higher reward wins) or bernoulli (drawn from σ of the difference)."},
    )
    reverse: bool = field(default=False, metadata={"help": "The reward is a cost: lower is better."})
    rollout_temperature: float = field(default=1.0, metadata={"help": "Sampling temperature; 1 is exact."})
    rollout_top_p: float = field(default=1.0, metadata={"help": "Nucleus sampling mass; 1 is exact."})
    rollout_max_new_tokens: int = field(default=256, metadata={"help": "Longest sampled response, in tokens."})
    rollout_prompts: int = field(default=64, metadata={"help": "Prompts per refill, all processes together."})
    rollout_responses: int = field(default=2, metadata={"help": "Responses to each prompt, at least 2."})
    rollout_pairs: str = field(
        default="all",
        metadata={
            "help": "Pairs of more than two responses to a prompt: all, every two of them, which is exact; or "
            "extremes, the best with the worst by reward, which is not (DPR alone)."
        },
    )
    rollout_batch_size: int = field(default=128, metadata={"help": "Responses generated side by side."})
    rollout_reuse: int = field(default=1, metadata={"help": "How many rows a sampled pair may stand for."})
    missing_eos_penalty: float | None = field(
        default=None,
        metadata={"help": "Taken off the reward of a response without an end; above 0. None takes nothing off."},
    )
    mask_truncated_completions: bool = field(
        default=False, metadata={"help": "Train on no sampled pair of which a response has no end."}
    )
    reward_weights: list[float] | None = field(
        default=None, metadata={"help": "Weights of the reward functions, one for each; 1 each where absent."}
    )
    share_prompt: bool = field(
        default=False, metadata={"help": "Compute the prompt that chosen and rejected have in common once."}
    )
    cache_implementation: str | None = field(
        default=None,
        metadata={"help": "Key-value cache of rollouts; static has one shape, for which a GPU's kernels are compiled."},
    )
    max_age: int = field(default=8, metadata={"help": "The most optimizer steps that a sampled pair may be old."})
    rollout_policy: str = field(
        default="current",
        metadata={
            "help": "Who samples pairs: the current policy, or start, the reference, whose pairs never grow old."
        },
    )
    # Names and defaults of TRL's GRPOConfig, but for the correction, which is on there.
    use_vllm: bool = field(default=False, metadata={"help": "Sample rollouts with vLLM instead of `generate`."})
    vllm_mode: str = field(
        default="colocate", metadata={"help": f"Where vLLM runs: in this process or on a server, one of {VLLM_MODES}."}
    )
    vllm_model_impl: str = field(default="vllm", metadata={"help": "vLLM's own models, `vllm`, or `transformers`."})
    vllm_enable_sleep_mode: bool = field(
        default=False, metadata={"help": "Give the engine's memory free between refills (colocate)."}
    )
    vllm_server_base_url: str | None = field(
        default=None,
        metadata={"help": "The server's address, instead of host and port: http://localhost:8000."},
    )
    vllm_server_host: str = field(default="0.0.0.0", metadata={"help": "The server's host."})
    vllm_server_port: int = field(default=8000, metadata={"help": "The server's port."})
    vllm_server_timeout: float = field(default=240.0, metadata={"help": "Seconds to wait for the server to be up."})
    vllm_group_port: int = field(default=51216, metadata={"help": "Port on which weights are sent to the server."})
    vllm_gpu_memory_utilization: float = field(
        default=0.3, metadata={"help": "Share of a GPU's memory that the engine takes (colocate)."}
    )
    vllm_max_model_length: int | None = field(
        default=None,
        metadata={"help": "Most tokens of prompt and response in the engine; max_length + rollout_max_new_tokens."},
    )
    vllm_tensor_parallel_size: int = field(default=1, metadata={"help": "GPUs that share an engine (colocate)."})
    vllm_importance_sampling_correction: bool = field(
        default=False,
        metadata={"help": "Weight a sampled row's terms by π(y1)π(y2)/q(y1)q(y2), q as the engine sampled the pair."},
    )
    vllm_importance_sampling_mode: str = field(
        default="sequence_mask",
        metadata={"help": f"What becomes of weights out of bounds, 0 or the bound; one of {CORRECTIONS}."},
    )
    vllm_importance_sampling_clip_max: float | None = field(
        default=3.0, metadata={"help": "Upper bound of a pair's weight; None for no bound, which is unbiased."}
    )
    vllm_importance_sampling_clip_min: float | None = field(default=None, metadata={"help": "Lower bound, or None."})

    def __post_init__(self):
        super().__post_init__()
        for name in ("r", "p", "g", "rho", "pi", "gamma"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {value}")
        for name, choices in (
            ("estimator", ESTIMATORS),
            ("baseline", BASELINES),
            ("label_draw", LABEL_DRAWS),
            ("vllm_mode", VLLM_MODES),
            ("vllm_importance_sampling_mode", CORRECTIONS),
            ("rollout_policy", ROLLOUT_POLICIES),
            ("rollout_pairs", ROLLOUT_PAIRS),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}")
        for name in ("rollout_max_new_tokens", "rollout_prompts", "rollout_batch_size", "rollout_reuse"):
            if not getattr(self, name) >= 1 or getattr(self, name) % 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {getattr(self, name)}")
        if not self.rollout_responses >= 2 or self.rollout_responses % 1:
            raise ValueError(f"rollout_responses must be a whole number of at least 2, not {self.rollout_responses}")
        for name in ("revkl", "max_age", "upstream_scale"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number of at least 0, not {getattr(self, name)}")
        if not 0 < self.rollout_temperature < math.inf or not 0 < self.rollout_top_p <= 1:
            raise ValueError(
                f"rollout_temperature must be > 0 and rollout_top_p in (0, 1], "
                f"not {self.rollout_temperature} and {self.rollout_top_p}"
            )
        if self.online_share > 1:
            raise ValueError(f"r + p + g must be at most 1, not {self.online_share:g}: lower one of them")
        if self.online_share == 1 and self.max_steps <= 0:
            raise ValueError("r + p + g = 1 leaves no offline row to count epochs by: set max_steps")
        if self.revkl > 0 and self.p + self.g == 0:
            raise ValueError("revkl is estimated on policy responses: set p or g above 0, or revkl to 0")
        if self.revkl > 0 and self.rollout_policy != "current":
            raise ValueError(
                "revkl is estimated on the current policy's responses: set rollout_policy so, or revkl to 0"
            )
        if self.has_extremes and (self.p > 0 or self.g == 0 or self.revkl > 0):
            raise ValueError(
                "rollout_pairs='extremes' are the reward's choice, for DPR rows alone: set g above 0, p and revkl to "
                "0, or rollout_pairs='all'"
            )
        self._check_rewards()
        self._check_vllm()
        if self.online_share > 0:
            self._check_parent_settings()

    @property
    def online_share(self) -> float:
        """r + p + g, rounded to absorb the error of summing decimal fractions."""
        return round(self.r + self.p + self.g, 12)

    @property
    def has_extremes(self) -> bool:
        """Whether pairs are chosen among the responses to a prompt by their rewards."""
        return self.rollout_pairs == "extremes" and self.rollout_responses > 2

    @property
    def pairs_per_prompt(self) -> int:
        """How many pairs the responses to a prompt make."""
        return 1 if self.has_extremes else math.comb(self.rollout_responses, 2)

    @property
    def has_dpo_loss(self) -> bool:
        """Whether the parent's loss is ℓ(Δ) = −log σ(Δ) itself, which the extra gradients are derived from."""
        own_weights = self.use_weighting or self.loss_weights not in (None, [1])
        return self.loss_type == ["sigmoid"] and self.f_divergence_type == "reverse_kl" and not own_weights

    def _check_rewards(self):
        penalty = self.missing_eos_penalty
        if penalty is not None and not 0 < penalty < math.inf:
            raise ValueError(f"missing_eos_penalty must be a number above 0, or None, not {penalty}")
        for weight in self.reward_weights or []:
            if not math.isfinite(weight):
                raise ValueError(f"reward_weights must be finite numbers, not {weight}")
        for name, is_set in (
            ("missing_eos_penalty", penalty is not None),
            ("reward_weights", self.reward_weights is not None),
        ):
            if is_set and self.g == 0:
                raise ValueError(f"{name} changes the rewards that DPR labels by: set g above 0, or leave it unset")
        if self.mask_truncated_completions and self.p + self.g == 0:
            raise ValueError("mask_truncated_completions is for sampled pairs: set p or g above 0, or leave it unset")

    def _check_vllm(self):
        corrected = self.vllm_importance_sampling_correction
        if self.use_vllm and self.p + self.g == 0:
            raise ValueError("use_vllm is for sampled pairs: set p or g above 0, or leave it unset")
        if self.use_vllm and self.rollout_policy != "current":
            raise ValueError("the engine has the current policy's weights: set rollout_policy so, or use_vllm off")
        if corrected and not self.use_vllm:
            raise ValueError("vllm_importance_sampling_correction needs the engine's log-probabilities: set use_vllm")
        if corrected and not self.has_dpo_loss:
            raise ValueError(
                "vllm_importance_sampling_correction weights DPO's own loss: set loss_type=['sigmoid'] with the "
                "reverse KL, or leave it unset"
            )
        low, high = self.vllm_importance_sampling_clip_min, self.vllm_importance_sampling_clip_max
        for name, bound in (("min", low), ("max", high)):
            if bound is not None and not 0 < bound < math.inf:
                raise ValueError(f"vllm_importance_sampling_clip_{name} must be a number above 0, or None, not {bound}")
        if low is not None and high is not None and low >= high:
            raise ValueError(
                f"vllm_importance_sampling_clip_min, {low}, must be below vllm_importance_sampling_clip_max, {high}"
            )

    def _check_parent_settings(self):
        weights = {"rho": self.r * self.rho, "pi": self.p * self.pi, "gamma": self.g * self.gamma, "revkl": self.revkl}
        plain = " = ".join([*(name for name, weight in weights.items() if weight > 0), "0"])
        if plain != "0":
            for name, right in (("loss_type", ["sigmoid"]), ("f_divergence_type", "reverse_kl")):
                if (value := getattr(self, name)) != right:
                    raise ValueError(
                        f"the extra gradients are defined for {name}={right!r}, not {value!r}: "
                        f"set it so, or {plain} (the plain mixture)"
                    )
            for name, is_set in (
                ("use_weighting", self.use_weighting),
                ("loss_weights", self.loss_weights not in (None, [1])),
            ):
                if is_set:
                    raise ValueError(
                        f"{name} changes the objective that the extra gradients belong to: leave it unset, "
                        f"or set {plain} (the plain mixture)"
                    )
        for name, is_set in (("sync_ref_model", self.sync_ref_model), ("ld_alpha", self.ld_alpha is not None)):
            if is_set:
                raise ValueError(
                    f"{name} changes the log-probabilities that online rows are labelled and kept with: "
                    "leave it unset, or set r = p = g = 0"
                )
