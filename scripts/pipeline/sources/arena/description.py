"""What the source arena is called and which keys its entries take."""

from pipeline.config.fields import choice
from pipeline.sources.keys import LABEL_NOISE, LOCATION, SPLITS, UNLABELLED, USES

ORDER = 9
SENTENCE = "Chatbot Arena: two conversations, and which of their models won."
TURNS = {
    "several_turns": choice(
        "What becomes of conversations whose users' turns went on after the first answers that differ: cut keeps the "
        "pair of these answers, drop leaves the row out.",
        ("cut", "drop"),
        default="cut",
    )
}
KEYS, REQUIRED = {**LOCATION, **TURNS, **SPLITS, **LABEL_NOISE, **UNLABELLED, **USES}, ("path",)
