"""What judges of kind reward are called and which keys they take."""

from pipeline.config.fields import MAX_FAILED_SHARE, text

ORDER = 2
SENTENCE = "A reward model: the response with the higher reward wins."
KEYS = {
    "reward_model": text("Name of the reward model; the dataset's own when absent.", examples=["deberta"]),
    "max_failed_share": MAX_FAILED_SHARE,
}
REQUIRED: tuple[str, ...] = ()
