"""What the method rloo is called, takes and looks like."""

from pipeline.config.fields import flag, number
from pipeline.config.hyperparameters import GROUPS, UNGROUPED

ORDER = 12
SENTENCE = "RLOO: several responses of the policy to each prompt, each against the mean reward of the others."
CARD = (
    "RLOO: REINFORCE with several responses to each prompt, each against the others' mean reward, with TRL's trainer."
)
OWN = {
    "beta": number("Weight of the KL to the reference, which is taken off rewards.", minimum=0, default=0.05),
    "normalize_advantages": flag("Divide advantages by their standard deviation in the batch."),
}
HYPERPARAMETERS = UNGROUPED | GROUPS | OWN
ROWS = ()
SAMPLED = {"per_prompt": "num_generations", "per_row": 1, "new_tokens": "max_completion_length"}  # its responses
REWARDED = True  # a reward model scores its responses
IMPLICIT_REWARD = False  # its policy is no reward model of pairs
COLOR, MARKER = "pink", "square"
