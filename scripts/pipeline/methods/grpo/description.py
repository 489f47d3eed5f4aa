"""What the method grpo is called, takes and looks like."""

from pipeline.config.fields import choice, number, or_null
from pipeline.config.hyperparameters import GROUPS, UNGROUPED

ORDER = 11
SENTENCE = "GRPO: several responses of the policy to each prompt, against the mean reward of their group."
CARD = (
    "GRPO: policy gradients of several responses to each prompt, by their rewards in their group, with TRL's trainer."
)
OWN = {
    "beta": number("Weight of the KL to the reference in the loss; at 0 there is none.", minimum=0, default=0),
    "loss_type": choice(
        "How tokens are summed, by the name that TRL gives it.",
        ("grpo", "dr_grpo", "dapo", "bnpo", "cispo"),
        default="dapo",
    ),
    "num_generations": GROUPS["num_generations"] | {"default": 8},
    "epsilon_high": or_null(
        number(
            "How far above 1 the ratio is clipped, where that is not epsilon; read where epsilon is. cispo needs it "
            "and reads it alone: its weight of a token, the ratio itself, is at most this.",
            exclusiveMinimum=0,
            examples=[0.28],
        )
    ),
    "scale_rewards": choice(
        "By which standard deviation rewards are divided: of the group, of the batch, or none.",
        ("group", "batch", "none"),
        default="group",
    ),
}
HYPERPARAMETERS = UNGROUPED | GROUPS | OWN
ROWS = ()
SAMPLED = {"per_prompt": "num_generations", "per_row": 1, "new_tokens": "max_completion_length"}  # its responses
REWARDED = True  # a reward model scores its responses
IMPLICIT_REWARD = False  # its policy is no reward model of pairs
COLOR, MARKER = "blue", "square"
