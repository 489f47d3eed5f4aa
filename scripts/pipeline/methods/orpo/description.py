"""What the method orpo is called, takes and looks like."""

from pipeline.config.fields import number
from pipeline.config.hyperparameters import COMMON

ORDER = 8
SENTENCE = "ORPO: the chosen responses' likelihood and an odds ratio, without a reference."
CARD = "ORPO: likelihood of the chosen responses and the odds ratio of each pair, with TRL's ORPOTrainer."
HYPERPARAMETERS = COMMON | {
    "beta": number("Weight of the odds ratio, λ in its paper.", exclusiveMinimum=0, default=0.1),
}
ROWS = ()
BY_PAIRS = True  # an epoch is a pass over the pairs
IMPLICIT_REWARD = False  # there is no reference in its loss
COLOR, MARKER = "green", "triangle-left"
