"""What the method iterated_dpo is called, takes and looks like."""

from pipeline.config.fields import choice, whole
from pipeline.config.hyperparameters import CANDIDATES, SAMPLING, TRAINING, UNGROUPED

ORDER = 13
SENTENCE = (
    "Iterated DPO: in each round the policy answers anew, and its best response to a prompt goes against its worst."
)
CARD = (
    "Iterated DPO: rounds of DPO on the policy's own responses, the best of several against the worst by a reward "
    "model, with TRL's DPOTrainer."
)
OWN = {
    "rounds": whole("Rounds of sampling and training, which share the steps evenly.", default=3),
    "n": whole(
        "Responses to each prompt, of which the best and the worst by reward are a pair; a prompt whose responses tie "
        "has none.",
        minimum=2,
        default=8,
    ),
    "round_prompts": choice(
        "Prompts of a round: split, each prompt is in one round; all, each is in every round, so that an epoch has it "
        "once in each.",
        ("split", "all"),
        default="split",
    ),
    "round_reference": choice(
        "Reference policy: start, the one that the training begins with; previous, the one that the round begins with.",
        ("start", "previous"),
        default="start",
    ),
    **{key: TRAINING[key] for key in ("loss_type", "label_smoothing")},
    **{key: SAMPLING[key] for key in ("max_new_tokens", "temperature", "top_p")},
    "missing_eos_penalty": CANDIDATES["missing_eos_penalty"],
}
# Its order of the data is its own, so rows cannot be grouped by length.
HYPERPARAMETERS = UNGROUPED | OWN
ROWS = ()
SAMPLED = {"per_prompt": "n", "per_row": 2, "kept": 2, "new_tokens": "max_new_tokens"}  # its responses
REWARDED = True  # a reward model ranks its responses
BY_PAIRS = True  # an epoch has the prompt of each pair once, or once a round
COLOR, MARKER = "vermilion", "square"
