"""Where the results of a config are, below results/, as the rules and the tables of runs name them."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.circularity import judge_shares
from pipeline.config.elsewhere import answers_file
from pipeline.config.entries import parts_of
from pipeline.config.judges import gives_parts
from pipeline.config.prompts import has_categories, set_decodings, set_judge
from pipeline.config.reward_training import prepared_datasets
from pipeline.config.settings import Run
from pipeline.config.sweep import is_rewarded
from pipeline.plan.checkpoints import Checkpoints
from pipeline.plan.lm_eval import benchmark_files
from pipeline.plan.prompts import judge_service, own_opponents, paid_sets, set_path

SPLITS = ("train", "selection", "eval")
# What a run that is trained leaves besides its model.
RECORDS = {"cost": "json", "metrics": "parquet"}
# Replies that were paid for: no rule's output, as Snakemake deletes the outputs of failed jobs.
JUDGEMENTS = "results/judgements"
# Hyperparameters that tables have by another name, as they have a column of that name already.
COLUMNS = {"n": "candidates"}
PAGE_KINDS = (".jinja", ".css", ".js", ".txt")
Files = dict[str, str | dict[str, str]]  # of a run, by kind; the verdicts by baseline


@dataclass(frozen=True)
class Plan(Checkpoints):
    """The files of a config, as paths relative to the working directory.

    Where a method takes `names`, that is anything with the names of what is meant as attributes (dataset, model, run,
    seed, judge, as far as it needs them), such as Snakemake's wildcards.
    """

    @property
    def prepared(self) -> list[str]:
        """All datasets that are prepared, each after those that it is drawn from."""
        return prepared_datasets(self.settings)

    def mixed(self, dataset: str) -> list[str]:
        """The datasets that a mix is drawn from; none of another dataset."""
        parts = list(parts_of(dataset, self.settings.entries["datasets"]))
        return parts if parts != [dataset] else []

    def mixed_splits(self, dataset: str) -> list[str]:
        """The prepared splits that a mix is drawn from; none of another dataset."""
        return [f"results/data/{part}/{split}.parquet" for part in self.mixed(dataset) for split in SPLITS]

    def part_arguments(self, dataset: str) -> list[str]:
        """Arguments of the preparation of a mix; none of another dataset."""
        parts = [f"results/data/{part}" for part in self.mixed(dataset)]
        return ["--parts", *parts] if parts else []

    def mixes(self, split: str) -> dict[str, str]:
        """{dataset: its split} of those whose rows know their source: mixes, and the world's second edition."""
        known = self.settings.entries["datasets"]
        found = [of for of in self.settings.datasets if self.mixed(of) or known[of].get("edition") == 2]
        return {of: f"results/data/{of}/{split}.parquet" for of in found}

    @property
    def scored_splits(self) -> tuple[str, str]:
        """The splits of every dataset that have Bradley-Terry scores."""
        return "train", self.settings.split

    def launcher(self, strategy: str) -> str:
        """How a script is started: by Python, or in the device's processes by accelerate with that of its configs."""
        processes = self.settings.device_entry()["processes"]
        if processes == 1:
            return "python"
        return f"accelerate launch --config_file config/accelerate/{strategy}.yaml --num_processes {processes}"

    def reward_arguments(self, dataset: str, reward_model: str | None, input, seed: int | str | None = None) -> str:
        """Arguments of a script that may ask a reward model, whose spec is the job's input `reward_spec`, quoted."""
        if reward_model is None:
            return ""
        path = self.reward_model_path(dataset, reward_model, seed)
        return shlex.join(["--reward-spec", str(input.reward_spec), "--reward-model", path])

    def policy_reward(self, names) -> str | None:
        """The reward model that a run's training asks, the dataset's; None where it asks none."""
        asked = is_rewarded(self.settings.task_runs[names.run])
        return self.settings.reward_model_name(names.dataset) if asked else None

    def baselines(self, run: Run, split: str | None = None) -> list[str]:
        """What a run's responses are judged against: the dataset's chosen responses, the baseline run, its controls.

        Args:
            split: or a set of prompts, which has other answers than chosen ones, or none.
        """
        other = self.settings.baseline_run(run.dataset, run.model)
        own = own_opponents(self.settings, run.dataset, split) if split in self.settings.prompt_sets else ["chosen"]
        others = [] if run.name == other else [other]
        return list(dict.fromkeys([*own, *others, *self.settings.controls.get(run.name, [])]))

    def decodings(self, split: str) -> list[str]:
        """The decodings that runs are judged under: all on the judged split and sets that want it, else the first."""
        if split in self.settings.prompt_sets:
            return set_decodings(self.settings, split)
        return self.settings.decodings[: None if split == self.settings.split else 1]

    def runs_on(self, split: str) -> list[Run]:
        """The runs that answer a split, or a set of prompts: those made elsewhere where they have a file."""
        judged, settings = split == self.settings.split, self.settings
        return [
            run
            for run in settings.runs
            if not run.elsewhere or answers_file(settings, run.name, run.dataset if judged else split)
        ]

    def run_files(self, run: Run, seed: int, split: str, decoding: str | None = None) -> Files:
        """Files of one run and seed that the tables are made from, by kind; the verdicts by baseline.

        The first decoding's, or those of a further one, in folders of its name; what the policy itself is measured by
        (evaluation, cost, metrics) is the same for all. Of a set of prompts, which may stand for a split, there are
        responses and verdicts alone.
        """
        place = f"{run.dataset}/{run.model}/{run.name}/seed{seed}"
        records = {name: f"results/policies/{place}/{name}.{kind}" for name, kind in RECORDS.items() if run.trained}
        own = place if decoding in (None, self.settings.decodings[0]) else f"{place}/{decoding}"
        of_set = split in self.settings.prompt_sets
        own += "/prompts" if of_set else ""
        files: Files = {
            "responses": f"results/responses/{own}/{split}.parquet",
            "scores": f"results/scores/{own}/{split}.parquet",
            "verdicts": {of: f"results/verdicts/{own}/{split}-vs-{of}.parquet" for of in self.baselines(run, split)},
        }
        if of_set:
            return {kind: files[kind] for kind in ("responses", "verdicts")} | records
        if run.trained or run.is_start:  # else there is no policy to measure
            files["evaluation"] = f"results/evaluations/{place}/{split}.parquet"
            files |= benchmark_files(self, run, seed)
            if kept := self.settings.config["evaluate_checkpoints"]:
                files["checkpoints"] = f"results/checkpoints/{place}/{split}-of{kept}.parquet"
        return files | records

    def files(self, *kinds: str, split: str | None = None) -> list[str]:
        """Files of some kinds (of `run_files`) of all runs, seeds and decodings, on the config's split when None.

        Args:
            split: or a set of prompts.
        """
        split = split or self.settings.split
        runs = [(run, seed) for run in self.runs_on(split) for seed in self.settings.seeds]
        of_runs = [self.run_files(*run, split, decoding) for decoding in self.decodings(split) for run in runs]
        found = [files[kind] for kind in kinds for files in of_runs if kind in files]
        paths = [path for each in found for path in (each.values() if isinstance(each, dict) else [each])]
        return list(dict.fromkeys(paths))

    def run_table(self, split: str) -> dict:
        """The table of runs that the aggregating scripts read (`pipeline.results.run_table`).

        Args:
            split: or a set of prompts, whose categories are then the sources.
        """
        settings, mixes, judge = self.settings, self.mixes(split), dict.fromkeys(self.settings.datasets)
        if split in settings.prompt_sets:
            mixes = dict.fromkeys(settings.datasets, set_path(split)) if has_categories(settings, split) else {}
            judge = {dataset: set_judge(settings, dataset, split) for dataset in settings.datasets}
        rows = [
            {
                "dataset": run.dataset,
                "model": run.model,
                "decoding": decoding,
                "run": run.name,
                "method": run.method,
                "hyperparameters": columned(run.hyperparameters),
                "baselines": self.baselines(run, split),
                "seeds": {seed: self.run_files(run, seed, split, decoding) for seed in settings.seeds},
                **({"sources": mixes[run.dataset]} if run.dataset in mixes else {}),
                **({"controls": list(settings.controls[run.name])} if run.name in settings.controls else {}),
                **({"called": loss} if (loss := settings.task_runs[run.name].called) != run.method else {}),
                **({"judge_shares": shared} if (shared := judge_shares(settings, run, judge[run.dataset])) else {}),
            }
            for decoding in self.decodings(split)
            for run in self.runs_on(split)
        ]
        baseline = settings.baseline_run(settings.datasets[0], settings.models[0])
        table = {"tag": settings.tag, "split": split, "baseline": baseline, "seeds": settings.seeds, "runs": rows}
        return table | {key: settings.config[key] for key in ("note",) if key in settings.config}

    def bt_split(self, dataset: str, split: str) -> str:
        """A split with Bradley-Terry scores."""
        return f"results/bt/{dataset}/{self.settings.reward_model_name(dataset)}/{split}.parquet"

    def bt_splits(self) -> list[str]:
        """The scored splits of every dataset."""
        return [self.bt_split(dataset, split) for dataset in self.settings.datasets for split in self.scored_splits]

    def calibrations(self, dataset: str) -> list[str]:
        """The calibration of each of a dataset's scored splits, in numbers."""
        place = f"results/calibration/{dataset}/{self.settings.reward_model_name(dataset)}"
        return [f"{place}/{split}.json" for split in self.scored_splits]

    def tracked_winrates(self) -> list[str]:
        """The record of the win rates at Weights & Biases, where the config wants one."""
        return ["results/tracked.json"] if self.settings.config["wandb"] else []

    def selection_table(self) -> list[str]:
        """The win rates by which the report chooses the best run of each method, where the config wants that."""
        return ["results/selection.csv"] if self.settings.config["best_of_sweep"] else []

    def source_table(self) -> list[str]:
        """The win rates by source, where the config has a dataset that knows them."""
        return ["results/winrate_by_source.csv"] if self.mixes(self.settings.split) else []

    def source_arguments(self) -> list[str]:
        """The argument that names the win rates by source, where there are any."""
        return [part for path in self.source_table() for part in ("--by-source", path)]

    def price_arguments(self) -> list[str]:
        """The argument that tells the report what an hour of a job costs, where the device says so."""
        price = self.settings.device_entry().get("dollars_per_hour")
        return [] if price is None else ["--dollars-per-hour", str(price)]

    def label_file(self) -> list[str]:
        """People's verdicts on pairs of responses, where the config names a file of them."""
        path = self.settings.config.get("human_labels")
        return [str(Path(path).expanduser())] if path else []

    def parts_table(self) -> list[str]:
        """The parts of the verdicts, where a judge gives any."""
        judges = {self.settings.judge_name(dataset) for dataset in self.settings.datasets}
        return ["results/parts.csv"] if any(gives_parts(self.settings.judge_spec(name)) for name in judges) else []

    def page_files(self) -> list[str]:
        """What the report's page is made of besides Python: templates, style, scripts, licences."""
        found = (self.settings.root / "scripts" / "pipeline" / "report").rglob("*")
        return sorted(path.relative_to(self.settings.root).as_posix() for path in found if path.suffix in PAGE_KINDS)

    def judge_of(self, names) -> str:
        """Name of the judge: the one that is asked for, else that of the set of prompts, else the dataset's."""
        if name := getattr(names, "set", None):
            return set_judge(self.settings, names.dataset, name)
        return getattr(names, "judge", self.settings.judge_name(names.dataset))

    def judge_kind(self, names) -> str:
        """openai, reward, gold or another of its schema."""
        return self.settings.judge_spec(self.judge_of(names))["kind"]

    def judge_reward(self, names) -> str | None:
        """The reward model of a judge of kind reward: its own, else the dataset's; None for other kinds."""
        if self.judge_kind(names) != "reward":
            return None
        spec = self.settings.judge_spec(self.judge_of(names))
        return spec.get("reward_model") or self.settings.reward_model_name(names.dataset)

    def judge_arguments(self, names, input) -> str:
        """Arguments of judging that depend on the judge's kind, quoted for a shell.

        How a judge is reached and what it may take, its service, is no input, as that makes no verdict stale.
        """
        prompts = shlex.join(["--prompts", set_path(names.set)]) + " " if getattr(names, "set", None) else ""
        if self.judge_kind(names) == "openai":
            return prompts + shlex.join(["--service", judge_service(self.judge_of(names)), "--store", JUDGEMENTS])
        return prompts + self.reward_arguments(names.dataset, self.judge_reward(names), input)

    def measured_judges(self, form: str = "json") -> list[str]:
        """Where the quality of every dataset's judge is measured; not of those that cost money, unless that is wanted.

        Args:
            form: json, for the report's page, csv, or parquet, the verdicts that it was measured by.
        """
        settings = self.settings
        given = settings.config["judge_quality"]
        judges = {dataset: settings.judge_name(dataset) for dataset in settings.datasets if given["pairs"]}
        return [
            f"results/judge_quality/{dataset}/{judge}/{settings.split}.{form}"
            for dataset, judge in judges.items()
            if given["paid"] or settings.judge_spec(judge)["kind"] != "openai"
        ]

    def paid_splits(self) -> list[dict[str, str]]:
        """What judges of kind openai judge, the selection split too where its win rates are made.

        Returns:
            dataset, and the paths runs (a table of runs), split, spec and service (both of the judge), of each.
        """
        tables = {self.settings.split: "runs"} | ({"selection": "selection"} if self.selection_table() else {})
        judges = {dataset: self.settings.judge_name(dataset) for dataset in self.settings.datasets}
        return [
            {
                "dataset": dataset,
                "runs": f"results/specs/{table}.yaml",
                "split": f"results/data/{dataset}/{split}.parquet",
                "spec": f"results/specs/judge/{judge}.yaml",
                "service": judge_service(judge),
            }
            for dataset, judge in judges.items()
            if self.settings.judge_service(judge)
            for split, table in tables.items()
        ] + paid_sets(self.settings)


def columned(values: dict) -> dict:
    """Hyperparameters by the names that tables have them under."""
    return {COLUMNS.get(key, key): value for key, value in values.items()} if COLUMNS.keys() & values.keys() else values
