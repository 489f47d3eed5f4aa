"""What the source plain is called and which keys its entries take."""

from pipeline.config.fields import flag, number
from pipeline.sources.keys import LABEL_NOISE, LOCATION, SPLITS, USES

ORDER = 6
SENTENCE = "A dataset that has the columns prompt, chosen and rejected (text, or lists of messages), and maybe bt_prob."
RELABEL = {
    "relabel": flag("Draw the label of each train pair from its bt_prob, the probability that chosen is preferred."),
    "bt_noise_gauss": number(
        "Label noise: standard deviation of what is added to the logit of bt_prob before the draw; for relabel.",
        minimum=0,
        default=0,
        examples=[1.0],
    ),
}
KEYS, REQUIRED = {**LOCATION, **SPLITS, **RELABEL, **LABEL_NOISE, **USES}, ("path",)
