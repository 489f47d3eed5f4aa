"""What the method bon is called, takes and looks like."""

from pipeline.config.hyperparameters import CANDIDATES

ORDER = 20
SENTENCE = "Best of n: of n responses of the SFT model the one that the reward model scores highest, without training."
CARD = "Best of n: of n responses of the SFT model the one with the highest reward."
HYPERPARAMETERS = CANDIDATES
ROWS = ()
TRAINED = False  # there is no policy of its own, so no checkpoint, no learning curve and no measured KL
CHOOSES = True  # among several responses, by the reward model
COLOR, MARKER = "muted", "circle"
