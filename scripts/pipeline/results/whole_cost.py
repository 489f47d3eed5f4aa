"""What each run took from the data to the verdicts, its share of what several runs need included."""

from collections.abc import Mapping, Sequence

import pyarrow.parquet as pq

from pipeline.columns.candidates import SAMPLED_TOKENS
from pipeline.columns.responses import EXTERNAL
from pipeline.jobs.io import read_parquet
from pipeline.results.pedigree import SHARED, Job, Shares, pedigree
from pipeline.results.run_table import Run, RunTable, read_cost

ASKED = ("responses", "scores", "verdicts")


def whole_costs(table: RunTable, paid: Mapping[str, tuple[int, float | None]] | None = None) -> list[dict]:
    """One row per run, all that the run table has of it together, in the table's order; of none without records.

    Nobody knows what responses cost that were made elsewhere: their runs have no row, and no share of anything.

    A job that several runs need, as the reward model or the reference, is shared out equally to those that need it;
    `alone` is what the run would take if it were the only one. Sampling is the part of the trainings in which the
    policy answered. Seeds are added up.

    Args:
        table: with an entry for each decoding and set of prompts that a run answered, as
            `pipeline.results.set_results.all_runs` gives it.
        paid: tokens, and US dollars where they are known, of judges' replies by request key.

    Returns:
        dataset, model, run; seconds: training, sampling, data, sft, reward_model, reference, candidates
        (the run's share), responses, scores, verdicts, total, alone; gpu_seconds of the total; trained_tokens,
        sampled_tokens, judge_tokens; judge_dollars; None where it is not known.
    """
    runs: dict[tuple[str, ...], list[Run]] = {}
    for run in table.runs:
        if run.method != EXTERNAL:
            runs.setdefault(run.place, []).append(run)
    found = {place: pedigree(decoded) for place, decoded in runs.items()}
    shares = Shares(part.made for part in found.values())
    rows = []
    for place, part in found.items():
        decoded = runs[place]
        run = decoded[0]
        if not part.made and not part.asked:
            continue
        row: dict = dict(zip(("dataset", "model", "run"), place, strict=True))
        for stage in SHARED:
            row[stage] = shares.seconds(part.of(stage))
        for stage in ("training", *ASKED):
            row[stage] = _seconds(part.of(stage))
        costs = [read_cost(run, seed) for seed in run.seeds_with("cost")]
        before = sum(cost.get("seconds_before_training", 0.0) for cost in costs)  # which are the candidates' own
        row["sampling"] = sum(cost["rollout_seconds"] for cost in costs) - before
        row["total"] = sum(row[stage] for stage in (*SHARED, "training", *ASKED))
        row["alone"] = row["total"] + sum(_seconds(part.of(stage)) - row[stage] for stage in SHARED)
        row["gpu_seconds"] = shares.gpu_seconds((*part.made, *part.asked))
        rows.append(row | _tokens(decoded) | _judged(decoded, paid or {}))
    return rows


def _seconds(jobs: Sequence[Job]) -> float:
    return sum(job.seconds for job in jobs)


def _tokens(runs: list[Run]) -> dict[str, float | None]:
    """Tokens that the trainings read, where they count them, and of the judged responses."""
    trained = [read_cost(runs[0], seed).get("trained_tokens") for seed in runs[0].seeds_with("cost")]
    known = [count for count in trained if count is not None]
    sampled = sum(_sampled(run.files[seed]["responses"]) for run in runs for seed in run.seeds)
    return {"trained_tokens": sum(known) if known else None, "sampled_tokens": sampled}


def _sampled(path: str) -> int:
    """Tokens that were sampled for a run's responses, those of the candidates that they were chosen among included."""
    column = SAMPLED_TOKENS if SAMPLED_TOKENS in pq.read_schema(path).names else "response_tokens"
    return int(read_parquet(path, [column])[column].sum())


def _judged(runs: list[Run], paid: Mapping[str, tuple[int, float | None]]) -> dict[str, float | None]:
    """What the judge's replies took; a reply that settles several verdicts counts for the run once."""
    verdicts = [run.verdicts[seed] for run in runs for seed in run.seeds] if paid else []
    files = [path for each in verdicts for path in each.values()]
    keys = {key for path in files for key in read_parquet(path, ["request_key"])["request_key"]} & paid.keys()
    prices = [price for key in keys if (price := paid[key][1]) is not None]
    tokens = sum(paid[key][0] for key in keys)
    return {"judge_tokens": tokens if keys else None, "judge_dollars": sum(prices) if prices else None}
