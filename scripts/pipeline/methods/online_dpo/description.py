"""What the method online_dpo is called, takes and looks like."""

from pipeline.config.fields import choice, number, or_null, whole
from pipeline.config.hyperparameters import UNGROUPED

ORDER = 10
SENTENCE = "Online DPO: the policy answers each prompt twice, the reward model says which answer is chosen."
CARD = "Online DPO: DPO on two responses of the policy to each prompt, labelled by a reward model, with TRL's trainer."
OWN = {
    "loss_type": choice("Loss of a pair, by the name that TRL gives it.", ("sigmoid", "ipo"), default="sigmoid"),
    "max_new_tokens": whole("Most tokens of a response that the policy samples.", default=64),
    "temperature": number("Sampling temperature of the policy's responses.", exclusiveMinimum=0, default=0.9),
    "top_p": number(
        "The policy's responses are sampled among the most likely tokens that together have this probability.",
        exclusiveMinimum=0,
        maximum=1,
        default=1,
    ),
    "missing_eos_penalty": or_null(
        number(
            "Taken off the reward of a response that was cut before its end; null takes nothing off.",
            exclusiveMinimum=0,
            examples=[1.0],
        )
    ),
}
HYPERPARAMETERS = UNGROUPED | OWN
ROWS = ()
SAMPLED = {"per_prompt": 2, "per_row": 2, "new_tokens": "max_new_tokens"}  # its responses
REWARDED = True  # a reward model labels its responses
BY_PAIRS = True  # an epoch has the prompt of each pair once
COLOR, MARKER = "green", "cross"
