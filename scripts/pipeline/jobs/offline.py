"""Whether the hub's client is told to stay offline."""

import os

VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
TRUE = ("1", "ON", "YES", "TRUE")  # as huggingface_hub reads them


def offline_variable() -> str | None:
    """The environment variable that says so, None where none does."""
    return next((name for name in VARIABLES if os.environ.get(name, "").upper() in TRUE), None)
