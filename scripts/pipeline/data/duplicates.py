"""Exact and near duplicates among rows, found from small arrays alone, without their texts.

Near duplicates are found by MinHash (Broder 1997) over word 3-grams, whose signatures the library rensa computes, and
locality-sensitive hashing over bands of the signatures. Two texts are near duplicates where the estimated Jaccard
similarity of their sets of 3-grams is at least a threshold; with 64 slots its standard deviation is 0.05 at 0.8. Two
rows are near duplicates where their prompts are, and their responses too, chosen with chosen and rejected with
rejected: two judgements of one prompt on other responses, or the same responses preferred the other way round, are
not.
"""

import numpy as np
import pyarrow as pa

from pipeline.data.words import word_ngrams

WORDS = 3
SLOTS = 64
SEED = 1
REJECTED = np.uint64(0x5DEECE66D)  # sets the 3-grams of rejected responses apart from those of chosen ones
PIECE = 100_000


def sketches(texts: list[pa.Array], threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """What near duplicates are found by, for rows of one or two texts each.

    Args:
        texts: columns of type TEXT; the 3-grams of the second are set apart from those of the first.
        threshold: Jaccard similarity from which on rows are to be found; it decides the width of the bands.

    Returns:
        (bands, sketch): uint32 of shape (rows, bands) and uint8 of shape (rows, SLOTS), for `near_duplicates`.
    """
    from rensa import RMinHash

    hashes, offsets = _joined([word_ngrams(column, WORDS, short=True) for column in texts])
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, SLOTS, SEED)
    signatures = np.array(matrix.to_rows(), np.uint32).reshape(-1, SLOTS)
    # A band of r slots collides with probability J^r: of texts at the threshold more than 99.8% share a band.
    width = 4 if threshold >= 0.8 else 2 if threshold >= 0.45 else 1
    bands = np.zeros((len(signatures), SLOTS // width), np.uint32)
    for slot in range(width):
        bands = (bands ^ signatures[:, slot::width]) * np.uint32(0x9E3779B1)
        bands ^= bands >> np.uint32(15)
    return bands, (signatures ^ signatures >> 16).astype(np.uint8)


def _joined(columns: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Row by row, the n-grams of all columns in one."""
    if len(columns) == 1:
        return columns[0]
    (first, first_offsets), (second, second_offsets) = columns
    offsets = first_offsets + second_offsets
    hashes = np.empty(offsets[-1], np.uint64)
    hashes[np.arange(len(first)) + np.repeat(second_offsets[:-1], np.diff(first_offsets))] = first
    hashes[np.arange(len(second)) + np.repeat(first_offsets[1:], np.diff(second_offsets))] = second ^ REJECTED
    return hashes, offsets


def similarity(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Estimated Jaccard similarity of the sets behind two sketches, uint8 of shape (rows, SLOTS): (rows,).

    Slots of different sets agree by chance in 1 of 256, which is taken out.
    """
    agreeing = (one == other).mean(axis=1)
    return (agreeing - 1 / 256) / (1 - 1 / 256)


def near_duplicates(bands: np.ndarray, likenesses: list[np.ndarray], threshold: float) -> np.ndarray:
    """The group of each row: rows are in one group where a chain of near duplicates connects them.

    Args:
        bands: of `sketches`; rows that share none are not compared.
        likenesses: sketches; two rows are near duplicates where each is at least `threshold` alike.

    Returns:
        int64 of shape (rows,): the number of the first row of the group.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    groups = np.arange(len(bands))
    for band in bands.T:
        one, other = _candidates(band)
        apart = groups[one] != groups[other]
        one, other = one[apart], other[apart]
        alike = np.zeros(len(one), bool)
        for start in range(0, len(one), PIECE):
            part = slice(start, start + PIECE)
            alike[part] = np.logical_and.reduce(
                [similarity(sketch[one[part]], sketch[other[part]]) >= threshold for sketch in likenesses]
            )
        if alike.any():
            edges = (np.ones(alike.sum(), bool), (groups[one[alike]], groups[other[alike]]))
            _, labels = connected_components(coo_array(edges, shape=(len(bands),) * 2), directed=False)
            _, firsts = np.unique(labels, return_index=True)
            groups = firsts[labels][groups]
    return groups


def _candidates(band: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows with one value: each with the first that has it, and with the one before."""
    order = np.argsort(band, kind="stable")
    same = np.concatenate([[False], band[order[1:]] == band[order[:-1]]])[: len(order)]
    first = order[np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))]
    before = np.roll(order, 1)
    return np.concatenate([first[same], before[same]]), np.concatenate([order[same], order[same]])


def repeated(digests: np.ndarray) -> np.ndarray:
    """Which rows have the digest of a row before them: bool of shape (rows,), from uint64 of shape (rows, 2)."""
    order = np.lexsort((digests[:, 1], digests[:, 0]))
    equal = (digests[order[1:]] == digests[order[:-1]]).all(axis=1)
    result = np.zeros(len(digests), bool)
    result[order[1:][equal]] = True
    return result
