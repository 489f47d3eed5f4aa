"""What the source summarize is called and which keys its entries take."""

from pipeline.sources.keys import ROWS

ORDER = 4
SENTENCE = "OpenAI's summaries of posts, of which people chose one."
KEYS, REQUIRED = ROWS, ("path",)
