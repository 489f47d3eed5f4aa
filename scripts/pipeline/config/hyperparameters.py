"""Hyperparameters that several methods share, and what a method's rows are."""

from dataclasses import dataclass

from pipeline.config.arguments import BUDGETED, LIKE
from pipeline.config.fields import by_presence, choice, described_choice, flag, mapping, number, or_null, text, whole
from pipeline.jobs.parts import all_parts


@dataclass(frozen=True)
class Rows:
    """Rows of a batch that a method makes others of.

    Attributes:
        share: the hyperparameter that is their share of all rows.
        weight: the hyperparameter that is the weight of the extra gradient on them.
        sampled: whether the policy itself gives their responses.
        rewarded: whether the reward model labels them.
    """

    share: str
    weight: str
    sampled: bool = False
    rewarded: bool = False


OPTIMIZERS = (
    *("rmsprop", "adamw_torch", "adamw_torch_fused", "adafactor", "adagrad", "sgd"),
    *("adamw_bnb_8bit", "rmsprop_bnb_8bit", "paged_adamw_8bit"),
)
SCHEDULERS = ("cosine", "linear", "constant", "constant_with_warmup")
LOSSES = (
    *("sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired"),
    *("apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm"),
)

# What a budget may be of.
BUDGETS = {
    "steps": whole("Optimizer steps, as max_steps.", examples=[300]),
    "tokens": number("Tokens that are trained on and sampled.", exclusiveMinimum=0, examples=[2e6]),
    "seconds": number("Seconds of training.", exclusiveMinimum=0, examples=[600]),
    "relative": number("Seconds of training, as a multiple of the baseline's.", exclusiveMinimum=0, examples=[1.0]),
}

# Of DPO and its variants.
TRAINING = {
    "beta": number("Strength β of the tie to the reference policy.", exclusiveMinimum=0, default=0.1),
    "learning_rate": number("Peak learning rate.", exclusiveMinimum=0, maximum=1, default=1e-5),
    "epochs": number(
        "Passes over the train pairs. Mixtures divide it by 1 − r − p − g, so that the offline data is seen as often "
        "as by plain DPO.",
        exclusiveMinimum=0,
        default=1,
    ),
    "max_steps": or_null(
        whole("Optimizer steps; when given, it takes the place of epochs. Needed where r + p + g = 1.", examples=[500])
    ),
    "budget": by_presence(
        "How long to train, in place of epochs and max_steps: one of steps, tokens (trained on and sampled), seconds, "
        "and relative (seconds, as a multiple of the baseline's). It becomes steps once, before the training.",
        {kind: mapping("A budget.", {kind: schema}, (kind,)) for kind, schema in BUDGETS.items()},
        examples=[{"seconds": 600}],
    ),
    "steps_like": or_null(
        text(
            "Train for as many optimizer steps as another run of the same dataset, model and seed: its name, or a "
            "method that has exactly one run. Takes the place of epochs.",
            examples=["dpr"],
        )
    ),
    "seconds_like": or_null(
        text("Likewise for as many seconds, turned into steps once, before the training.", examples=["dpr"])
    ),
    "warmup_steps": whole("Optimizer steps of linear warm-up of the learning rate.", minimum=0, default=150),
    "global_batch_size": whole("Pairs per optimizer step, over all processes and accumulation steps.", default=32),
    "max_length": whole(
        "Most tokens of prompt and response together; longer ones lose the end of the response, and pairs whose prompt "
        "fills it are left out.",
        minimum=8,
        default=1024,
    ),
    "group_by_length": flag(
        "Put rows of like length into a batch: fewer padded positions, the order of the data less random."
    ),
    "optimizer": choice(
        "Optimizer, by the name that transformers gives it. The 8-bit ones need bitsandbytes.",
        OPTIMIZERS,
        default="rmsprop",
    ),
    "lr_scheduler": choice("Course of the learning rate after warm-up.", SCHEDULERS, default="cosine"),
    "weight_decay": number("Weight decay of the optimizer.", minimum=0, default=0),
    "max_grad_norm": number("Norm to which gradients are clipped.", exclusiveMinimum=0, default=1),
    "loss_type": choice(
        "Loss of a pair, by the name that TRL gives it; sigmoid alone has the extra gradient parts of SAIL, so others "
        "need rho, pi and gamma to be 0.",
        LOSSES,
        default="sigmoid",
    ),
    "label_smoothing": number(
        "Share of labels taken to be flipped, for the losses that know it (robust, exo_pair, aot, aot_unpaired).",
        minimum=0,
        exclusiveMaximum=0.5,
        default=0,
    ),
}
# Of every method: not the losses of pairs.
COMMON = {key: schema for key, schema in TRAINING.items() if key not in ("loss_type", "label_smoothing")}
# Of those that put no rows of like length together.
UNGROUPED = {key: schema for key, schema in COMMON.items() if key != "group_by_length"}
# Of the methods that compare the responses of one prompt with each other.
GROUPS = {
    "global_batch_size": whole(
        "Responses per optimizer step, over all processes and accumulation steps; a multiple of num_generations.",
        default=32,
    ),
    "num_generations": whole("Responses to each prompt.", minimum=2, default=2),
    "max_completion_length": whole("Most tokens of a response that the policy samples.", default=512),
    "temperature": number("Sampling temperature of the policy's responses.", exclusiveMinimum=0, default=1),
    "top_p": number(
        "The policy's responses are sampled among the most likely tokens that together have this probability.",
        exclusiveMinimum=0,
        maximum=1,
        default=1,
    ),
    "generation_batch_size": or_null(
        whole(
            "Responses that are sampled at a time, a multiple of global_batch_size; null for those of one step.",
            examples=[64],
        )
    ),
    "num_iterations": whole("How often each response is trained on.", default=1),
    "epsilon": number(
        "Range ε about 1 that the ratio to the sampling policy is clipped to. Read where the policy changes while its "
        "responses are trained on: with num_iterations above 1, or generation_batch_size above global_batch_size.",
        minimum=0,
        default=0.2,
    ),
    "mask_truncated_completions": flag("Train on no response that was cut before its end."),
}
# Of the methods that keep the best of several responses of the model that policies start from; and how those are
# sampled that are no judged responses, which have a decoding.
BACKENDS = all_parts("backends", "description")
CANDIDATES = {
    "n": whole("Responses to each prompt, of which the one with the highest reward is kept.", minimum=2, default=16),
    "missing_eos_penalty": or_null(
        number(
            "Taken off the reward of a response that was cut before its end; null takes nothing off.",
            exclusiveMinimum=0,
            examples=[1.0],
        )
    ),
}
SAMPLING = {
    **{key: GROUPS[key] for key in ("temperature", "top_p")},
    "max_new_tokens": whole("Most tokens of a response that the policy samples.", default=256),
    "backend": choice(described_choice("What generates the responses", BACKENDS), BACKENDS, default="transformers"),
}
# Of the methods with an extra gradient.
ESTIMATOR = {
    "estimator": choice(
        "Estimator of the extra gradient parts: exact is the derived one, upstream the published code's.",
        ("exact", "upstream"),
        default="exact",
    )
}
# Of the methods whose policy gives responses.
ROLLOUTS = {
    "variance_baseline": choice(
        "Baseline subtracted from the loss in the response part, to lower its variance.",
        ("none", "mean", "leave-one-out"),
        default="mean",
    ),
    "upstream_scale": number(
        "Factor of the upstream estimator's response part; the published code's own weight is 8.", minimum=0, default=1
    ),
    "revkl": number(
        "Weight λ of KL(policy ‖ reference), estimated on the policy's responses and added to the objective. Above 0 "
        "it needs p or g above 0.",
        minimum=0,
        default=0,
    ),
    "rollout_temperature": number(
        "Sampling temperature of the policy's responses. At 1 the gradient is exact, elsewhere approximate.",
        exclusiveMinimum=0,
        default=0.9,
    ),
    "rollout_top_p": number(
        "The policy's responses are sampled among the most likely tokens that together have this probability. At 1 "
        "the gradient is exact, elsewhere approximate.",
        exclusiveMinimum=0,
        maximum=1,
        default=1,
    ),
    "rollout_max_new_tokens": whole("Most tokens of a response that the policy samples.", default=256),
    "mask_truncated_completions": flag(
        "Train on no pair of which a response was cut at rollout_max_new_tokens, before its end."
    ),
    "rollout_responses": whole("Responses that the policy samples to each prompt.", minimum=2, default=2),
    "rollout_prompts": whole("Prompts for which pairs are sampled at a time, over all processes.", default=64),
    "rollout_reuse": whole("How many rows a sampled pair may stand for.", default=1),
    "max_age": whole(
        "Most optimizer steps that may lie between sampling a pair and training on it.", minimum=0, default=8
    ),
    "use_vllm": flag(
        "Let vLLM, where that package is installed, sample the policy's responses in the training's own process."
    ),
    "vllm_importance_sampling_correction": flag(
        "Weight a sampled row by how likely the policy is to give its two responses, over how likely vLLM was to "
        "sample them: corrects age, temperature and vLLM's rounding."
    ),
    "vllm_importance_sampling_mode": choice(
        "What becomes of a weight above the bound: sequence_mask, 0; sequence_truncate, the bound.",
        ("sequence_mask", "sequence_truncate"),
        default="sequence_mask",
    ),
    "vllm_importance_sampling_clip_max": or_null(
        number("Upper bound of a row's weight; null for none, which is unbiased.", exclusiveMinimum=0, default=3.0)
    ),
    "rollout_policy": choice(
        "Which policy samples the pairs: current, as it is after so many steps, or start, the one that the training "
        "begins with, so that no pair is fresher than one sampled before the first step.",
        ("current", "start"),
        default="current",
    ),
}
VLLM = tuple(key for key in ROLLOUTS if "vllm" in key)
# In no spec and no table where they have their default.
UNSAID = (
    *("mask_truncated_completions", "missing_eos_penalty", "rollout_policy", "rollout_responses", "rollout_pairs"),
    *("backend", *LIKE, *VLLM),
    *(key for key in BUDGETED.values() if key != "max_steps"),
)
# How a run is trained, rather than what it minimises: part of its name only where its task sets it.
HOW_TRAINED = (
    *(key for key in TRAINING if key not in ("beta", "loss_type", "label_smoothing")),
    *BUDGETED.values(),
    *(key for key in ROLLOUTS if key.startswith("rollout_") and key != "rollout_policy"),
    *("max_age", "max_new_tokens", "max_completion_length", "generation_batch_size", "backend", *VLLM),
)


def share(description: str, default: float) -> dict:
    """A share of the rows; it is 0 in a mixture."""
    return number(f"Share of rows that become {description}", minimum=0, maximum=1, default=default)


def weight(description: str, default: float) -> dict:
    """A weight of a part of the gradient."""
    return number(f"Weight {description}; 1 is the exact gradient.", minimum=0, maximum=1, default=default)
