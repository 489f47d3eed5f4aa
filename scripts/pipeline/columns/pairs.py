"""A dataset's prepared splits: a preference pair a row, prompts and responses text or lists of messages."""

PAIR_RESPONSES = ["chosen", "rejected"]
PAIR_COLUMNS = ["prompt", *PAIR_RESPONSES]
SPLIT_COLUMNS = ["prompt_id", *PAIR_COLUMNS]
# What the train split has beside them with label noise; bt_prob only where labels are drawn from it.
LABEL_COLUMNS = {"flipped": "bool", "label_prob": "float64", "bt_prob": "float64"}
