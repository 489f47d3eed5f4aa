"""What the source ultrafeedback is called and which keys its entries take."""

from pipeline.sources.keys import ROWS

ORDER = 2
SENTENCE = "UltraFeedback: of the four graded completions of an instruction, the best against the worst."
KEYS, REQUIRED = ROWS, ("path",)
