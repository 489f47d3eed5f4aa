"""What the source helpsteer3 is called and which keys its entries take."""

from pipeline.sources.keys import ROWS

ORDER = 8
SENTENCE = "NVIDIA's HelpSteer3: two responses to a context, and how much the one or the other is better."
KEYS, REQUIRED = ROWS, ("path",)
