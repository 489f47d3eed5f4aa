"""What the method mix is called, takes and looks like."""

from pipeline.config.hyperparameters import ESTIMATOR, ROLLOUTS, TRAINING
from pipeline.methods.ddp import description as ddp
from pipeline.methods.dpp import description as dpp
from pipeline.methods.dpr import description as dpr

ORDER = 6
SENTENCE = "Any mixture of DDP, DPP and DPR rows."
CARD = "A mix of SAIL's DDP, DPP and DPR rows (shares r, p and g) with the dataset's own pairs."
ROWS = (*ddp.ROWS, *dpp.ROWS, *dpr.ROWS)
OWN = {**ddp.OWN, **dpp.OWN, **dpr.OWN}
# a mixture starts from none of them
SHARES = {rows.share: {**OWN[rows.share], "default": 0, "examples": [OWN[rows.share]["default"]]} for rows in ROWS}
HYPERPARAMETERS = {**TRAINING, **ESTIMATOR, **ROLLOUTS, **dpr.LABELS, **OWN, **SHARES}
BY_PAIRS = True  # an epoch is a pass over the pairs
COLOR, MARKER = "pink", "cross"
