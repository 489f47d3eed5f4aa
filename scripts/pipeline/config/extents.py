"""How long a run trains: epochs, steps, a budget, or as many steps as another run has; and which run a name means.

An extent is what steps follow from, as specs have it, one of:

    {max_steps}
    {epochs, global_batch_size}       passes over the train pairs, of methods that count their rows by them
    {budget: {tokens | seconds | relative: amount}, run}      turned into steps by the job of the run that has it;
                                      with relative also `of`, the run whose seconds are meant
    {run}                             steps are in that run's record

Where a function takes `settings`, that is a `pipeline.config.settings.Settings`.
"""

from pipeline.config.arguments import BUDGETED, EXTENTS, LIKE, round_passes
from pipeline.config.errors import PathParts, Problem, unknown_name
from pipeline.config.sweep import DESCRIPTIONS, TaskRun, rows_of


def check_tasks(config: dict, source: str) -> None:
    """Raise where a task, or `policy`, says in two ways how long to train.

    Args:
        config: validated, without defaults.
        source: see `pipeline.config.errors.Problem`.
    """
    places = [(("tasks", index), task) for index, task in enumerate(config["tasks"])]
    for path, given in [*places, (("policy",), config.get("policy", {}))]:
        said = [key for key in ("budget", *LIKE, "max_steps", "epochs") if given.get(key) is not None]
        if len(said) > 1 and said[0] in ("budget", *LIKE):
            text = f"it stands beside {' and '.join(said[1:])}; each says how long to train, so give one of them"
            raise Problem((*path, said[0]), text, given[said[0]]).error(source, config)


def named_run(settings, name: str, path: PathParts) -> TaskRun:
    """The run of that name, else the only one of that method or named loss, where controls do not count beside others.

    Args:
        path: where the name stands in the config.

    Raises:
        ConfigError: there is no such run, or several.
    """
    runs = settings.task_runs
    if name in runs:
        return runs[name]
    of_method = [run for run in runs.values() if name == run.called]
    named = [run for run in of_method if not run.control_of] or of_method
    if len(named) == 1:
        return named[0]
    if named:
        text = f"{name} has {len(named)} runs ({', '.join(run.name for run in named)}); name the one to compare with"
        raise settings.error(Problem(path, text, named[0].name))
    raise settings.error(unknown_name(path, "run or method with a run", name, list(runs)))


def extent_of(settings, run: TaskRun) -> dict:
    """What a run's steps follow from.

    Raises:
        ConfigError: they follow from themselves, or from a run that is not trained or that there is not; a budget is
            relative to the baseline and the baseline's own.
    """
    return _extent(settings, run, ())


def _extent(settings, run: TaskRun, before: tuple[str, ...]) -> dict:
    path, values = ("tasks", run.task), run.hyperparameters
    if run.name in before:
        circle = " → ".join([*before[before.index(run.name) :], run.name])
        raise settings.error(Problem(path, f"the steps of each of these follow from the next: {circle}"))
    before = (*before, run.name)
    if like := values.get("steps_like"):
        return _extent(settings, _trained(settings, like, (*path, "steps_like")), before)
    if values.get("budget_relative") or values.get("seconds_like"):
        key = "seconds_like" if values.get("seconds_like") else "budget"
        other = _trained(settings, values.get("seconds_like") or settings.config["baseline"], (*path, key))
        if other.name == run.name and key == "budget":
            text = f"relative to the baseline, but {run.name} is the baseline itself"
            raise settings.error(Problem((*path, key), text, {"seconds": 600}))
        _extent(settings, other, before)
        budget = {"relative": values.get("budget_relative") or 1.0}
        return {"budget": budget, "run": run.name, "of": other.name}
    if amounts := {kind: values[key] for kind, key in BUDGETED.items() if kind != "steps" and values.get(key)}:
        return {"budget": amounts, "run": run.name}
    if values.get("max_steps"):
        return {"max_steps": values["max_steps"]}
    if getattr(DESCRIPTIONS[run.method], "BY_PAIRS", False):
        offline = 1 - round(sum(values[rows.share] for rows in rows_of(run.method)), 12)
        epochs = values["epochs"] * round_passes(values) / offline
        return {"epochs": epochs, "global_batch_size": values["global_batch_size"]}
    return {"run": run.name}


def _trained(settings, name: str, path: PathParts) -> TaskRun:
    run = named_run(settings, name, path)
    if not run.trained:
        trained = next((other.name for other in settings.task_runs.values() if other.trained), None)
        right = trained if path[-1] in LIKE else {"seconds": 600}
        raise settings.error(Problem(path, f"{run.name} is not trained, so it has neither steps nor seconds", right))
    return run


def followed_extent(settings, run: TaskRun) -> dict:
    """{extent} of a policy spec, where a run has as many steps as another; else empty.

    An extent that is no number of steps or passes has the other run's hyperparameters too: their change may change it.
    """
    if not run.hyperparameters.get("steps_like"):
        return {}
    extent = extent_of(settings, run)
    other = {"hyperparameters": settings.task_runs[extent["run"]].hyperparameters} if "run" in extent else {}
    return {"extent": extent | other}


def budget_spec(settings, dataset: str, model: str, run: str) -> dict:
    """What a run's budget is turned into steps by.

    Returns:
        {budget: {kind: amount}, run: its policy spec}; and where the budget is relative, other: the policy spec of the
        run whose seconds are meant, and extent: what that one's steps follow from. These policy specs have no
        hyperparameters that say how long a training is.
    """
    extent = extent_of(settings, settings.task_runs[run])
    spec = {"budget": extent["budget"], "run": _step(settings, dataset, model, run)}
    if other := extent.get("of"):
        followed = extent_of(settings, settings.task_runs[other])
        spec |= {"other": _step(settings, dataset, model, other), "extent": followed}
    return spec


def _step(settings, dataset: str, model: str, run: str) -> dict:
    """A policy spec with what its steps are, not with how many there are."""
    spec = settings.policy_spec(dataset, model, run)
    spec.pop("extent", None)
    values = {key: value for key, value in spec["hyperparameters"].items() if key not in ("epochs", *EXTENTS)}
    return spec | {"hyperparameters": values}


def check_extents(settings) -> None:
    """Raise where the steps of a run follow from nothing, or a control is of no run."""
    for run in settings.task_runs.values():
        if run.trained:
            extent_of(settings, run)
    settings.controls  # noqa: B018


def controls_of(settings) -> dict[str, list[str]]:
    """Names of the runs that are controls of a run, in the order of their tasks, by its name.

    Raises:
        ConfigError: a control is of a run that there is not, or of itself.
    """
    found: dict[str, list[str]] = {}
    for run in settings.task_runs.values():
        path = ("tasks", run.task, "control_of")
        for name in dict.fromkeys(named_run(settings, name, path).name for name in run.control_of):
            if name == run.name:
                raise settings.error(Problem(path, f"{run.name} cannot be a control of itself"))
            found.setdefault(name, []).append(run.name)
    return found
