"""What a decoding backend is given, and the seeds of its requests."""

import hashlib
import json
from collections.abc import Sequence
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
        draws: which response to its prompt each is, from 0 on, where a prompt stands there several times.
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
    draws: Sequence[int] | None = None

    @property
    def request_seeds(self) -> list[int]:
        """The seed of each response's own request, for backends that ask for them one by one."""
        draws = self.draws or [0] * len(self.texts)
        return [request_seed(self.seed, text, draw) for text, draw in zip(self.texts, draws, strict=True)]


def request_seed(seed: int, prompt: Text, draw: int = 0) -> int:
    """The seed of a prompt's request, 31 bits.

    Args:
        draw: which response to the prompt it is for, from 0 on.
    """
    again = f":{draw}" if draw else ""
    digest = hashlib.sha256(f"{seed}:{json.dumps(prompt)}{again}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
