"""What the method dpr is called, takes and looks like."""

from pipeline.config.fields import choice, number, or_null
from pipeline.config.hyperparameters import ESTIMATOR, ROLLOUTS, TRAINING, Rows, share, weight

ORDER = 5
SENTENCE = "SAIL-DPR: the policy samples pairs, the reward model labels them."
CARD = "SAIL's DPR: DPO in which a share g of the rows is answered by the policy and labelled by a reward model."
ROWS = (Rows(share="g", weight="gamma", sampled=True, rewarded=True),)
LABELS = {
    "rollout_pairs": choice(
        "Pairs of more than two responses to a prompt: all, every two of them, which leaves the gradient exact; or "
        "extremes, the best with the worst by reward, which does not.",
        ("all", "extremes"),
        default="all",
    ),
    "label_draw": choice(
        "How the reward model labels a pair of DPR: hard, the higher score wins; bernoulli, a draw from "
        "σ(score difference).",
        ("hard", "bernoulli"),
        default="hard",
    ),
    "missing_eos_penalty": or_null(
        number(
            "Taken off the reward of a response that was cut at rollout_max_new_tokens, before its end; null takes "
            "nothing off.",
            exclusiveMinimum=0,
            examples=[1.0],
        )
    ),
}
OWN = {
    "g": share("DPR rows: the policy's responses, labelled by the reward model.", 0.3),
    "gamma": weight("γ of the response part of the gradient on DPR rows", 0.02),
}
HYPERPARAMETERS = {**TRAINING, **ESTIMATOR, **ROLLOUTS, **LABELS, **OWN}
BY_PAIRS = True  # an epoch is a pass over the pairs
COLOR, MARKER = "vermilion", "triangle-down"
