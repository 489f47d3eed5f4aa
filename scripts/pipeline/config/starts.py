"""What policies start from: an SFT model, or with `sft: false` the model as it is."""

from pipeline.config.errors import Problem
from pipeline.config.schema import default_of, load_schema
from pipeline.config.sweep import TaskRun
from pipeline.config.unread import check_training

SFT = load_schema("config")["properties"]["sft"]["properties"]


def has_sft(config: dict, entry: dict) -> bool:
    """Whether a model is fine-tuned before its policies.

    Args:
        config: with its defaults.
        entry: the model's.
    """
    return config["sft"] is not False and entry.get("sft", True)


def start_name(fine_tuned: bool) -> str:
    """Name of the run that is what policies start from, and what tables call its method."""
    return "sft" if fine_tuned else "start"


def named_starts(runs: list[TaskRun], fine_tuned: set[bool]) -> dict[str, TaskRun]:
    """The runs by name, that of the method sft as fits the models: sft, start, or one of each where models differ.

    Args:
        fine_tuned: whether models have SFT, of all models.
    """
    names = [start_name(kind) for kind in (True, False) if kind in fine_tuned]
    found: dict[str, TaskRun] = {}
    for run in runs:
        own = [run] if not run.is_start else [TaskRun(name, name, {}, run.task, called=name) for name in names]
        for named in own:
            found.setdefault(named.name, named)
    return found


def shared_length(settings) -> int:
    """Most tokens of prompt and response, which all runs share; that of SFT, or its default, where none is trained.

    Args:
        settings: a `pipeline.config.settings.Settings`.

    Raises:
        ConfigError: two runs have different ones.
    """
    lengths: dict[int, TaskRun] = {}
    for run in (run for run in settings.task_runs.values() if run.trained):
        lengths.setdefault(run.hyperparameters["max_length"], run)
    if len(lengths) > 1:
        (own, run), (other, second) = list(lengths.items())[1::-1]
        if "max_length" not in settings.config["tasks"][run.task]:  # then the task of the other run sets it
            own, run, other, second = other, second, own, run
        text = (
            f"{own} in run {run.name}, but {other} in run {second.name}; the runs share their reference "
            "log-probabilities, so all have one max_length: set it once, in policy"
        )
        raise settings.error(Problem(("tasks", run.task, "max_length"), text, other))
    return next(iter(lengths), (settings.config["sft"] or {}).get("max_length", default_of(SFT["max_length"])))


def check_starts(settings) -> None:
    """Raise where the config and its models do not agree on what policies start from.

    Args:
        settings: a `pipeline.config.settings.Settings`.

    Raises:
        ConfigError: a model from scratch without SFT; or the baseline is what policies start from, but that is an SFT
            model for some models and the model as it is for others.
    """
    if settings.config["sft"] is not False:
        check_training(settings.config["sft"], SFT, ("sft",), settings.source, settings.config)
        if settings.config["seed_scope"] == "all" and (seed := settings.config["sft"]["seed"]):
            text = f"{seed} would change nothing: with seed_scope all each SFT model has its run's seed"
            raise settings.error(Problem(("sft", "seed"), text, 0))
    with_sft = [model for model in settings.models if settings.has_sft(model)]
    for model in settings.models:
        if "architecture" in settings.entries["models"][model] and model not in with_sft:
            text = f"false, but the model {model} is trained from scratch, and SFT is what trains it"
            raise settings.error(Problem(("sft",), text, {"epochs": 2}))
    names = {settings.baseline_run(settings.datasets[0], model) for model in settings.models}
    if len(names) > 1:
        text = (
            f"{settings.config['baseline']}, but {with_sft[0]} has SFT and other models have not, so it would be "
            "another run for each; name a run that is trained, or give these models configs of their own"
        )
        raise settings.error(Problem(("baseline",), text, "dpo"))
