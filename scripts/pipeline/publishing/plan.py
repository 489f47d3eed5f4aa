"""Which repositories of the Hugging Face Hub a config's results become, and their names."""

import hashlib
import string

from pipeline.config.candidates import best_of_runs
from pipeline.config.errors import Problem, unknown_name
from pipeline.config.schema import load_schema
from pipeline.config.settings import Settings

# Kind of result -> type of repository.
REPO_TYPES = {"dataset": "dataset", "sft": "model", "policy": "model", "reward_model": "model", "report": "space"}
LONGEST_NAME = 96  # characters that the hub allows


def repositories(settings: Settings) -> dict[str, dict]:
    """The repositories that the `publish` section of a config asks for.

    Returns:
        By a key that is safe as a path, such as "datasets/sail-world": kind (dataset, sft, policy, reward_model or
        report), repo_type (dataset, model or space), name (without the namespace), private (whether it is to be), and
        of (what it holds, by name: dataset, model, run, seed, reward_model, as far as its kind has them).

    Raises:
        ConfigError: a run or seed that the config does not have, a name with a place that its kind cannot fill, or two
            repositories of one name.
    """
    given = settings.config["publish"]
    _check_chosen(settings)
    prefix = given.get("prefix", f"{settings.tag}-")
    found: dict[str, dict] = {}
    for kind in given["kinds"]:
        _check_places(settings, kind)
        repo_type, private = REPO_TYPES[kind], given["private"] and kind not in given["public"]
        for of in _results(settings, kind):
            name = _shortened(prefix + given["names"][kind].format_map(of))
            key = f"{repo_type}s/{name}"
            if key in found:
                text = f"two repositories would be named {name}, of {found[key]['of']} and of {of}"
                raise settings.error(Problem(("publish", "names", kind), text, _default_name(kind)))
            found[key] = {"kind": kind, "repo_type": repo_type, "name": name, "private": private, "of": of}
    return found


def _results(settings: Settings, kind: str) -> list[dict]:
    """What there is of a kind, each by the names that lead to it."""
    given = settings.config["publish"]
    pairs = [{"dataset": dataset, "model": model} for dataset in settings.datasets for model in settings.models]
    if kind == "report":
        return [{"tag": settings.tag}]
    if kind == "dataset":
        return [{"dataset": dataset} for dataset in settings.datasets]
    if kind == "sft":
        return [pair for pair in pairs if settings.has_sft(pair["model"])]
    if kind == "reward_model":
        names = {dataset: settings.reward_model_name(dataset) for dataset in settings.datasets}
        trained = settings.entries["reward_models"]
        return [
            {"dataset": dataset, "reward_model": name} for dataset, name in names.items() if "train" in trained[name]
        ]
    chosen, seeds = given.get("runs", settings.task_runs), given.get("seeds", settings.seeds)
    runs = [name for name, run in settings.task_runs.items() if run.trained and name in chosen]
    return [{**pair, "run": name, "seed": seed} for pair in pairs for name in runs for seed in seeds]


def _check_chosen(settings: Settings) -> None:
    """The runs and seeds that are to be published are among the config's."""
    given, known = settings.config["publish"], [name for name, run in settings.task_runs.items() if run.trained]
    without = best_of_runs(settings)
    for index, name in enumerate(given.get("runs", ())):
        if name in without:
            text = f"{name} trains nothing, so it has no checkpoint to publish"
            raise settings.error(Problem(("publish", "runs", index), text, next(iter(known), None)))
        if name not in known:
            raise settings.error(unknown_name(("publish", "runs", index), "run", name, known))
    for index, seed in enumerate(given.get("seeds", ())):
        if seed not in settings.seeds:
            text = f"there is no seed {seed}; there are: {', '.join(map(str, settings.seeds))}"
            raise settings.error(Problem(("publish", "seeds", index), text, settings.seeds[0]))


def _check_places(settings: Settings, kind: str) -> None:
    """A name has no place that its kind cannot fill."""
    text = settings.config["publish"]["names"][kind]
    known = [part[1] for part in string.Formatter().parse(_default_name(kind)) if part[1]] or ["tag"]
    try:
        places = [part[1] for part in string.Formatter().parse(text) if part[1] is not None]
    except ValueError:
        places = ["{"]
    wrong = [place for place in places if place not in known]
    if wrong:
        words = ", ".join(f"{{{place}}}" for place in known)
        told = f"{text!r}; its places are {words}"
        raise settings.error(Problem(("publish", "names", kind), told, _default_name(kind)))


def _default_name(kind: str) -> str:
    return load_schema("config")["properties"]["publish"]["properties"]["names"]["properties"][kind]["default"]


def _shortened(name: str) -> str:
    """A name that the hub allows: no "--" or "..", at most 96 characters, a hash in place of what is too much."""
    for twice in ("--", ".."):
        while twice in name:
            name = name.replace(twice, twice[0])
    name = name.strip("-.")
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{name[: LONGEST_NAME - 13].rstrip('-.')}-{digest}"
