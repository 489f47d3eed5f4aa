"""What the method kto is called, takes and looks like."""

from pipeline.config.fields import choice, number
from pipeline.config.hyperparameters import UNGROUPED

ORDER = 7
SENTENCE = "KTO: each response of a pair by itself, as desirable or undesirable."
CARD = "KTO: each response of the dataset's pairs as a desirable or an undesirable one, with TRL's KTOTrainer."
OWN = {
    "loss_type": choice(
        "Loss of a response, by the name that TRL gives it.", ("kto", "apo_zero_unpaired"), default="kto"
    ),
    "desirable_weight": number("Weight of the losses of chosen responses.", minimum=0, default=1),
    "undesirable_weight": number("Weight of the losses of rejected responses.", minimum=0, default=1),
}
# Its order of the data is drawn once, so rows cannot be grouped by length.
HYPERPARAMETERS = UNGROUPED | OWN
ROWS = ()
BY_PAIRS = True  # an epoch is a pass over the pairs
COLOR, MARKER = "sky", "diamond"
