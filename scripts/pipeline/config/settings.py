"""The config of a workflow: what is run, and for each stage the spec that it is made from.

A spec is a plain mapping with just what its stage depends on, so that a changed entry makes stale only what was made
from it. Seeds, tag and device are in none.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pipeline.config.elsewhere import check_elsewhere, external_runs, has_run
from pipeline.config.entries import data_entry, parts_of, read_entries, without_selection
from pipeline.config.errors import ConfigError, Problem, unknown_name
from pipeline.config.extents import check_extents, check_tasks, controls_of, followed_extent, named_run
from pipeline.config.fields import branches
from pipeline.config.judges import check_judge, judge_names, read_judge
from pipeline.config.prompts import check_prompts
from pipeline.config.reward_training import reward_model_spec, training_problem, used_reward_models
from pipeline.config.run_kinds import UNTRAINED
from pipeline.config.schema import fill, load_schema
from pipeline.config.sizes import sized
from pipeline.config.starts import check_starts, has_sft, named_starts, shared_length, start_name
from pipeline.config.sweep import METHODS, Run, TaskRun, expand, is_rewarded
from pipeline.config.unread import check_training

__all__ = ["METHODS", "ConfigError", "Run", "Settings"]

ROOT = Path(__file__).resolve().parents[3]
ENTRIES = {"datasets": "dataset", "models": "model", "reward_models": "reward model", "devices": "device"}
ENTRIES |= {"prompts": "set of prompts"}
DECODINGS = {"greedy": {"do_sample": False}, "sample": {}}


@dataclass(frozen=True)
class Settings:
    """A validated config with its entries. Make it with `from_config`.

    Attributes:
        config: the config with its defaults; its tasks are as given.
        entries: {datasets | models | reward_models | devices | prompts: {name: entry with defaults}}.
        task_runs: the runs that the tasks span, by name.
        root: folder that holds config/.
        source: file that the config is from, or "config", for messages.
    """

    config: dict
    entries: dict[str, dict[str, dict]]
    task_runs: dict[str, TaskRun]
    root: Path
    source: str

    @classmethod
    def from_config(
        cls, config: dict, root: Path | None = None, source: str = "config", given: Mapping | None = None
    ) -> "Settings":
        """Validate a config and all that it names.

        Args:
            config: as Snakemake hands it over; it is not changed.
            root: folder that holds config/; the repository when None.
            source: file that the config is from, for messages.
            given: what of the config the command line sets; it comes before the changes of a size.

        Raises:
            ConfigError: anything in the config or in an entry's file is wrong.
        """
        root = ROOT if root is None else Path(root)
        written, source = sized(dict(config), source, given)
        schema = load_schema("config")
        if written.get("sft") is True:
            del written["sft"]
        filled = fill({key: value for key, value in written.items() if key != "tasks"}, schema)
        filled |= {"tasks": written["tasks"], "policy": written.get("policy", {})}  # each method has its own defaults
        filled["decodings"] = {**fill({"decodings": DECODINGS}, schema)["decodings"], **filled["decodings"]}
        check_tasks(written, source)
        runs = expand(filled["tasks"], filled["policy"], source)
        entries = {kind: read_entries(kind, filled["definitions"].get(kind, {}), root, source) for kind in ENTRIES}
        kinds = {has_sft(filled, entries["models"].get(name, {})) for name in filled["models"]}
        named = named_starts(runs, kinds)
        settings = cls(filled, entries, named | external_runs(filled, named, source), root, source)
        settings._check()
        return settings

    tag = property(lambda self: self.config["tag"], doc="Name of the config's table of results.")
    datasets = property(lambda self: self.config["datasets"], doc="Names of the datasets, a list.")
    models = property(lambda self: self.config["models"], doc="Names of the models, a list.")
    seeds = property(lambda self: self.config["seeds"], doc="Training and sampling seeds, a list.")
    device = property(lambda self: self.config["device"], doc="Name of the device.")
    devices = property(lambda self: self.entries["devices"], doc="All devices, by name.")
    split = property(lambda self: self.config["split"], doc="Split of the judged prompts: eval or selection.")
    prompt_sets = property(lambda self: self.config.get("prompts", []), doc="Names of the sets of prompts, a list.")

    @property
    def decodings(self) -> list[str]:
        """Names of the decodings."""
        return [given] if isinstance(given := self.config["decoding"], str) else given

    @cached_property
    def _judges(self) -> dict[str, tuple[dict, dict]]:
        return {}

    @cached_property
    def max_length(self) -> int:
        """Most tokens of prompt and response, which all runs share as they share the reference log-probabilities.

        Raises:
            ConfigError: two runs have different ones.
        """
        return shared_length(self)

    @cached_property
    def runs(self) -> list[Run]:
        """Every run of every dataset and model."""
        return [
            Run(dataset, model, run.name, run.method, run.hyperparameters)
            for dataset in self.datasets
            for model in self.models
            for run in self.task_runs.values()
            if has_run(self, run, dataset, model)
        ]

    @cached_property
    def controls(self) -> dict[str, list[str]]:
        """Names of the runs that are controls of a run, by its name, of the runs that have some."""
        return controls_of(self)

    def has_sft(self, model: str) -> bool:
        """Whether a model is fine-tuned before its policies; else they start from it as it is."""
        return has_sft(self.config, self.entries["models"][model])

    def device_entry(self) -> dict:
        """The device: accelerator, processes, precision, attention, per_device_batch_size."""
        return copy.deepcopy(self.devices[self.device])

    def baseline_run(self, dataset: str, model: str) -> str:
        """Name of the run that the others of a dataset and model are compared with."""
        baseline = self.config["baseline"]
        if baseline in UNTRAINED:
            baseline = start_name(self.has_sft(model))
        return named_run(self, baseline, ("baseline",)).name

    def data_spec(self, dataset: str) -> dict:
        """What a dataset is prepared from: its name and entry, and the tokenizers by which rows are too long."""
        models = [self.entries["models"][model] for model in self.models]
        return self._named(dataset, data_entry(self.entries["datasets"][dataset], models, self.max_length))

    def sft_spec(self, dataset: str, model: str) -> dict:
        """What an SFT model is trained from: {dataset, model: {name, …}, sft: hyperparameters}."""
        return copy.deepcopy({"dataset": dataset, "model": self._model(model), "sft": self.config["sft"]})

    def reward_model_name(self, dataset: str) -> str:
        """Name of a dataset's reward model: the config's, else the dataset's own."""
        return self.config.get("reward_model") or self.entries["datasets"][dataset]["reward_model"]

    def reward_spec(self, dataset: str, reward_model: str) -> dict:
        """What a reward model is loaded or trained from: its name and entry (the same for every dataset)."""
        return self._named(reward_model, reward_model_spec(self, reward_model))

    @cached_property
    def used_reward_models(self) -> list[tuple[str, str]]:
        """(dataset, reward model) of all that label pairs, score responses or judge."""
        return used_reward_models(self)

    def policy_spec(self, dataset: str, model: str, run: str) -> dict:
        """What a policy is trained from, up to its seed.

        Returns:
            {dataset, model: {name, …}, run, method, hyperparameters}; where it has them, reward_model (its name),
            extent (another run's), unlabelled (true where its DDP rows, r > 0, are the dataset's unlabelled).
        """
        task_run = self.task_runs[run]
        spec = {
            "dataset": dataset,
            "model": self._model(model),
            "run": run,
            "method": task_run.method,
            "hyperparameters": task_run.hyperparameters,
        }
        if is_rewarded(task_run):
            spec["reward_model"] = self.reward_model_name(dataset)
        if task_run.hyperparameters.get("r") and self.entries["datasets"][dataset].get("unlabelled"):
            spec["unlabelled"] = True
        return copy.deepcopy(spec | followed_extent(self, task_run))

    def reference_spec(self, dataset: str, model: str) -> dict:
        """What reference log-probabilities are computed from: {dataset, model: {name, …}, max_length}."""
        return {"dataset": dataset, "model": self._model(model), "max_length": self.max_length}

    def generation_spec(self, model: str, decoding: str | None = None) -> dict:
        """How responses to the judged prompts are sampled, and up to which length the eval pairs are measured.

        Returns:
            {model: {name, …}, decoding (the first when None): {name, do_sample, …, max_new_tokens}, max_length}.
        """
        name = decoding or self.decodings[0]
        sampling = self._named(name, self.config["decodings"][name])
        return {"model": self._model(model), "decoding": sampling, "max_length": self.max_length}

    def checkpoint_spec(self, model: str) -> dict:
        """How kept checkpoints are sampled: as `generation_spec` has it, on so many prompts.

        Returns:
            {model: {name, …}, decoding: …, prompts}.
        """
        spec = self.generation_spec(model)
        return {name: spec[name] for name in ("model", "decoding")} | {"prompts": self.config["checkpoint_prompts"]}

    def judge_name(self, dataset: str) -> str:
        """Name of a dataset's judge: the config's, else the dataset's own."""
        return self.config.get("judge") or self.entries["datasets"][dataset]["judge"]

    def judge_spec(self, judge: str) -> dict:
        """A judge's name and entry; kind openai also has `prompt`, the text of its prompt.txt.

        A judge of kind reward that names no reward_model uses the dataset's.
        """
        return self._named(judge, self._judge(judge)[0])

    def judge_service(self, judge: str) -> dict:
        """How a judge of kind openai is reached and what it may take, which changes no verdict; {} for other kinds."""
        return self._judge(judge)[1]

    def _judge(self, judge: str) -> tuple[dict, dict]:
        if judge not in self._judges:  # asked for with every job of a plan
            self._judges[judge] = read_judge(judge, self.root, list(self.entries["reward_models"]))
        return self._judges[judge]

    def _named(self, name: str, entry: dict) -> dict:
        return copy.deepcopy({"name": name, **entry})

    def _model(self, model: str) -> dict:
        """A model's name and entry; with `sft: false` where policies start from it as it is."""
        entry = {key: value for key, value in self.entries["models"][model].items() if key != "sft"}
        return self._named(model, entry if self.has_sft(model) else entry | {"sft": False})

    def error(self, problem: Problem) -> ConfigError:
        """The error to raise for a problem of the config."""
        return problem.error(self.source, self.config)

    def _check(self) -> None:
        """Raise what only the config and the entries together can show to be wrong."""
        for kind in ("datasets", "models"):
            for index, name in enumerate(self.config[kind]):
                self._require((kind, index), ENTRIES[kind], name, self.entries[kind])
        self._require(("device",), "device", self.device, self.devices)
        for index, name in enumerate(self.decodings):
            path = ("decoding",) if isinstance(self.config["decoding"], str) else ("decoding", index)
            self._require(path, "decoding", name, self.config["decodings"])
        judges = judge_names(self.root)
        for dataset in self.datasets:
            self._check_use(dataset, "reward_model", "reward model", list(self.entries["reward_models"]))
            self._check_use(dataset, "judge", "judge", judges)
            key = "split" if self.split == "selection" else "best_of_sweep"
            parts = parts_of(dataset, self.entries["datasets"])
            if self.config[key] in ("selection", True) and (empty := without_selection(parts)):
                text = f"{self.config[key]}, but the dataset {empty} 0, so no prompts in that split"
                raise self.error(Problem((key,), text, "eval" if key == "split" else False))
            check_judge(self, dataset, list(parts.values()))
            self.check_reward_model(self.reward_model_name(dataset))
        check_starts(self)
        check_extents(self)
        check_elsewhere(self)
        check_prompts(self)
        self.max_length  # noqa: B018

    def check_reward_model(self, name: str) -> None:
        """A reward model that is to be trained can be, and reads its hyperparameters."""
        if train := self.entries["reward_models"][name].get("train"):
            [schema] = load_schema("reward_models")["patternProperties"].values()
            properties = branches(schema)["train"]["properties"]["train"]["properties"]
            check_training(train, properties, *self.place("reward_models", name, "train"))
        if problem := training_problem(self, name):
            path, file, content = self.place("reward_models", name, *problem.path)
            raise replace(problem, path=path).error(file, content)

    def _require(self, path: tuple, kind: str, name: str, known: dict) -> None:
        if name not in known:
            raise self.error(unknown_name(path, kind, name, list(known)))

    def _check_use(self, dataset: str, key: str, kind: str, known: list[str]) -> None:
        """A dataset's reward model or judge is given, by the config or by the dataset, and exists."""
        name = self.config.get(key, self.entries["datasets"][dataset].get(key))
        if name is None:
            text = f"missing; the dataset {dataset} names no {kind} of its own; there are: {', '.join(known)}"
            raise self.error(Problem((key,), text, next(iter(known), None)))
        if name not in known:
            path, file, content = self.place_of_use(dataset, key)
            raise unknown_name(path, kind, name, known).error(file, content)

    def place_of_use(self, dataset: str, key: str) -> tuple[tuple, str, dict]:
        """Where the reward model or judge of a dataset is set: path, file, content of the file for messages."""
        return ((key,), self.source, self.config) if key in self.config else self.place("datasets", dataset, key)

    def place(self, kind: str, name: str, *keys: str) -> tuple[tuple, str, dict]:
        """Where a key of an entry is: in the config's definitions, or in the file of that kind."""
        if name in self.config["definitions"].get(kind, {}):
            return ("definitions", kind, name, *keys), self.source, self.config
        return (name, *keys), f"config/{kind}.yaml", {}
