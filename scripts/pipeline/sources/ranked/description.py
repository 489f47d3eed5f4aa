"""What the source ranked is called and which keys its entries take."""

from pipeline.config.fields import choice
from pipeline.sources.keys import LABEL_NOISE, LOCATION, SPLITS, UNLABELLED, USES

ORDER = 10
SENTENCE = "Ranked answers to a prompt, such as Nectar's: prompt, and answers with answer and rank, 1 being the best."
PAIRS = {
    "pairs": choice(
        "Which pairs are made of the ranked answers: the best with the worst, or each with the next.",
        ("extremes", "adjacent"),
        default="extremes",
    )
}
KEYS, REQUIRED = {**LOCATION, **PAIRS, **SPLITS, **LABEL_NOISE, **UNLABELLED, **USES}, ("path",)
