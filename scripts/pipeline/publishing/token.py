"""The token that publishing needs, looked for before anything else is done."""

import os
from pathlib import Path

from dotenv import dotenv_values

from pipeline.jobs.io import InputError
from pipeline.jobs.offline import offline_variable


def require_token(folder: str | Path = ".") -> str:
    """HF_TOKEN, of the environment or of a folder's .env.

    Raises:
        InputError: there is none, or the hub's client is told to stay offline.
    """
    token = (os.environ.get("HF_TOKEN") or dotenv_values(Path(folder) / ".env").get("HF_TOKEN") or "").strip()
    if not token:
        raise InputError(
            "HF_TOKEN is not set: publishing needs a token of the Hugging Face Hub with the right to write; put it "
            "into the environment, or as a line HF_TOKEN=… into a file .env in the working directory"
        )
    if name := offline_variable():
        raise InputError(f"{name} is set, so nothing can be published; unset it")
    return token
