"""Runs whose responses were made elsewhere (`runs` of a config), and formats in which ours go there (`exports`)."""

from dataclasses import replace
from pathlib import Path

from pipeline.columns.responses import EXPORT_FORMATS, EXTERNAL
from pipeline.config.errors import Problem, unknown_name
from pipeline.config.run_kinds import UNTRAINED
from pipeline.config.starts import start_name
from pipeline.config.sweep import TaskRun

TAKEN = ("chosen", "rejected", "reference", *UNTRAINED)  # what tables and files call other things


def external_runs(config: dict, others: dict[str, TaskRun], source: str) -> dict[str, TaskRun]:
    """The runs by name.

    Args:
        config: with its defaults.
        others: the runs of the tasks, by name.
        source: see `pipeline.config.errors.Problem`.

    Raises:
        ConfigError: a name is taken, or is there twice.
    """
    found: dict[str, TaskRun] = {}
    for index, entry in enumerate(config.get("runs", ())):
        name = entry["name"]
        if name in found or name in others or name in TAKEN:
            text = f"{name} is already the name of something else; each run has a name of its own"
            raise Problem(("runs", index, "name"), text, f"{name}-elsewhere").error(source, config)
        found[name] = TaskRun(name, EXTERNAL, {}, index, called=name)
    return found


def has_run(settings, run: TaskRun, dataset: str, model: str) -> bool:
    """Whether a run is one of a dataset and model: of what policies start from that which the model has, of responses
    made elsewhere those to the dataset's prompts, or to a set."""
    if run.elsewhere:
        return any(answers_file(settings, run.name, name) for name in (dataset, *settings.prompt_sets))
    return not run.is_start or run.name == start_name(settings.has_sft(model))


def answers_file(settings, run: str, prompts: str) -> Path | None:
    """The file with an external run's responses to some prompts; None of another run, or without such a file.

    Args:
        settings: a `pipeline.config.settings.Settings`.
        prompts: name of a dataset, or of a set.
    """
    entry = external_entry(settings, run)
    given = entry["responses"] if entry else {}
    path = {settings.datasets[0]: given}.get(prompts) if isinstance(given, str) else given.get(prompts)
    return Path(path).expanduser() if path else None


def external_entry(settings, run: str) -> dict | None:
    """The entry of `runs` of that name; None of another run."""
    return next((entry for entry in settings.config.get("runs", ()) if entry["name"] == run), None)


def export_formats(settings, prompts: str) -> list[str]:
    """The formats, of EXPORT_FORMATS, in which responses to some prompts are exported.

    Args:
        prompts: name of a dataset, or of a set.
    """
    own = prompts if prompts in settings.prompt_sets and prompts in EXPORT_FORMATS else EXPORT_FORMATS[0]
    given = settings.config["exports"].get(prompts, own)
    return [given] if isinstance(given, str) else given


def check_elsewhere(settings) -> None:
    """Raise where `runs` or `exports` name prompts that the config does not have, or files that are not there."""
    known = [*settings.datasets, *settings.prompt_sets]
    for index, entry in enumerate(settings.config.get("runs", ())):
        path = ("runs", index, "responses")
        given = entry["responses"]
        if isinstance(given, str) and len(known) > 1:
            text = f"one file, but the config has the prompts of {', '.join(known)}; say whose prompts it answers"
            raise settings.error(Problem(path, text, {known[0]: given}))
        for name, file in ({known[0]: given} if isinstance(given, str) else given).items():
            if name not in known:
                problem = unknown_name((*path, name), "dataset or set of prompts", name, known)
                raise settings.error(replace(problem, right={problem.right: file}, right_path=path))
            if not Path(file).expanduser().is_file():
                place = path if isinstance(given, str) else (*path, name)
                raise settings.error(Problem(place, f"there is no file {file}"))
    for name, formats in settings.config["exports"].items():
        if name not in known:
            problem = unknown_name(("exports", name), "dataset or set of prompts", name, known)
            raise settings.error(replace(problem, right={problem.right: formats}, right_path=("exports",)))
    _check_baseline(settings)


def _check_baseline(settings) -> None:
    """Raise where the baseline was made elsewhere, and has no responses to prompts that runs are judged on."""
    name = settings.config["baseline"]
    if not external_entry(settings, name):
        return
    text = f"{name}, whose responses were made elsewhere"
    if settings.config["best_of_sweep"]:
        raise settings.error(Problem(("baseline",), f"{text}; with best_of_sweep it would need some to other prompts"))
    for prompts in (*settings.datasets, *settings.prompt_sets):
        if answers_file(settings, name, prompts) is None:
            raise settings.error(Problem(("baseline",), f"{text}, but none to the prompts of {prompts}"))
