"""What the verdicts say of the runs of a run table: rates, length control, tests, ratings."""

import pandas as pd

from pipeline.columns.responses import EXTERNAL
from pipeline.metrics import bootstrap
from pipeline.metrics.comparison import REFITS, compare
from pipeline.results.measurements import verdict_counts
from pipeline.results.run_table import RunTable, read_verdicts

KEYS = ["dataset", "model", "decoding", "run", "baseline"]
# Columns of `compare` that have longer names where other things are measured beside them.
NAMES = {"se": "win_rate_se", "seed_sd": "win_rate_seed_sd"}
TESTS, DIFFERENCE_TESTS = ([f"{of}p_value{end}" for end in ("", "_holm")] for of in ("", "difference_"))


def sweep_comparison(
    table: RunTable, resamples: int = bootstrap.RESAMPLES, seed: int = 0, refits: int = REFITS
) -> pd.DataFrame:
    """A row per (dataset, model, decoding, run, baseline): `pipeline.metrics.comparison.compare`, `verdict_counts`.

    Each (dataset, model, decoding) is compared on its own, with the table's baseline run as reference and rated 0.
    Holm's correction is over the rows of one group and opponent. What a run has no verdicts for is NaN, and so are the
    tests with one seed of a run that is trained here, which cannot say what another training would give. Numbers are
    rounded.

    Args:
        resamples: of the bootstrap.
        seed: of the bootstrap.
        refits: resamples of what needs a fit, at most `resamples`; with 0 it is left out.
    """
    frames = []
    for group in table.groups:
        verdicts = group_verdicts(table, group)
        reference = table.baseline if table.baseline in set(verdicts["run"]) else None
        compared = compare(verdicts, None, reference, resamples, min(refits, resamples), seed).rename(columns=NAMES)
        counted = [verdict_counts(own) for _, own in verdicts.groupby(["run", "baseline"], sort=True)]
        names = dict(zip(("dataset", "model", "decoding"), group, strict=True))
        frames.append(compared.assign(**names, **pd.DataFrame(counted)))
    frame = pd.concat(frames, ignore_index=True)
    measured = frame.select_dtypes("float").columns
    frame[measured] = frame[measured].map(bootstrap.rounded)
    trained = {run.run for run in table.runs if run.method != EXTERNAL}
    single = ~frame["seeds"].str.contains(" ")
    frame.loc[single, DIFFERENCE_TESTS] = float("nan")
    frame.loc[single & (frame["run"].isin(trained) | frame["baseline"].isin(trained)), TESTS] = float("nan")
    return frame.set_index(KEYS)


def group_verdicts(table: RunTable, group: tuple[str, ...]) -> pd.DataFrame:
    """All verdicts on one (dataset, model, decoding): the columns of `read_verdicts`, with run, baseline and seed."""
    parts = [
        read_verdicts(run, seed, baseline).assign(run=run.run, baseline=baseline, seed=seed)
        for run in table.runs_of(group)
        for seed in run.seeds
        for baseline in run.baselines
    ]
    return pd.concat(parts, ignore_index=True)
