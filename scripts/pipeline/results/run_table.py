"""The run table: which files belong to which run and seed. Reads it and the files that it names, and checks both.

    tag: str; and note: str, where the config has one
    split: eval, or the name of a set of prompts; baseline: name of the baseline run
    seeds: [1, 2, 3]
    runs:
      - dataset, model, run, method: str
        hyperparameters: {name: number, text or boolean}
        baselines: [chosen, <baseline>]
        seeds:
          1: {responses, scores, evaluation, verdicts: {<opponent>: path}, cost, metrics, checkpoints: path}
        sources: path of the judged split, where the dataset is a mix, whose rows know their source
        controls: names of the runs that are this one's controls, where it has some
        decoding: name of what the responses were decoded by; a run stands in the table once for each decoding
        judge_shares: what the judge shares with the reward model that labelled the run's pairs (JUDGE_SHARES), if any

`scores`, `evaluation`, `cost`, `metrics` and `checkpoints` may be absent: without a reward model there are no scores,
the SFT model has no training. All paths are relative. Comparisons stay within one (dataset, model, decoding).
"""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from pipeline.columns.evaluation import PAIR_LOGPS, RESPONSE_LOGPS
from pipeline.columns.learning_curve import CURVE_COLUMNS
from pipeline.columns.response_scores import RESPONSE_SCORE_COLUMNS
from pipeline.columns.responses import FINISHED, RESPONSE_TEXTS
from pipeline.columns.verdicts import DETAIL_COLUMNS, REQUIRED_COLUMNS, STATUSES, TURN
from pipeline.jobs.io import InputError, read_json, read_parquet, read_yaml
from pipeline.results.csv_tables import check_keys, check_type, require

CHOSEN = "chosen"
TABLE_KEYS = ("tag", "split", "baseline", "seeds", "runs")
RUN_KEYS = ("dataset", "model", "run", "method", "hyperparameters", "baselines", "seeds")
OPTIONAL_KEYS = ("sources", "decoding", "judge_shares", "called")
JUDGE_SHARES = ("", "data", "reward_model")
FILE_KEYS = ("responses", "scores", "evaluation", "cost", "metrics", "checkpoints")
COST_KEYS = ("seconds", "rollout_seconds", "steps", "peak_memory_mib", "device")


@dataclass(frozen=True, eq=False)  # told apart by identity, so that what was read of a run can be cached
class Run:
    """One run: a method with its hyperparameters on one dataset and model, with the files of each of its seeds."""

    dataset: str
    model: str
    run: str
    method: str
    hyperparameters: dict
    baselines: list[str]
    files: dict[int, dict[str, str]]
    verdicts: dict[int, dict[str, str]]
    sources: str = ""
    decoding: str = ""
    judge_shares: str = ""
    called: str = ""  # the named loss of its task, where it has one in place of the method
    controls: tuple[str, ...] = ()

    @property
    def group(self) -> tuple[str, str, str]:
        """(dataset, model, decoding): runs are compared within it."""
        return self.dataset, self.model, self.decoding

    @property
    def place(self) -> tuple[str, str, str]:
        """(dataset, model, run): what was trained, however it is decoded."""
        return self.dataset, self.model, self.run

    @property
    def seeds(self) -> list[int]:
        """The run's seeds in ascending order."""
        return sorted(self.files)

    def seeds_with(self, kind: str) -> list[int]:
        """The seeds with a file of this kind (one of `FILE_KEYS`)."""
        return [seed for seed in self.seeds if kind in self.files[seed]]


@dataclass(frozen=True)
class RunTable:
    """All runs of a config, in the order of its tasks."""

    path: str
    tag: str
    split: str
    baseline: str
    seeds: list[int]
    runs: list[Run]
    note: str = ""

    @property
    def hyperparameters(self) -> list[str]:
        """Every hyperparameter that any run has, in order of first appearance."""
        return list(dict.fromkeys(name for run in self.runs for name in run.hyperparameters))

    @property
    def groups(self) -> list[tuple[str, str, str]]:
        """Every (dataset, model, decoding), in order of first appearance."""
        return list(dict.fromkeys(run.group for run in self.runs))

    @property
    def decodings(self) -> list[str]:
        """Every decoding, in order of first appearance."""
        return list(dict.fromkeys(run.decoding for run in self.runs))

    @property
    def first(self) -> "RunTable":
        """The table of the first decoding alone: each policy once."""
        return replace(self, runs=[run for run in self.runs if run.decoding == self.runs[0].decoding])

    @property
    def common(self) -> str:
        """The opponent that all runs are shown against: the chosen responses, else that of most runs."""
        first = [run.baselines[0] for run in self.runs if run.baselines]
        return CHOSEN if CHOSEN in first or not first else max(dict.fromkeys(first), key=first.count)

    def title_of(self, group: tuple[str, ...]) -> str:
        """What tells a group from the others: "world, W1M", with several decodings "world, W1M, greedy"."""
        return ", ".join(filter(None, group[: 3 if len(self.decodings) > 1 else 2]))

    def runs_of(self, group: tuple[str, ...]) -> list[Run]:
        """The runs of one (dataset, model, decoding), or of all decodings of a (dataset, model)."""
        return [run for run in self.runs if run.group[: len(group)] == tuple(group)]

    def baseline_of(self, group: tuple[str, ...]) -> Run | None:
        """The baseline run of one (dataset, model, decoding), None where it has none."""
        return next((run for run in self.runs_of(group) if run.run == self.baseline), None)

    def paths(self, *kinds: str) -> list[str]:
        """The files of these kinds (of `FILE_KEYS`, and verdicts), of all runs and seeds, for records."""
        files = [r.files[seed] | {"verdicts": list(r.verdicts[seed].values())} for r in self.runs for seed in r.seeds]
        found = [path for of in files for kind in kinds for path in np.atleast_1d(of.get(kind, [])).tolist()]
        return list(dict.fromkeys(found))

    @property
    def summary(self) -> dict:
        """What was run, without the files, for records."""
        names = ("dataset", "model", "decoding", "run", "method", "hyperparameters")
        runs = [{name: getattr(run, name) for name in names} for run in self.runs]
        return {"tag": self.tag, "split": self.split, "baseline": self.baseline, "seeds": self.seeds, "runs": runs}


def read_run_table(path: str | Path) -> RunTable:
    """Read and check a run table. The files that it names are not opened.

    Raises:
        InputError: a key is missing, unknown or of the wrong type, or a run stands in it twice.
    """
    content = read_yaml(path)
    check_keys(content, TABLE_KEYS, (*TABLE_KEYS, "note"), str(path))
    check_type(content["runs"], list, "a list of runs", f"{path}: runs")
    check_type(content["seeds"], list, "a list of whole numbers", f"{path}: seeds")
    if not content["runs"]:
        raise InputError(f"{path}: runs: there are none; at least one is needed")
    runs = [_run(entry, f"{path}: runs[{i}]") for i, entry in enumerate(content["runs"])]
    for name, count in Counter((*run.place, run.decoding) for run in runs).items():
        if count > 1:
            raise InputError(f"{path}: runs: {'/'.join(filter(None, name))} stands in it {count} times; once is right")
    return RunTable(str(path), str(content["tag"]), *map(content.get, TABLE_KEYS[1:4]), runs, content.get("note", ""))


def read_verdicts(run: Run, seed: int, baseline: str) -> pd.DataFrame:
    """The verdicts of one run and seed against one opponent.

    Returns:
        prompt_id, order, preference (NaN: not parsed), status, len_run and len_baseline (characters); turn, of several.

    Raises:
        InputError: the file holds other verdicts than these, a pair and order twice, or an impossible preference.
    """
    path = run.verdicts[seed][baseline]
    frame = read_parquet(path, REQUIRED_COLUMNS)
    if turn := [TURN] if TURN in pq.read_schema(path).names else []:
        frame = read_parquet(path, [*REQUIRED_COLUMNS, *turn])
    for column, expected in (("run", run.run), ("seed", seed), ("baseline", baseline)):
        _check_rows(frame[column] == expected, frame, column, path, f"it must be {expected!r} in every row")
    _check_rows(frame["status"].isin(STATUSES), frame, "status", path, f"it must be one of {', '.join(STATUSES)}")
    frame["preference"] = pd.to_numeric(frame["preference"], errors="coerce")
    parsed = frame["status"] == "parsed"
    _check_rows(frame["preference"].between(0, 1) | ~parsed, frame, "preference", path, "a parsed one is 0 to 1")
    _check_rows(frame["preference"].isna() | parsed, frame, "preference", path, "it must be null where not parsed")
    once = ~frame.duplicated(["prompt_id", "order", *turn])
    _check_rows(once, frame, "order", path, "each order of a prompt stands once")
    return frame[["prompt_id", "order", "preference", "status", "len_run", "len_baseline", *turn]]


def read_verdict_details(run: Run, seed: int, baseline: str) -> pd.DataFrame:
    """`read_verdicts` with DETAIL_COLUMNS; one that the file does not have is empty."""
    frame, path = read_verdicts(run, seed, baseline), run.verdicts[seed][baseline]
    known = [column for column in DETAIL_COLUMNS if column in pq.read_schema(path).names]
    return frame.join(read_parquet(path, known)).reindex(columns=[*frame.columns, *DETAIL_COLUMNS])


def read_scores(run: Run, seed: int) -> pd.Series:
    """Reward-model scores of the responses, indexed by prompt_id."""
    return _read_measurements(run.files[seed]["scores"], RESPONSE_SCORE_COLUMNS)["response_score"]


def read_evaluation(run: Run, seed: int) -> pd.DataFrame:
    """Summed log-probabilities (nats) of the evaluation pairs and responses, indexed by prompt_id.

    A pair that is too long for the reference has NaN in all four columns of the pair.
    """
    return _read_measurements(run.files[seed]["evaluation"], ["prompt_id", *PAIR_LOGPS, *RESPONSE_LOGPS], PAIR_LOGPS)


def read_responses(run: Run, seed: int) -> pd.DataFrame:
    """Prompts and responses (text), indexed by prompt_id."""
    path = run.files[seed]["responses"]
    return by_prompt(read_parquet(path, RESPONSE_TEXTS), path)


def read_finished(run: Run, seed: int) -> pd.Series:
    """Whether each response ended by itself, 1 or 0, in the order of the file; NaN where it does not say.

    Raises:
        InputError: a value is neither true nor false.
    """
    path = run.files[seed]["responses"]
    if FINISHED not in pq.read_schema(path).names:
        return read_parquet(path, ["prompt_id"])["prompt_id"].map(lambda _: np.nan).astype(float)
    frame = read_parquet(path, ["prompt_id", FINISHED])
    _check_rows(frame[FINISHED].isin([True, False]), frame, FINISHED, path, "it must be true or false")
    return frame[FINISHED].astype(float)


def read_cost(run: Run, seed: int) -> dict:
    """What one training took: seconds, rollout_seconds, steps, peak_memory_mib, device."""
    path = run.files[seed]["cost"]
    cost = read_json(path)
    require(cost, COST_KEYS, path, "key")
    for key in COST_KEYS:
        number = isinstance(cost[key], int | float) and not isinstance(cost[key], bool)
        if key != "device" and not (number and np.isfinite(cost[key]) and cost[key] >= 0):
            raise InputError(f"{path}: {key} must be a number of at least 0, not {cost[key]!r}")
    return cost


def read_metrics(run: Run, seed: int) -> pd.DataFrame:
    """The learning curve of one training: step, metric, value; empty when nothing was logged."""
    return read_parquet(run.files[seed]["metrics"], CURVE_COLUMNS, allow_empty=True)


def _read_measurements(path: str, columns: list[str], together: list[str] | None = None) -> pd.DataFrame:
    """Finite numbers by prompt; the columns `together` may also be missing, all of them in the same rows."""
    frame = read_parquet(path, columns)
    missing = frame[together].isna().all(axis=1).to_numpy() if together else False
    for column in columns[1:]:
        numbers = pd.to_numeric(frame[column], errors="coerce")
        finite = np.isfinite(numbers.to_numpy(dtype=float)) | (missing if column in (together or ()) else False)
        _check_rows(finite, frame, column, path, "it must be a finite number")
        frame[column] = numbers.astype(float)
    return by_prompt(frame, path)


def by_prompt(frame: pd.DataFrame, path: str | Path) -> pd.DataFrame:
    """A table indexed by prompt_id, in which each prompt stands once."""
    _check_rows(~frame.duplicated("prompt_id"), frame, "prompt_id", path, "each prompt stands once")
    return frame.set_index("prompt_id")


def _check_rows(valid: pd.Series | np.ndarray, frame: pd.DataFrame, column: str, path: str | Path, rule: str) -> None:
    wrong = np.flatnonzero(~np.asarray(valid, dtype=bool))
    if wrong.size:
        prompt, value = (frame[name].tolist()[wrong[0]] for name in ("prompt_id", column))
        raise InputError(f"{path}: row {wrong[0]} (prompt {prompt}): {column} is {value!r}; {rule}")


def _run(entry: dict, where: str) -> Run:
    check_keys(entry, RUN_KEYS, (*RUN_KEYS, *OPTIONAL_KEYS, "controls"), where)
    if entry.get("judge_shares", "") not in JUDGE_SHARES:
        raise InputError(f"{where}.judge_shares: it must be one of {', '.join(JUDGE_SHARES[1:])}")
    check_type(entry["hyperparameters"], dict, "a mapping", f"{where}.hyperparameters")
    check_type(entry["baselines"], list, "a list", f"{where}.baselines")
    check_type(entry["seeds"], dict, "a mapping of seeds to files", f"{where}.seeds")
    for name, value in entry["hyperparameters"].items():
        check_type(value, (str, int, float, bool, type(None)), "one value", f"{where}.hyperparameters.{name}")
    files, verdicts = {}, {}
    for seed, paths in entry["seeds"].items():
        place = f"{where}.seeds.{seed}"
        check_type(seed, int, "a whole number", f"{where}.seeds")
        check_keys(paths, ("responses", "verdicts"), (*FILE_KEYS, "verdicts"), place)
        check_keys(paths["verdicts"], entry["baselines"], entry["baselines"], f"{place}.verdicts")
        files[seed] = {kind: paths[kind] for kind in FILE_KEYS if kind in paths}
        verdicts[seed] = paths["verdicts"]
    if not files:
        raise InputError(f"{where}.seeds: there are none; at least one is needed")
    names = {key: str(entry.get(key, "")) for key in ("dataset", "model", "run", "method", *OPTIONAL_KEYS)}
    given = {key: entry[key] for key in ("hyperparameters", "baselines")}
    return Run(**names, **given, files=files, verdicts=verdicts, controls=tuple(entry.get("controls", ())))
