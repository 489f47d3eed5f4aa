"""What the method online_dpo is called, takes and looks like."""

from pipeline.config.fields import choice
from pipeline.config.hyperparameters import CANDIDATES, SAMPLING, UNGROUPED

ORDER = 10
SENTENCE = "Online DPO: the policy answers each prompt twice, the reward model says which answer is chosen."
CARD = "Online DPO: DPO on two responses of the policy to each prompt, labelled by a reward model, with TRL's trainer."
OWN = {
    "loss_type": choice("Loss of a pair, by the name that TRL gives it.", ("sigmoid", "ipo"), default="sigmoid"),
    "max_new_tokens": SAMPLING["max_new_tokens"] | {"default": 64},
    "temperature": SAMPLING["temperature"] | {"default": 0.9},
    "top_p": SAMPLING["top_p"],
    "missing_eos_penalty": CANDIDATES["missing_eos_penalty"],
}
HYPERPARAMETERS = UNGROUPED | OWN
ROWS = ()
SAMPLED = {"per_prompt": 2, "per_row": 2, "new_tokens": "max_new_tokens"}  # its responses
REWARDED = True  # a reward model labels its responses
BY_PAIRS = True  # an epoch has the prompt of each pair once
COLOR, MARKER = "green", "cross"
