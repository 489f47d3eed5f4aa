"""What judges of kind gold are called and which keys they take."""

ORDER = 1
SENTENCE = "The embedded world's gold score."
KEYS: dict[str, dict] = {}
REQUIRED: tuple[str, ...] = ()
