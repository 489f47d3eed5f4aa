"""How well a judge agrees with the labels of a dataset's own preference pairs, and what else sways it.

The judge compares the chosen response of a labelled pair with the rejected one. Of its verdicts:

- Agreement: the mean preference for the chosen response; a tie counts one half. Orders of a pair are averaged first.
- Position bias: of the pairs judged in both orders, the share whose winner changes with the order. Beside it the share
  of decided verdicts that went to the answer shown first, where 0.5 is no bias.
- Length bias: of decided verdicts on pairs of unequal length, the share that went to the longer answer. Beside it the
  same share by the labels: a judge that agrees with them has that one.
- Cohen's kappa: agreement beyond chance between label and verdict as "first" or "second" answer; a tie of the judge is
  a third category, which no label has. A pair counts as often as it was judged, in the order in which it was shown; one
  that was judged without order counts in both.

Verdicts that are not parsed are counted, and left out of all shares. Intervals are 95% percentile intervals of a seeded
bootstrap over prompts: all verdicts on a prompt are drawn together.
"""

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from pipeline.columns.pairs import SPLIT_COLUMNS
from pipeline.columns.verdicts import STATUSES
from pipeline.jobs.io import check_distinct_prompts
from pipeline.metrics.bootstrap import RESAMPLES, draw_in_chunks, estimate, percentile_intervals
from pipeline.metrics.calibration import prompt_estimates

MEASURES = ("agreement", "position_bias", "first_wins", "length_bias", "length_bias_of_labels", "kappa")
LABELS = ("first", "tie", "second")


def sample_pairs(pairs: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """Labelled pairs as a table of responses to judge: the chosen response against the rejected one.

    Args:
        pairs: prompt_id, prompt, chosen, rejected; distinct by prompt_id.
        count: of the sample; all pairs where there are fewer.
        seed: of the sample, which does not depend on the order of the rows.

    Returns:
        prompt_id, prompt, response, baseline_response, sorted by prompt_id.

    Raises:
        InputError: a prompt_id stands twice.
    """
    check_distinct_prompts(pairs, "the labelled pairs have")
    ordered = pairs.sort_values("prompt_id", ignore_index=True)
    drawn = np.random.default_rng(seed).permutation(len(ordered))[:count]
    table = ordered.iloc[np.sort(drawn)].reset_index(drop=True)
    return table[SPLIT_COLUMNS].rename(columns={"chosen": "response", "rejected": "baseline_response"})


def judge_quality(verdicts: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> dict:
    """Agreement, biases and kappa of verdicts on labelled pairs.

    Args:
        verdicts: `pipeline.columns.verdicts.VERDICT_COLUMNS`, the run's response being the chosen one.
        resamples, seed: of the bootstrap.

    Returns:
        pairs, verdicts, ties, and each status: int; agreement, position_bias, first_wins, length_bias,
        length_bias_of_labels, kappa: {value, low, high}, None where there is nothing to measure it on.
    """
    counts = verdicts["status"].value_counts()
    parsed = verdicts[verdicts["status"] == "parsed"]
    measured = {
        "pairs": int(verdicts["prompt_id"].nunique()),
        "verdicts": len(verdicts),
        **{status: int(counts.get(status, 0)) for status in STATUSES},
        "ties": int((parsed["preference"] == 0.5).sum()),
    }
    if parsed.empty:
        return measured | dict.fromkeys(MEASURES)
    return measured | _shares(parsed, resamples, seed) | {"kappa": _kappa(parsed, resamples, seed)}


def quality_table(measured: dict) -> pd.DataFrame:
    """What `judge_quality` measured, a row each: measure, value, low, high; counts have no interval."""
    counts = [{"measure": name, "value": value} for name, value in measured.items() if name not in MEASURES]
    return pd.DataFrame(
        [*counts, *({"measure": name} | (measured[name] or {}) for name in MEASURES)],
        columns=["measure", "value", "low", "high"],
    )


def _shares(parsed: pd.DataFrame, resamples: int, seed: int) -> dict[str, dict | None]:
    """The shares of `judge_quality`, each a weighted mean over verdicts, or over pairs by their first verdict."""
    preference = parsed["preference"].to_numpy()
    order, prompts = parsed["order"].to_numpy(), pd.factorize(parsed["prompt_id"])[0]
    per_pair = 1 / np.bincount(prompts)[prompts]
    by_order = parsed.pivot(index="prompt_id", columns="order", values="preference").reindex(columns=["ab", "ba"])
    both = by_order.notna().all(axis=1)
    flipped = (by_order["ab"] - by_order["ba"]).abs() == 1
    first_verdict = ~parsed.duplicated("prompt_id").to_numpy()
    decided, shown = preference != 0.5, order != "none"
    longer = np.sign(parsed["len_run"].to_numpy() - parsed["len_baseline"].to_numpy())
    rows = {
        "agreement": (preference, per_pair),
        "position_bias": (
            parsed["prompt_id"].map(flipped).to_numpy(),
            first_verdict & parsed["prompt_id"].map(both).to_numpy(),
        ),
        "first_wins": ((preference == 1) == (order == "ab"), decided & shown),
        "length_bias": ((preference == 1) == (longer > 0), decided & (longer != 0)),
        "length_bias_of_labels": (longer > 0, first_verdict & (longer != 0)),
    }
    weights = np.array([np.asarray(weight, dtype=float) for _, weight in rows.values()])
    values = np.array([np.asarray(value, dtype=float) for value, _ in rows.values()]) * weights
    found = prompt_estimates(values, weights, prompts, resamples, seed)
    return {name: None if share["value"] is None else share for name, share in zip(rows, found, strict=True)}


def _kappa(parsed: pd.DataFrame, resamples: int, seed: int) -> dict:
    """Cohen's kappa of labels and verdicts, by position of the answer."""
    label, verdict, prompts = positions(parsed)
    names, size = list(range(len(LABELS))), int(prompts.max()) + 1
    value = cohen_kappa_score(label, verdict, labels=names)
    # (P, 9): the table of label and verdict of each prompt, so that a resample's is a sum of them
    cells = np.zeros((size, len(LABELS) ** 2))
    np.add.at(cells, (prompts, len(LABELS) * label + verdict), 1)
    kappas = np.empty((resamples, 1))
    for chunk, drawn in draw_in_chunks(resamples, size, np.random.default_rng(seed)):
        kappas[chunk, 0] = kappa_of((drawn @ cells).reshape(-1, len(LABELS), len(LABELS)))
    [interval] = percentile_intervals(kappas, np.array([size > 1]))
    return estimate(value, interval)


def positions(parsed: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label and verdict as positions in LABELS, and the number of the prompt; verdicts without order stand twice."""
    prompts, preference = pd.factorize(parsed["prompt_id"])[0], parsed["preference"].to_numpy()
    order = parsed["order"].to_numpy()
    label, verdict, rows = [], [], []
    for chosen_first, shown in ((True, order != "ba"), (False, order != "ab")):
        wins = preference[shown] if chosen_first else 1 - preference[shown]
        label.append(np.full(shown.sum(), 0 if chosen_first else 2))
        verdict.append((2 - 2 * wins).astype(int))
        rows.append(prompts[shown])
    return np.concatenate(label), np.concatenate(verdict), np.concatenate(rows)


def kappa_of(tables: np.ndarray) -> np.ndarray:
    """Cohen's kappa of R tables of counts, shape (R, C, C); NaN where chance alone agrees always."""
    tables = tables / tables.sum(axis=(1, 2), keepdims=True)
    agreed = np.trace(tables, axis1=1, axis2=2)
    chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (agreed - chance) / (1 - chance)
