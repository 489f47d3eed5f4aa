"""What the method start is called, takes and looks like."""

ORDER = 1.5
SENTENCE = "The model that training starts from where there is no SFT (`sft: false`); there sft means the same."
CARD = "The model that training starts from, as it is."
HYPERPARAMETERS: dict[str, dict] = {}
ROWS = ()
COLOR, MARKER = "muted", "diamond"
