"""N-gram overlap of the train prompts with the eval prompts."""

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.data.words import word_ngrams

WORDS = 8


class Contamination:
    """Counts eval prompts that share a run of WORDS words with a train prompt.

    Call `add_eval` for all eval prompts first, then `see_train` for all train prompts, in any number of pieces.
    """

    def __init__(self):
        self._hashes: list[np.ndarray] = []
        self._owners: list[np.ndarray] = []
        self._prompts = 0
        self._seen: np.ndarray | None = None

    def add_eval(self, prompts: pa.Array) -> None:
        """Take up eval prompts, of type TEXT."""
        hashes, offsets = word_ngrams(prompts, WORDS, short=False)
        self._hashes.append(hashes)
        self._owners.append(self._prompts + np.repeat(np.arange(len(prompts)), np.diff(offsets)))
        self._prompts += len(prompts)

    def see_train(self, prompts: pa.Array) -> None:
        """Take up train prompts, of type TEXT."""
        if self._seen is None:
            self._known, self._places = np.unique(np.concatenate(self._hashes), return_inverse=True)
            self._seen = np.zeros(len(self._known), bool)
        if not len(self._known):
            return
        hashes, _ = word_ngrams(prompts, WORDS, short=False)
        places = np.minimum(np.searchsorted(self._known, hashes), len(self._known) - 1)
        self._seen[places[self._known[places] == hashes]] = True

    def summary(self) -> dict:
        """{words, eval_prompts (those of at least that many words), shared (of these), share}; a share of none is 0."""
        owners = np.concatenate(self._owners)
        long_enough = len(pd.unique(owners))
        shared = len(pd.unique(owners[self._seen[self._places]]))
        share = round(shared / long_enough, 4) if long_enough else 0.0
        return {"words": WORDS, "eval_prompts": long_enough, "shared": shared, "share": share}
