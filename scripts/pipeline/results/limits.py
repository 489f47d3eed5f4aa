"""Which caveats of `pipeline.results.caveats` hold for a row of the win-rate table."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pipeline.columns.responses import EXTERNAL
from pipeline.jobs.io import read_json
from pipeline.results.caveats import FEW_PROMPTS
from pipeline.results.csv_tables import require
from pipeline.results.outcomes import UNKNOWN, direct_outcome, outcome
from pipeline.results.run_table import CHOSEN, Run, read_cost


def row_caveats(run: Run, baseline: Run | None, prompts: int, coin: bool) -> list[str]:
    """The names of what the rows of a run rest on, but for `decodings-disagree`.

    Args:
        baseline: the baseline run of its group, or a control that it is compared with, if any.
        prompts: how many have a verdict.
        coin: whether the judge cannot be told from a coin.
    """
    own, others = _steps(run), _steps(baseline) if baseline else set()
    trained = run.method != EXTERNAL or (baseline is not None and baseline.method != EXTERNAL)
    found = {
        "own-reward": run.judge_shares == "reward_model",
        "shared-reward-data": run.judge_shares == "data",
        "opponent-reward": bool(baseline and baseline.judge_shares and not run.judge_shares),
        "judge-like-a-coin": coin,
        "one-seed": trained and len(run.seeds) == 1,
        "two-seeds": trained and len(run.seeds) == 2,
        "made-elsewhere": run.method == EXTERNAL,
        "few-prompts": prompts < FEW_PROMPTS,
        "other-steps": bool(own and others) and own != others,
    }
    return [name for name, holds in found.items() if holds]


def disagreeing(winrate: pd.DataFrame, baseline: str) -> dict[tuple[str, str, str], dict[str, str]]:
    """{(dataset, model, run): {decoding: outcome}} of the runs about which the decodings disagree.

    Args:
        winrate: the win-rate table.
        baseline: name of the baseline run.
    """
    found: dict[tuple, dict[str, str]] = {}
    for (dataset, model, run, decoding), rows in winrate.groupby(["dataset", "model", "run", "decoding"], sort=False):
        said = outcome(rows.set_index("baseline").to_dict("index"), baseline)
        if run != baseline and said != UNKNOWN:
            found.setdefault((dataset, model, run), {})[decoding] = said
    return {place: said for place, said in found.items() if len(set(said.values())) > 1}


def disagreeing_controls(winrate: pd.DataFrame, baseline: str) -> set[tuple[str, str, str, str]]:
    """(dataset, model, run, control) of the direct comparisons with controls about which the decodings disagree."""
    rows = winrate[~winrate["baseline"].isin([CHOSEN, baseline])]
    said: dict[tuple, set[str]] = {}
    for row in rows.to_dict("records"):
        place = (row["dataset"], row["model"], row["run"], row["baseline"])
        said.setdefault(place, set()).add(direct_outcome(row))
    return {place for place, found in said.items() if len(found) > 1}


def coin_like(paths: Iterable[str | Path]) -> set[str]:
    """The datasets whose judge, by the files of its measured quality, agrees with the labels no better than a coin.

    Raises:
        InputError: a file is missing or unreadable, or lacks a key.
    """
    found = set()
    for path in paths:
        measured = read_json(path)
        require(measured, ("dataset", "agreement"), path, "key")
        low = (measured["agreement"] or {}).get("low", 1.0)
        if low is None or low <= 0.5:  # None: of too few pairs for an interval
            found.add(measured["dataset"])
    return found


def _steps(run: Run) -> set[int]:
    """Optimizer steps of all seeds; none of a run that is not trained."""
    return {read_cost(run, seed)["steps"] for seed in run.seeds_with("cost")}
