"""A dataset's prepared splits: a preference pair a row, prompts and responses text or lists of messages."""

PAIR_RESPONSES = ["chosen", "rejected"]
PAIR_COLUMNS = ["prompt", *PAIR_RESPONSES]
SPLIT_COLUMNS = ["prompt_id", *PAIR_COLUMNS]
# The split of pairs without a preference, which a dataset may have: chosen and rejected are the two responses in a
# drawn order.
UNLABELLED = "unlabelled"
# What the train split has beside them with label noise; bt_prob only where labels are drawn from it. In a mix of noisy
# and other datasets the rows of the others have these values.
LABEL_COLUMNS = {"flipped": False, "label_prob": 1.0, "bt_prob": float("nan")}
# In all splits, of some datasets alone: the dataset that a row of a mix is from; of the embedded world's second edition
# the kind of its question.
SOURCE_COLUMN = "source"
