"""What the source hh_rlhf is called and which keys its entries take."""

from pipeline.sources.keys import ROWS

ORDER = 3
SENTENCE = "Anthropic's hh-rlhf: two dialogues that differ in their last turn."
KEYS, REQUIRED = ROWS, ("path",)
