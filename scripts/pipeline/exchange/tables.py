"""Verdicts of others as a table of runs with its files, so that the report can be made of them."""

import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pipeline.columns.responses import EXTERNAL, RESPONSE_TEXTS
from pipeline.columns.verdicts import VERDICT_COLUMNS
from pipeline.exchange.answers import Answer, text_key
from pipeline.exchange.votes import Votes
from pipeline.jobs.io import InputError, write_csv, write_parquet
from pipeline.metrics.leaderboard import rating_intervals, ratings
from pipeline.models.templates import conversation
from pipeline.results.run_table import Run, RunTable
from pipeline.results.tables import read_table, winrate_table

OTHERS = "the others"  # whom a run of battles is judged against: each battle has a prompt of its own
MOST_GAMES = 50_000_000  # prompts times pairs of runs up to which ratings get intervals
KEYS = ["run", "baseline", "seed", "prompt_id", "order"]
RATING = ["rating", "rating_low", "rating_high"]
DIFFERENCE = [f"difference{end}" for end in ("", "_low", "_high", "_t_low", "_t_high", "_p_value", "_p_value_holm")]
LENGTH_CONTROLLED = [f"lc_win_rate{end}" for end in ("", "_low", "_high")]
Texts = dict[str, dict[str, Answer]]


def table_of_others(
    votes: Votes, answers: Iterable[Answer], file: str, folder: Path, reference: str | None = None
) -> RunTable:
    """The table of runs; the files that it names are written into a folder.

    Args:
        answers: responses of the runs, which come before those that stand among the votes.
        file: of the votes, for messages.
        reference: run that the others are compared with; what most verdicts are against when None.

    Raises:
        InputError: the reference is no run, a verdict stands twice, or a run lacks verdicts with one of its seeds.
    """
    frame = votes.frame.copy()
    twice = frame.duplicated(KEYS)
    if twice.any():
        place = int(twice.to_numpy().argmax())
        told = ", ".join(f"{key} {frame.iloc[place][key]}" for key in KEYS)
        raise InputError(f"{file}: a second verdict with {told}; one judge's verdict on each is right")
    names = list(dict.fromkeys([*frame["run"], *frame["baseline"]]))
    if reference is None:
        counted = pd.concat([frame["run"], frame["baseline"]]) if votes.battles else frame["baseline"]
        reference = str(counted.value_counts().index[0])
    if reference not in names:
        raise InputError(f"--reference: no verdicts on {reference!r} in {file}; there are {', '.join(names)}")
    texts = _by_run(votes, answers, frame)
    frame = with_lengths(frame, texts)
    known = bool(frame[["len_run", "len_baseline"]].notna().all(axis=None))
    frame[["len_run", "len_baseline"]] = frame[["len_run", "len_baseline"]].fillna(0)
    if votes.battles:
        frame = _mirrored(frame, reference)
    own = dict.fromkeys(frame["run"])
    runs = [name for name in names if name in own or name in texts]
    whole = all(name in texts for name in runs)
    made = [_run(frame[frame["run"] == name], name, Path(file).stem, texts if whole else {}, folder) for name in runs]
    left = ["rewards, KL, learning curves, costs, data cards and what it was made from"]
    left += [] if known else ["length-controlled win rates, as lengths are not known"]
    left += [] if whole else ["responses, as not all runs have some"]
    left += ["differences to the reference, as runs have no prompts in common"] if votes.battles else []
    note = f"Made from {votes.kind} alone, {Path(file).name}, without the runs themselves. Left out: {'; '.join(left)}."
    seeds = sorted({int(seed) for seed in frame["seed"]})
    return RunTable(file, Path(file).stem, "of the verdicts", reference, seeds, made, note)


def winrates_of_others(
    table: RunTable, votes: Votes, folder: Path, resamples: int, seed: int, refits: int
) -> pd.DataFrame:
    """The win-rate table, as `pipeline.results.tables.read_table` reads it.

    Ratings are of all verdicts as they were given, the reference being 0. What verdicts without lengths, or without
    common prompts, cannot tell is empty.
    """
    frame = winrate_table(table, resamples, seed, 0 if votes.battles else refits)
    games = votes.frame.dropna(subset=["preference"])
    pairs = len(games[["run", "baseline"]].drop_duplicates())
    rated = ratings(games, table.baseline).to_frame("rating")
    if refits and pairs * games["prompt_id"].nunique() <= MOST_GAMES:
        rated = rating_intervals(games, table.baseline, refits, seed)
    for column in RATING:
        frame[column] = frame["run"].map(rated[column]) if column in rated else math.nan
    lengths = votes.frame[["len_run", "len_baseline"]]
    if votes.battles or (lengths.isna().any(axis=None) and not _has_responses(table)):
        frame[LENGTH_CONTROLLED] = math.nan
    if votes.battles:
        frame[DIFFERENCE] = math.nan
    write_csv(frame, folder / "winrate.csv")
    return read_table(folder / "winrate.csv")


def _has_responses(table: RunTable) -> bool:
    return all("responses" in run.files[seed] for run in table.runs for seed in run.seeds)


def _by_run(votes: Votes, answers: Iterable[Answer], frame: pd.DataFrame) -> Texts:
    """Responses by run and prompt; of a file that names no run those of the only run that there is."""
    prompts, found, others = set(frame["prompt_id"]), {}, 0
    names = list(dict.fromkeys(frame["run"]))
    given = list(answers)
    for answer in [*given, *votes.answers]:
        run = answer.run or (names[0] if len(names) == 1 else None)
        if run is None:
            raise InputError(f"{answer.where}: it does not say which run made the response; give run, or generator")
        prompt = answer.name if answer.name in prompts else answer.prompt and text_key(answer.prompt)
        if prompt in prompts:
            found.setdefault(run, {}).setdefault(prompt, answer)
        else:
            others += 1
    if given and others == len(given) and not votes.answers:
        raise InputError(f"{given[0].where}: no response is to a prompt of the verdicts, by prompt_id or by its text")
    return found


def with_lengths(frame: pd.DataFrame, texts: Texts) -> pd.DataFrame:
    """Verdicts with the lengths of the responses, in characters, where they have none of their own."""

    def length(run: str, prompt: str) -> float:
        answer = texts.get(run, {}).get(prompt)
        return math.nan if answer is None else len(answer.response)

    for side in ("run", "baseline"):
        pairs = zip(frame[side], frame["prompt_id"], strict=True)
        frame[f"len_{side}"] = frame[f"len_{side}"].fillna(pd.Series([length(*pair) for pair in pairs], frame.index))
    return frame


def _mirrored(frame: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Battles from both sides, against OTHERS; and against the reference those that are."""
    names = {"run": "baseline", "baseline": "run", "len_run": "len_baseline", "len_baseline": "len_run"}
    other = frame.rename(columns=names).assign(preference=1 - frame["preference"])
    both = pd.concat([frame, other[frame.columns]], ignore_index=True)
    met = both[(both["baseline"] == reference) & (both["run"] != reference)]
    return pd.concat([both.assign(baseline=OTHERS), met], ignore_index=True)


def _run(frame: pd.DataFrame, name: str, dataset: str, texts: Texts, folder: Path) -> Run:
    """A run with its files; one that is an opponent alone has no verdicts."""
    place = folder / f"run{len(list(folder.glob('run*')))}"
    seeds = sorted({int(seed) for seed in frame["seed"]}) or [0]
    opponents = list(dict.fromkeys(frame["baseline"]))
    files: dict[int, dict[str, str]] = {seed: {} for seed in seeds}
    verdicts: dict[int, dict[str, str]] = {seed: {} for seed in seeds}
    for seed in seeds:
        if name in texts:
            files[seed]["responses"] = str(place / "responses.parquet")
            write_parquet(_responses(texts[name]), files[seed]["responses"])
        for number, opponent in enumerate(opponents):
            own = frame[(frame["seed"] == seed) & (frame["baseline"] == opponent)]
            if own.empty:
                raise InputError(f"verdicts: {name} has none with seed {seed} against {opponent}, but with other seeds")
            verdicts[seed][opponent] = str(place / f"seed{seed}-{number}.parquet")
            write_parquet(_verdicts(own), verdicts[seed][opponent])
    place.mkdir(parents=True, exist_ok=True)
    return Run(dataset, "", name, EXTERNAL, {}, opponents, files, verdicts, called=name)


def _responses(answers: dict[str, Answer]) -> pd.DataFrame:
    """Responses with their prompts, an id in place of one that nobody told; all are text, or all messages."""
    prompts = [answer.prompt or name for name, answer in answers.items()]
    if not all(isinstance(prompt, str) for prompt in prompts):
        prompts = [conversation(prompt) for prompt in prompts]
    rows = zip(answers, prompts, (answer.response for answer in answers.values()), strict=True)
    return pd.DataFrame(rows, columns=RESPONSE_TEXTS)


def _verdicts(frame: pd.DataFrame) -> pd.DataFrame:
    status = frame["preference"].notna().map({True: "parsed", False: "unparsed"})
    known = {"score_run": math.nan, "score_baseline": math.nan, "judge_model": "", "request_key": "", "status": status}
    return frame.assign(**known)[VERDICT_COLUMNS]
