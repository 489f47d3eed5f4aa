"""What judges of kind gold are called and which keys they take."""

from pipeline.config.fields import MAX_FAILED_SHARE, whole

ORDER = 1
SENTENCE = "The embedded world's gold score."
EDITION = whole("The dataset's edition; the first where it is absent.", maximum=2, examples=[2])
KEYS: dict[str, dict] = {"max_failed_share": MAX_FAILED_SHARE, "edition": EDITION}
REQUIRED: tuple[str, ...] = ()
