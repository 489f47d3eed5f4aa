"""What the method ddp is called, takes and looks like."""

from pipeline.config.hyperparameters import ESTIMATOR, TRAINING, Rows, share, weight

ORDER = 3
SENTENCE = "SAIL-DDP: the policy labels pairs of the dataset's responses."
CARD = "SAIL's DDP: DPO in which a share r of the pairs is labelled again by the policy."
ROWS = (Rows(share="r", weight="rho"),)
OWN = {
    "r": share("DDP rows: the dataset's responses, labelled by the policy.", 0.4),
    "rho": weight("ρ of the label part of the gradient on DDP rows, which on average have no other", 0.2),
}
HYPERPARAMETERS = {**TRAINING, **ESTIMATOR, **OWN}
BY_PAIRS = True  # an epoch is a pass over the pairs
COLOR, MARKER = "orange", "square"
