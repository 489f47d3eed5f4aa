"""Label noise of known size for robustness studies: which pairs of the train split have their responses swapped.

Every draw depends on a seed and on the pair's own content, so other rows, their order and other shares change nothing.
"""

import numpy as np


def is_noisy(spec: dict) -> bool:
    """Whether a data spec asks for label noise."""
    return bool(spec.get("relabel") or spec.get("label_switching"))


def noisy_labels(spec: dict, digests: np.ndarray, bt_prob: np.ndarray | None) -> dict[str, np.ndarray]:
    """Draw the labels of pairs anew.

    With `relabel` the pair keeps its order with probability σ(logit(bt_prob) + ε), ε normal with standard deviation
    `bt_noise_gauss` (a Bradley-Terry annotator who misjudges the score difference); with `label_switching` p the result
    is then swapped with probability p.

    Args:
        spec: relabel, bt_noise_gauss, label_switching, label_seed.
        digests: uint64 of shape (rows, 2), of the pairs' contents.
        bt_prob: float64 of shape (rows,), P(chosen is preferred to rejected) of the pairs as given; for `relabel`.

    Returns:
        flipped (bool): whether chosen and rejected are to be swapped. label_prob (float64): the probability, all noise
        included, with which the pair was to keep its order. With `relabel` also bt_prob (float64), of the pair as it
        stands after the swap. All of shape (rows,).
    """
    from scipy.special import expit, logit, ndtri

    seed, switching = spec.get("label_seed", 0), spec.get("label_switching", 0.0)
    keep = np.ones(len(digests))
    if spec.get("relabel"):
        epsilon = spec.get("bt_noise_gauss", 0.0) * ndtri(uniform(digests, seed, 0))
        keep = expit(logit(bt_prob) + epsilon)
    flipped = uniform(digests, seed, 1) >= keep
    flipped ^= uniform(digests, seed, 2) < switching
    labels = {"flipped": flipped, "label_prob": keep * (1 - switching) + (1 - keep) * switching}
    return labels | ({"bt_prob": np.where(flipped, 1 - bt_prob, bt_prob)} if spec.get("relabel") else {})


def drawn_order(spec: dict, digests: np.ndarray) -> np.ndarray:
    """Whether the two responses of pairs without a preference change places, a fair coin for each: bool, (rows,)."""
    return uniform(digests, spec.get("label_seed", 0), 3) < 0.5


def uniform(digests: np.ndarray, seed: int, draw: int) -> np.ndarray:
    """A number strictly between 0 and 1 for each digest, independent over digests, seeds and draws: (rows,)."""
    key = np.random.SeedSequence([seed, draw]).generate_state(2, np.uint64)
    mixed = digests[:, 0] ^ key[0]
    for word in (key[1], digests[:, 1], np.uint64(0)):
        # The finalizer of SplitMix64 (Steele, Lea and Flood 2014).
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = (mixed ^ (mixed >> np.uint64(31))) ^ word
    return ((mixed >> np.uint64(11)).astype(np.float64) + 0.5) / 2**53
