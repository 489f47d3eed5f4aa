"""The data card: what a prepared dataset is made of, in numbers and samples."""

import numpy as np
import pandas as pd

from pipeline.data.splitting import Records, dropped_rows
from pipeline.data.tally import CHANGED, FURTHER, MALFORMED, SHAPE, Tally

SAMPLES = 5
BINS = 20
NOISE = ("relabel", "bt_noise_gauss", "label_switching", "label_seed")


def data_card(
    spec: dict,
    records: Records,
    splits: dict[str, np.ndarray],
    rows_in: int,
    dropped: Tally,
    dialogue: bool,
    labels: dict[str, np.ndarray],
) -> dict:
    """What card.json holds, but for `contamination` and `samples`.

    Args:
        spec: the data spec.
        records: of all rows, see `filters.pair_records`.
        splits: numbers of the rows of each split.
        rows_in: rows of the source.
        dropped: counts by reason, and what was found and changed.
        dialogue: whether prompts are messages.
        labels: of `noise.noisy_labels` for the train split; empty without label noise.
    """
    rows = np.concatenate(list(splits.values()))
    lengths = {name: records[f"{name}_characters"][rows] for name in ("chosen", "rejected")}
    card = {
        "dataset": spec["name"],
        "source": spec["source"],
        "format": "messages" if dialogue else "text",
        "rows_in": rows_in,
        "rows_out": len(rows),
        "dropped": dropped_rows(dropped),
        "splits": {name: len(numbers) for name, numbers in splits.items()},
        "prompts": {name: len(pd.unique(records["prompt"][numbers])) for name, numbers in splits.items()},
        "response_characters": {name: _summary(values) for name, values in lengths.items()},
        "histograms": {"response_characters": histogram(lengths), "margin": _margins(records, rows)},
    }
    card |= {kind: found for kind in (SHAPE, CHANGED, MALFORMED) if (found := dropped.of(kind))}
    if further := sum(dropped.of(FURTHER).values()):
        card[FURTHER] = further
    if spec.get("near_duplicates"):
        card["near_duplicates"] = {
            "threshold": spec["near_duplicates"],
            "prompts_with_near_duplicates": _prompts_in_groups(records, rows),
        }
    if spec.get("tokenizers"):
        paths = [entry["path"] for entry in spec["tokenizers"]]
        card["too_long_for"] = {"max_length": spec["max_length"], "tokenizers": paths}
    if "system_moved" in records:
        card["system_texts_moved"] = int(records["system_moved"][rows].sum())
    if labels:
        flipped = labels["flipped"]
        noise = {key: spec[key] for key in NOISE if key in spec}
        card["label_noise"] = noise | {"flipped": int(flipped.sum()), "share": round(float(flipped.mean()), 4)}
    return card


def sample_rows(spec: dict, train: np.ndarray) -> np.ndarray:
    """Positions in the train split of the rows that the card shows."""
    return np.random.default_rng(spec.get("seed", 42)).choice(len(train), min(SAMPLES, len(train)), replace=False)


def histogram(series: dict[str, np.ndarray]) -> dict:
    """Counts of values in about BINS bins of one round width, from the 1st to the 99th percentile of all series.

    Returns:
        edges, and for each series its counts; the first and the last bin also have what lies beyond them.
    """
    values = np.concatenate(list(series.values())).astype(np.float64)
    low, high = np.percentile(values, [1, 99])
    if low < high:
        step = _rounded_up((high - low) / BINS)
        edges = step * np.arange(np.floor(low / step), np.ceil(high / step) + 1)
    else:
        edges = np.array([low, low + 1])
    counts = {
        name: np.histogram(np.clip(part, edges[0], edges[-1]), edges)[0].tolist() for name, part in series.items()
    }
    return {"edges": [round(float(edge), 6) for edge in edges], **counts}


def _rounded_up(width: float) -> float:
    """The next of 1, 2, 2.5 and 5 times a power of ten."""
    power = 10 ** np.floor(np.log10(width))
    return float(next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= width))


def _margins(records: Records, rows: np.ndarray) -> dict:
    """Histogram of how far chosen and rejected are apart: by the source's scores where it has them, else in length."""
    if "score_margin" in records:
        return {"of": "score, chosen minus rejected", **histogram({"pairs": records["score_margin"][rows]})}
    longer = records["chosen_characters"][rows] - records["rejected_characters"][rows]
    return {"of": "characters, chosen minus rejected", **histogram({"pairs": longer})}


def _prompts_in_groups(records: Records, rows: np.ndarray) -> int:
    """Prompts that are near duplicates of another prompt."""
    _, first = np.unique(records["prompt"][rows], return_index=True)
    _, inverse, sizes = np.unique(records["group"][rows[first]], return_inverse=True, return_counts=True)
    return int((sizes[inverse] > 1).sum())


def _summary(values: np.ndarray) -> dict[str, float]:
    numbers = [values.mean(), *np.percentile(values, [5, 50, 95])]
    return {name: round(float(number), 1) for name, number in zip(("mean", "p5", "p50", "p95"), numbers, strict=True)}
