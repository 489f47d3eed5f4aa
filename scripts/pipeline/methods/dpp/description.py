"""What the method dpp is called, takes and looks like."""

from pipeline.config.hyperparameters import ESTIMATOR, ROLLOUTS, TRAINING, Rows, share, weight

ORDER = 4
SENTENCE = "SAIL-DPP: the policy samples pairs and labels them."
CARD = "SAIL's DPP: DPO in which a share p of the rows is answered and labelled by the policy."
ROWS = (Rows(share="p", weight="pi", sampled=True),)
OWN = {
    "p": share("DPP rows: the policy's responses, labelled by the policy.", 0.3),
    "pi": weight("π of the label and response parts of the gradient on DPP rows, which on average have no other", 0.2),
}
HYPERPARAMETERS = {**TRAINING, **ESTIMATOR, **ROLLOUTS, **OWN}
BY_PAIRS = True  # an epoch is a pass over the pairs
COLOR, MARKER = "green", "triangle-up"
