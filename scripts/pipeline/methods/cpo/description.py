"""What the method cpo is called, takes and looks like."""

from pipeline.config.fields import choice, number
from pipeline.config.hyperparameters import COMMON, TRAINING

ORDER = 9
SENTENCE = "CPO, and with loss_type simpo SimPO: pairs without a reference."
CARD = "CPO or, with the loss simpo, SimPO: preference pairs without a reference, with TRL's CPOTrainer."
OWN = {
    "loss_type": choice(
        "Loss of a pair, by the name that TRL gives it; simpo with cpo_alpha 0 is SimPO.",
        ("sigmoid", "hinge", "ipo", "simpo"),
        default="sigmoid",
    ),
    "label_smoothing": TRAINING["label_smoothing"]
    | {"description": "Share of labels taken to be flipped, for the losses that know it (sigmoid, simpo)."},
    "cpo_alpha": number("Weight of the chosen responses' likelihood in CPO.", minimum=0, default=1),
    "simpo_gamma": number("Margin γ that the loss simpo aims at.", minimum=0, default=0.5),
    "alpha": number(
        "Shape α of AlphaPO's reward, (1 − p^−α)/α in place of log p; 0 is the logarithm.", default=0, examples=[0.25]
    ),
}
HYPERPARAMETERS = COMMON | {
    "beta": number("Strength β of the loss, which has no reference.", exclusiveMinimum=0, default=0.1),
    **OWN,
}
SMOOTHED = ("sigmoid", "simpo")  # the losses that read label_smoothing
ROWS = ()
BY_PAIRS = True  # an epoch is a pass over the pairs
IMPLICIT_REWARD = False  # there is no reference in its loss
COLOR, MARKER = "orange", "triangle-right"
