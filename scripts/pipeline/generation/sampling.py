"""What a decoding backend is given, and the seeds of its requests."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pipeline.models.devices import Device
from pipeline.models.templates import Text


@dataclass(frozen=True)
class Sampling:
    """One response per prompt, to be generated.

    Attributes:
        decoding: do_sample, temperature, top_p, max_new_tokens.
        entry: the model entry.
        texts: the prompts.
        model, tokenizer: the policy, in eval mode, and its tokenizer.
        path: the policy's folder or hub id, for backends that load it themselves.
        seed: of the sampling.
        device: that the policy is on.
        eos_token_ids: that end a response.
        kept: folder for finished responses, from which a killed job continues.
    """

    decoding: dict
    entry: dict
    texts: list[Text]
    model: object
    tokenizer: object
    path: str | None
    seed: int
    device: Device
    eos_token_ids: list[int]
    kept: Path | None = None


def request_seed(seed: int, prompt: Text) -> int:
    """The seed of a prompt's request, 31 bits."""
    digest = hashlib.sha256(f"{seed}:{json.dumps(prompt)}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
