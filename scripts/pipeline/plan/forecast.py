"""What a plan takes, before anything runs: the time of every job, by method, and the disk."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from types import SimpleNamespace

from pipeline.config.extents import extent_of
from pipeline.jobs.forecast import PlannedJob, duration, expected_seconds, span
from pipeline.plan.files import Plan
from pipeline.plan.pairs import UNSEEN_SET, Pairs, SeenPairs, prepared_pairs, with_set
from pipeline.plan.speeds import Earlier, Machine, Speeds, machine_of, read_records
from pipeline.plan.work import LIKE, Place, Work, work_of

# What jobs that run no model take where none ran before, in seconds; but for those that wait for others' servers.
USUAL_SECONDS, OTHER_SECONDS = {"prepare_data": 10.0, "compute_winrate": 10.0, "render_report": 10.0}, 3.0
SPECS_OF = {
    "train_sft": "sft/{dataset}/{model}{chain}",
    "train_reward": "reward/{reward_model}{chain}",
    "compute_reference": "reference/{dataset}/{model}{chain}",
    "train_policy": "policy/{dataset}/{model}/{run}",
    **dict.fromkeys(("generate_responses", "answer_prompts"), "generation/{model}{further}"),
    "decode_responses": "generation/{model}/{decoding}",
    "sample_candidates": "candidates/{dataset}/{model}/{candidates}",
    "score_bt": "reward/{reward_model}",
    "count_steps": "budget/{dataset}/{model}/{run}",
    "evaluate_checkpoints": "checkpoints/{model}",
    **dict.fromkeys(("run_lm_eval", "run_lm_eval_start"), "lm_eval/{model}"),  # of tasks of unknown size
}
UNREAD = ("count_steps", "evaluate_checkpoints")  # whose earlier times count as they are; nothing is fitted to them
MOST_METHODS = 12  # lines


class Forecast:
    """What planned jobs take.

    Args:
        plan: files of the config.
        specs: what makes each spec.
        accelerators: names of this machine's GPUs.
        results: folder of the results.
    """

    def __init__(
        self, plan: Plan, specs: Mapping[str, Callable[[], dict]], accelerators: Sequence[str], results: str | Path
    ):
        self.plan, self.settings, self.specs, self.results = plan, plan.settings, specs, Path(results)
        device = self.settings.device_entry()
        cuda = device["accelerator"] == "cuda" or (device["accelerator"] == "auto" and bool(accelerators))
        name = accelerators[0] if accelerators and cuda else self.settings.device
        self.machine = Machine("cuda" if cuda else "cpu", name, 1, device["processes"])
        self._pairs = SeenPairs(self.settings, self.results)
        entries = self.settings.entries
        self.place = Place(
            entries["models"], entries["reward_models"], device["per_device_batch_size"], device["processes"]
        )

    @cached_property
    def records(self) -> list[tuple[dict, float | None]]:
        """Of the earlier jobs here, with the whole seconds of each."""
        return list(read_records(self.results))

    @cached_property
    def earlier(self) -> list[Earlier]:
        """The earlier jobs of which it is known what they did."""
        return [job for record, whole in self.records if (job := self._earlier(record, whole))]

    @cached_property
    def speeds(self) -> Speeds:
        """Fitted to the earlier jobs."""
        return Speeds(self.earlier, self.machine)

    def work(self, job: PlannedJob) -> Work | None:
        """What a planned job does; None where it runs no model, or one of unknown size."""
        return self._looked_at(job)[1]

    def _looked_at(self, job: PlannedJob) -> tuple[dict | None, Work | None]:
        """The spec and the work of a job, which all seeds share."""
        names = {name: value for name, value in job.names.items() if name != "seed"}
        key = (job.rule, *names.items())
        if key not in self.kinds:
            spec = self._spec(job) if "dataset" in names else None
            split, seeds = names.get("split", "train"), len(self.settings.seeds)
            if job.rule == "evaluate_checkpoints":  # of a run's kept ones and its start
                seeds = 1 + int(names["kept"]) * self.settings.task_runs[names["run"]].trained
            pairs = self._pairs(names["dataset"], names.get("set")) if spec else Pairs()
            split = names.get("set", split)
            sized = with_counted(spec, self._counted(job)) if spec and job.rule == "train_policy" else spec
            self.kinds[key] = spec, spec and work_of(job.rule, sized, pairs, split, self.place, seeds)
        return self.kinds[key]

    @cached_property
    def kinds(self) -> dict[tuple, tuple[dict | None, Work | None]]:
        """What was found of jobs, by their rules and wildcards."""
        return {}

    def seconds(self, jobs: Sequence[PlannedJob]) -> list[float | None]:
        """The time of each job: as its own last run where it did the same, else by its work, else as its rule's others.

        Returns:
            In the order of the jobs; None where nobody can know.
        """
        measured = expected_seconds(jobs, self.results / "benchmarks")
        return [self._seconds(job, known) for job, known in zip(jobs, measured, strict=True)]

    def _seconds(self, job: PlannedJob, known: float | None) -> float | None:
        work = self.work(job)
        if work:
            if known is not None and (job.rule in UNREAD or self._did_the_same(job)):
                return known
            method, rule = self.method(job) if job.rule == "train_policy" else "", LIKE.get(job.rule, job.rule)
            seconds = partial(self.speeds.seconds, rule, method, threads=job.threads // self.machine.processes)
            given = self._budget_seconds(job) if method else None
            return seconds(work) if given is None else seconds(Work(0, 0)) + given
        if known is not None or self._asks_a_service(job) or job.rule in SPECS_OF:
            return known
        return USUAL_SECONDS.get(job.rule, OTHER_SECONDS)

    def _extent(self, job: PlannedJob) -> dict:
        return extent_of(self.settings, self.settings.task_runs[job.names["run"]])

    def _counted(self, job: PlannedJob) -> int | None:
        """Optimizer steps that the budget of a training's run became; None where nothing counted them so far."""
        place, run = "{dataset}/{model}".format(**job.names), self._extent(job).get("run")
        folder, spec = self.results / "budgets" / place, self.specs.get(f"budget/{place}/{run}")
        try:
            record = json.loads((folder / f"{run}.provenance.json").read_text(encoding="utf-8"))
            same = spec and record["spec"] == json.loads(json.dumps(spec()))
            return int(json.loads((folder / f"{run}.json").read_text(encoding="utf-8"))["steps"]) if same else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _budget_seconds(self, job: PlannedJob) -> float | None:
        """Seconds of a training that has so many, start apart; None where it has steps or passes.

        As many seconds as another run has are those of its own training, however that is known.
        """
        extent = self._extent(job)
        budget = extent.get("budget", {}) if extent.get("run") == job.names["run"] else {}  # else it has their steps
        if self._counted(job) or not {"seconds", "relative"} & set(budget):
            return None
        if "seconds" in budget:
            return budget["seconds"]
        other = replace(job, names={**job.names, "run": extent["of"]}, output="")
        start = self.speeds.seconds("train_policy", self.method(other), Work(0, 0))
        whole = self._seconds(other, None)
        return None if whole is None else budget["relative"] * (whole - start)

    def method(self, job: PlannedJob) -> str:
        """The method that a job is run for; empty for one that several share."""
        run = self.settings.task_runs.get(job.names.get("run", ""))
        return run.method if run else ""

    def basis(self, jobs: Sequence[PlannedJob]) -> str:
        """What the times are known by, in words."""
        if not self.speeds.are_guessed or not any(self.work(job) for job in jobs):
            return "by the times of earlier jobs"
        device = "a CPU" if self.machine.type == "cpu" else f"a GPU like {self.machine.name}"
        return f"a guess by usual speeds of {device}, as no job that runs a model ran on such a device here before"

    def written(self, jobs: Sequence[PlannedJob]) -> float:
        """Bytes that jobs leave in the results."""
        return sum(work.written for job in jobs if (work := self.work(job)))

    def state(self, jobs: Sequence[PlannedJob], at_once: int) -> float:
        """Bytes that the largest trainings hold besides, so many of them at a time."""
        held = sorted((work.state for job in jobs if (work := self.work(job))), reverse=True)
        return sum(held[: max(at_once, 1)])

    def guessed_rows(self, jobs: Sequence[PlannedJob]) -> list[str]:
        """Datasets of which only the preparation will tell how many rows they have."""
        names = dict.fromkeys(job.names["dataset"] for job in jobs if "dataset" in job.names)
        return [name for name in names if not self._pairs(name).counted]

    def guessed_sets(self, jobs: Sequence[PlannedJob]) -> list[str]:
        """Sets of prompts of which only the preparation will tell how many there are."""
        dataset, names = self.settings.datasets[0], dict.fromkeys(job.names.get("set") for job in jobs)
        return [name for name in names if name and not self._pairs(dataset, name).counted]

    def _spec(self, job: PlannedJob) -> dict | None:
        names, rule = {"chain": "", "further": "", **job.names}, LIKE.get(job.rule, job.rule)
        if rule == "score_responses":
            name = f"reward/{self.settings.reward_model_name(names['dataset'])}"
        elif rule in ("judge_responses", "measure_judge"):
            spec = self.settings.judge_spec(self.plan.judge_of(SimpleNamespace(**job.names)))
            own = spec.get("reward_model") or self.settings.reward_model_name(names["dataset"])
            return spec | {"reward_model": own} if spec["kind"] == "reward" else spec
        elif rule in SPECS_OF:
            name = SPECS_OF[job.rule if job.rule in SPECS_OF else rule].format(**names)
        else:
            return None
        return self.specs[name]() if name in self.specs else None

    def _asks_a_service(self, job: PlannedJob) -> bool:
        spec = self._looked_at(job)[0] or {}
        return spec.get("kind") == "openai"

    def _did_the_same(self, job: PlannedJob) -> bool:
        """Whether the record of a job's last run has the spec that it has now, and its data are as they were."""
        spec = self._looked_at(job)[0]
        outputs = (job.output, str(Path(job.output).parent))  # a training's record names its folder
        record = next((self.by_output[output] for output in outputs if output in self.by_output), None)
        if not record or not spec:
            return False
        pairs = self._pairs(job.names["dataset"])
        same_data = pairs.prepared != "" and pairs.prepared <= record.get("finished", "")
        return same_data and record.get("spec") == json.loads(json.dumps(spec))

    @cached_property
    def by_output(self) -> dict[str, dict]:
        """The records by each output that they name."""
        return {output: record for record, _ in self.records for output in record["outputs"]}

    def _earlier(self, record: dict, whole: float | None) -> Earlier | None:
        """A recorded job; None where what it did is not known any more."""
        try:
            rule, spec, machine = record["script"].removesuffix(".py"), record["spec"], machine_of(record)
            place = Path(record["outputs"][0]).relative_to("results").parts
            pairs, seconds = prepared_pairs(place[1], self.results), float(record["seconds"])
            if machine is None or pairs is None or pairs.prepared > record["finished"]:
                return None
            split = next((part for part in pairs.rows if Path(place[-1]).stem.startswith(part)), "train")
            if place[-2] == "prompts":
                split = Path(place[-1]).stem.split("-vs-")[0]
                pairs = with_set(pairs, split, {}, self.results)
            sized = with_counted(spec, record["options"].get("steps")) if rule == "train_policy" else spec
            work = work_of(rule, sized, pairs, split, self.place, len(record["outputs"]))
        except (KeyError, TypeError, ValueError, IndexError):
            return None
        method = str(spec.get("method", "")) if rule == "train_policy" else ""
        start = None if whole is None else max(whole - seconds, 0.0)
        return work and Earlier(rule, method, machine, work, seconds, start)


def with_counted(spec: dict, steps: int | None) -> dict:
    """A policy spec with the number of optimizer steps that something else said, where that is known."""
    return spec | {"extent": {"max_steps": steps}} if steps else spec


def describe_time(
    forecast: Forecast, jobs: Sequence[PlannedJob], seconds: Sequence[float | None], *limits: int | None
) -> str:
    """Lines for the user: how long each method takes, and how much disk all of it.

    Args:
        jobs, seconds, limits: as `pipeline.jobs.forecast.span` takes them.
    """
    lines = [f"  {line}" for line in _methods(forecast, jobs, seconds, *limits)]
    disk = forecast.written(jobs)
    if disk:
        cores, gpus = limits
        at_once = (gpus or 1) if forecast.machine.type == "cuda" else (cores or 1)
        free = shutil.disk_usage(forecast.results if forecast.results.exists() else ".").free
        state = forecast.state(jobs, at_once)
        text = f"About {size(disk)} of disk, and {size(state)} more while trainings run; {size(free)} are free"
        lines.append(text + (": too little" if disk + state > free else ""))
    if guessed := forecast.guessed_rows(jobs):
        rows = sum(forecast._pairs(guessed[0]).rows.values())
        lines.append(
            f"Until it is prepared, nobody knows how many rows there are of {', '.join(guessed)}: {rows:,} assumed"
        )
    if guessed := forecast.guessed_sets(jobs):
        lines.append(f"Nobody knows the prompts of {', '.join(guessed)}: {UNSEEN_SET:,} assumed of each")
    return "\n".join(lines)


def _methods(
    forecast: Forecast, jobs: Sequence[PlannedJob], seconds: Sequence[float | None], *limits: int | None
) -> Iterator[str]:
    """A line for what is shared, and for each method, the longest first."""
    groups: dict[str, list[int]] = {}
    for i, job in enumerate(jobs):
        groups.setdefault(forecast.method(job), []).append(i)
    if set(groups) <= {""}:
        return
    found = []
    for method, numbers in groups.items():
        places = {number: i for i, number in enumerate(numbers)}
        own = [replace(jobs[i], needs=tuple(places[n] for n in jobs[i].needs if n in places)) for i in numbers]
        known = [seconds[i] for i in numbers]
        hours = sum((one or 0.0) * job.gpus for job, one in zip(own, known, strict=True)) / 3600
        # with device auto jobs ask for a GPU on a machine without one too
        found.append((method, span(own, known, *limits), hours if forecast.machine.type == "cuda" else 0.0))
    found.sort(key=lambda row: (row[0] != "", -row[1]))
    for method, time, hours in found[:MOST_METHODS]:
        trained = any(jobs[i].rule == "train_policy" for i in groups[method])
        what = f"{'trainings, ' if trained else ''}responses and verdicts"
        name = f"{method}: its {what}" if method else "what methods share"
        yield f"{name}, {duration(time)}" + (f", {hours:.1f} GPU hours" if hours else "")


def size(count: float) -> str:
    """Bytes for readers: "45 MB", "1.2 GB"."""
    for unit, one in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= one:
            return f"{count / one:.1f} {unit}" if count < 10 * one else f"{count / one:.0f} {unit}"
    return f"{max(count / 1e3, 1):.0f} kB"
