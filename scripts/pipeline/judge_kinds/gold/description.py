"""What judges of kind gold are called and which keys they take."""

from pipeline.config.fields import MAX_FAILED_SHARE

ORDER = 1
SENTENCE = "The embedded world's gold score."
KEYS: dict[str, dict] = {"max_failed_share": MAX_FAILED_SHARE}
REQUIRED: tuple[str, ...] = ()
