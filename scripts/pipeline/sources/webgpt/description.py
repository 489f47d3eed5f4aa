"""What the source webgpt is called and which keys its entries take."""

from pipeline.sources.keys import ROWS

ORDER = 5
SENTENCE = "OpenAI's WebGPT comparisons: two scored answers to a question."
KEYS, REQUIRED = ROWS, ("path",)
