"""What the method sft is called, takes and looks like."""

ORDER = 1
SENTENCE = "The SFT model itself, sampled with every seed; with `sft: false` the model as it is, called start."
CARD = "Supervised fine-tuning on the responses of the dataset's train split."
HYPERPARAMETERS: dict[str, dict] = {}
ROWS = ()
COLOR, MARKER = "muted", "diamond"
