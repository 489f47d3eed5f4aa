"""What difference between methods a config's seeds and prompts can show, said before anything runs."""

from itertools import islice
from pathlib import Path

from pipeline.config.settings import Settings
from pipeline.metrics.power import GUESS, Spread, detectable, pooled, spread_of
from pipeline.plan.pairs import planned_pairs

MOST_FILES = 60  # of verdicts that a spread is taken from
CHOSEN = "chosen"


def describe_power(settings: Settings, results: str | Path = "results") -> str:
    """A line for each dataset, alike ones together; empty where no run has a baseline to be compared with."""
    runs = {(run.dataset, run.model): 0 for run in settings.runs}
    for run in settings.runs:
        runs[run.dataset, run.model] += run.name != settings.baseline_run(run.dataset, run.model)
    compared = max(runs.values(), default=0)
    if not compared:
        return ""
    spread = earlier_spread(Path(results))
    lines: dict[str, list[str]] = {}
    for dataset in settings.datasets:
        pairs = planned_pairs(settings, dataset, Path(results))
        prompts = pairs.rows.get(settings.split, 0)
        if prompts > 1:
            text = _line(settings, spread, prompts, compared, pairs.counted)
            lines.setdefault(text, []).append(dataset)
    named = len(settings.datasets) > 1
    return "\n".join(f"{', '.join(names)}: {text}" if named else text for text, names in lines.items())


def _line(settings: Settings, spread: Spread | None, prompts: int, compared: int, counted: bool) -> str:
    seeds = len(settings.seeds)
    single, first = (detectable(spread or GUESS, seeds, prompts, count) for count in (1, compared))
    known = (
        "by the spread of earlier runs" if spread else "if seeds differ by 2 points and prompts by 20, which is a guess"
    )
    shown = f"{single:.1f} points of win rate from 50%" + (
        f" ({first:.1f} as one of {compared} runs)" if compared > 1 else ""
    )
    size = f"{seeds} seed{'s' if seeds > 1 else ''} and {prompts}{'' if counted else ' (assumed)'} prompts"
    alone = "; one seed says nothing of another training" if seeds == 1 else ""
    return f"With {size} a method shows a difference from the baseline of {shown} in 4 of 5 cases, {known}{alone}"


def earlier_spread(results: Path) -> Spread | None:
    """The spread of the verdicts that are there, runs against the baseline run; None where there are none."""
    files = islice((results / "verdicts").rglob("seed*/*-vs-*.parquet"), 10 * MOST_FILES)
    named = [path for path in files if not path.stem.endswith(f"-vs-{CHOSEN}")][:MOST_FILES]
    compared: dict[tuple[str, str], list[Path]] = {}
    for path in named:
        compared.setdefault((str(path.parent.parent), path.name), []).append(path)
    return pooled(spread for paths in compared.values() if (spread := _spread(paths)))


def _spread(paths: list[Path]) -> Spread | None:
    """Of one comparison, a file for each seed; None where a file is not readable."""
    import numpy as np
    import pyarrow.parquet as pq  # only where there are verdicts: it takes longer to import than all else here

    found: list[dict[str, float]] = []
    try:
        for path in sorted(paths):
            columns = pq.read_table(path, columns=["prompt_id", "preference"]).to_pydict()
            orders: dict[str, list[float]] = {}
            for prompt, preference in zip(columns["prompt_id"], columns["preference"], strict=True):
                if preference is not None:
                    orders.setdefault(prompt, []).append(100.0 * preference)
            found.append({prompt: sum(values) / len(values) for prompt, values in orders.items()})
    except (OSError, ValueError, KeyError):
        return None
    shared = sorted(set(found[0]).intersection(*found[1:]))
    return spread_of(np.array([[cells[prompt] for prompt in shared] for cells in found]).reshape(len(found), -1))
