"""Hashes of the word n-grams of texts, vectorised: what near-duplicates and contamination are found by.

Words are what white space separates, in lower case.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, bits well mixed: 2^64 over the golden ratio


def word_ngrams(texts: pa.Array, n: int, short: bool) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of all runs of n words.

    Args:
        texts: of type TEXT, without nulls.
        n: words of a run.
        short: whether a text of fewer words has one run, all of its words; else it has none.

    Returns:
        (hashes, offsets): uint64 of shape (runs of all texts,), and int64 of shape (texts + 1,); those of text i are
        hashes[offsets[i] : offsets[i + 1]]. A run that occurs twice in a text is there twice.
    """
    words, offsets = _words(texts)
    lengths = np.diff(offsets)
    end = np.repeat(offsets[1:], lengths)
    position = np.arange(len(words))
    hashes = np.zeros(len(words), np.uint64)
    padded = np.concatenate([words, np.zeros(n, np.uint64)])
    for shift in range(n):
        inside = position + shift < end
        hashes = _mixed(hashes + np.where(inside, padded[shift : shift + len(words)], 0))
    starts = position + n <= end
    if short:
        starts[offsets[:-1][lengths > 0]] = True
    counts = np.concatenate([[0], np.cumsum(starts)])
    return hashes[starts], counts[offsets]


def _words(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(hash of each word, offsets of the texts in them); an empty text is one empty word."""
    split = pc.utf8_split_whitespace(pc.utf8_lower(pc.utf8_trim_whitespace(texts)))
    encoded = split.flatten().dictionary_encode()
    vocabulary = pd.util.hash_array(encoded.dictionary.to_numpy(zero_copy_only=False), categorize=False)
    lengths = pc.list_value_length(split).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return vocabulary[encoded.indices.to_numpy()] if len(encoded) else np.zeros(0, np.uint64), offsets


def _mixed(hashes: np.ndarray) -> np.ndarray:
    """A bijection of uint64 under which sums of different words in different places are different again."""
    hashes = hashes * MULTIPLIER
    return hashes ^ (hashes >> np.uint64(32))
