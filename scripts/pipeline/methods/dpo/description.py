"""What the method dpo is called, takes and looks like."""

from pipeline.config.hyperparameters import TRAINING

ORDER = 2
SENTENCE = "Plain DPO on the dataset's pairs."
CARD = "DPO: direct preference optimization on the dataset's pairs, with TRL's DPOTrainer."
HYPERPARAMETERS = TRAINING
ROWS = ()
BY_PAIRS = True  # an epoch is a pass over the pairs
COLOR, MARKER = "blue", "circle"
