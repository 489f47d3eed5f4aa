"""The runs that a config's tasks span: methods with lists of values become runs with one value each, and a name."""

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from itertools import product

from pipeline.config.arguments import BUDGETED, EXTENTS
from pipeline.config.errors import Problem
from pipeline.config.hyperparameters import HOW_TRAINED, UNSAID
from pipeline.config.named_losses import LOSSES, spelled_out
from pipeline.config.run_kinds import DESCRIPTIONS, OfMethod
from pipeline.config.schema import default_of, load_schema, subschema
from pipeline.config.unread import SMOOTHED, unread

METHODS = tuple(DESCRIPTIONS)
UNSWEPT = ("method", "control_of")  # the keys of a task that are no hyperparameters
LONGEST_NAME = 200  # characters; names are parts of file names, which may have 255

Value = str | float | int | bool | None


@dataclass(frozen=True)
class TaskRun(OfMethod):
    """One run of a task, whatever the dataset, model and seed.

    Attributes:
        name: readable, unique among the config's runs and safe in file names, e.g. "dpr-beta0.1-g0.3".
        method: one of METHODS.
        hyperparameters: every one that the method takes, in a fixed order, without those of UNSAID at their default.
        task: position of its task in the config.
        called: its method, or the named loss that its task has for one.
        control_of: what the task names as that which it is a control of: runs, or methods with one run.
    """

    name: str
    method: str
    hyperparameters: dict[str, Value]
    task: int
    called: str
    control_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run(OfMethod):
    """One policy, up to its seeds.

    Attributes:
        dataset, model: names of their entries.
        name: of the run, unique within (dataset, model).
        method: one of METHODS.
        hyperparameters: every one that the method takes, none for sft and start.
    """

    dataset: str
    model: str
    name: str
    method: str
    hyperparameters: dict[str, Value]


@cache
def method_defaults(method: str) -> dict[str, Value]:
    """The hyperparameters that a method takes, in their fixed order, with their defaults.

    A budget is one of BUDGETED here, max_steps or another of which all are None.
    """
    found: dict[str, Value] = {}
    for key, schema in DESCRIPTIONS[method].HYPERPARAMETERS.items():
        found |= dict.fromkeys(BUDGETED.values()) if key == "budget" else {key: default_of(schema)}
    return found


def rows_of(method: str) -> tuple:
    """The kinds of rows that a method makes of others, as `pipeline.config.hyperparameters.Rows`."""
    return DESCRIPTIONS[method].ROWS


def is_rewarded(run) -> bool:
    """Whether a run's training asks the reward model.

    Args:
        run: has method and hyperparameters as attributes.
    """
    asked = any(rows.rewarded and run.hyperparameters[rows.share] for rows in rows_of(run.method))
    return asked or getattr(DESCRIPTIONS[run.method], "REWARDED", False)


def smoothed_of(method: str) -> tuple[str, ...]:
    """The losses of a method that read label_smoothing."""
    return getattr(DESCRIPTIONS[method], "SMOOTHED", SMOOTHED)


def takes(method: str, key: str, value: Value) -> bool:
    """Whether a method takes a hyperparameter with that value, which `policy` has for all methods."""
    schema = DESCRIPTIONS[method].HYPERPARAMETERS.get(key, {})
    return key in method_defaults(method) and ("enum" not in schema or value in schema["enum"])


def expand(tasks: list[dict], policy: dict, source: str) -> list[TaskRun]:
    """The runs of a config's tasks, in the order of the tasks and of the values in their lists.

    A hyperparameter has the task's value, else that of `policy` where the run reads it, else the method's default. Runs
    whose hyperparameters are equal are one, under the name of the first.

    Args:
        tasks: validated, without defaults: {method, hyperparameter: value or list of values}.
        policy: validated: {hyperparameter: value}, shared by all tasks.
        source: file that they are from, or "config", for messages.

    Raises:
        ConfigError: r + p + g exceeds 1, or is 1 without max_steps; a loss lacks what it needs; revkl is above 0
            without responses of the policy; a task, or `policy` for all of its runs, sets what is not read; a name is
            too long.
    """
    content, policy = {"tasks": tasks, "policy": policy}, _flat(policy)
    called, tasks = [task["method"] for task in tasks], [spelled_out(task) for task in tasks]
    runs: dict[str, TaskRun] = {}
    same: dict[tuple, TaskRun] = {}
    for index, task in enumerate(tasks):
        for given in _combinations(task):
            run = _run(index, task, given, policy, called[index])
            _check(run, given, content, source)
            _check_read(run, given, content, source)
            first = same.setdefault((run.method, *run.hyperparameters.items()), run).name
            if first in runs:  # the same run again, which may be another's control here
                known = runs[first]
                runs[first] = replace(known, control_of=tuple(dict.fromkeys((*known.control_of, *run.control_of))))
            elif runs.setdefault(run.name, run) is not run:
                raise AssertionError(f"two different runs are named {run.name}")
    _check_policy_is_read(tasks, list(runs.values()), content, source)
    return list(runs.values())


def run_name(method: str, given: dict[str, Value]) -> str:
    """The method and the hyperparameters that name a run: "dpr-beta0.1-g0.3-estimator_upstream", in a fixed order."""
    order = [key for key in method_defaults(method) if key in given]
    return "-".join([method, *(f"{key}{format_value(given[key])}" for key in order)])


def format_value(value: Value) -> str:
    """A value in a run's name: a number in its shortest exact form ("0.1", "1", "1e-5"), a text after "_"."""
    if value is None:
        return "_none"
    if isinstance(value, bool):
        return "_true" if value else "_false"
    if isinstance(value, str):
        return f"_{value}"
    mantissa, _, exponent = repr(value).partition("e")
    mantissa = mantissa.removesuffix(".0")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def _combinations(task: dict) -> list[dict[str, Value]]:
    swept = {key: value if isinstance(value, list) else [value] for key, value in task.items() if key not in UNSWEPT}
    return [_flat(dict(zip(swept, values, strict=True))) for values in product(*swept.values())]


def _flat(given: dict) -> dict[str, Value]:
    """Hyperparameters with one of BUDGETED for a budget."""
    budget = {BUDGETED[kind]: amount for kind, amount in given.get("budget", {}).items()}
    return {key: value for key, value in given.items() if key != "budget"} | budget


def _run(index: int, task: dict, given: dict[str, Value], policy: dict, called: str) -> TaskRun:
    method = task["method"]
    defaults = method_defaults(method)
    shared = {key: value for key, value in policy.items() if takes(method, key, value) and key not in given}
    if any(
        given.get(key) is not None for key in ("epochs", *EXTENTS)
    ):  # a task's own extent takes a shared one's place
        own = given.get("epochs") is not None or given.get("max_steps") is not None
        shared = {key: value for key, value in shared.items() if key not in EXTENTS or (own and key == "max_steps")}
    unused = unread({**defaults, **shared, **given}, rows_of(method), smoothed_of(method))
    shared = {key: value for key, value in shared.items() if key not in unused or key == "epochs"}
    values = {**defaults, **shared, **given}
    naming = {key: value for key, value in shared.items() if key not in HOW_TRAINED} | given
    said = [key for key in defaults if key not in UNSAID or values[key] != defaults[key]]
    controlled = task.get("control_of", ())
    controlled = (controlled,) if isinstance(controlled, str) else tuple(controlled)
    name = run_name(
        method, {key: value for key, value in naming.items() if called == method or key not in LOSSES[called]}
    )
    name = called + name.removeprefix(method)
    return TaskRun(name, method, {key: values[key] for key in said}, index, called, controlled)


def _unread(run: TaskRun) -> dict[str, str]:
    return unread({**method_defaults(run.method), **run.hyperparameters}, rows_of(run.method), smoothed_of(run.method))


def _check_read(run: TaskRun, given: dict[str, Value], content: dict, source: str) -> None:
    """Raise where a task sets what its run does not read."""
    defaults = method_defaults(run.method)
    for key, why in _unread(run).items():
        if given.get(key, defaults[key]) != defaults[key]:
            right = {"method": run.method} | {name: value for name, value in given.items() if name != key}
            right |= {"loss_type": smoothed_of(run.method)[0], key: given[key]} if key == "label_smoothing" else {}
            text = f"{given[key]} in run {run.name} would change nothing: {why}"
            raise Problem(("tasks", run.task, key), text, right, ("tasks", run.task)).error(source, content)


def _check_policy_is_read(tasks: list[dict], runs: list[TaskRun], content: dict, source: str) -> None:
    """Raise where `policy` sets what no run that takes it from there reads; max_steps may stand beside epochs."""
    for key, value in content["policy"].items():
        takers = [run for run in runs if key in method_defaults(run.method) and key not in tasks[run.task]]
        reasons = [_unread(run).get(key) for run in takers]
        if key != "epochs" and takers and all(reasons) and value != method_defaults(takers[0].method)[key]:
            text = f"{value} would change nothing: {reasons[0]} (run {takers[0].name})"
            right = {"loss_type": SMOOTHED[0], key: value} if key == "label_smoothing" else None
            raise Problem(("policy", key), text, right, ("policy",)).error(source, content)


def _wrong_groups(values: dict) -> tuple | None:
    """What is wrong in a method that compares the responses of one prompt: key, why, what is right."""
    step, group, sampled = (values[key] for key in ("global_batch_size", "num_generations", "generation_batch_size"))
    if step % group:
        return "global_batch_size", f"it has to be a multiple of num_generations, {group}", -(-step // group) * group
    if sampled and sampled % step:
        return "generation_batch_size", f"it has to be a multiple of global_batch_size, {step}", 2 * step
    if values.get("loss_type") == "cispo" and values["epsilon_high"] is None:
        return "epsilon_high", "the loss cispo needs it, as the most that the weight of a token can be", 5.0
    return None


def _check(run: TaskRun, given: dict[str, Value], content: dict, source: str) -> None:
    """Raise what only the values of one run together can show to be wrong."""
    values = run.hyperparameters
    made = [rows for rows in rows_of(run.method) if values[rows.share]]
    shares = {rows.share: values[rows.share] for rows in made}
    extra = [rows.weight for rows in made if values[rows.weight]]
    # in decimals, as they were written: 0.1 + 0.2 + 0.7 is 1
    total = sum(Decimal(repr(share)) for share in shares.values())
    share = next((key for key in reversed(shares) if key in given), next(iter(shares), None))
    names, numbers = " + ".join(shares), " + ".join(map(str, shares.values()))
    added = f"{names} = {numbers} = {total}" if len(shares) > 1 else f"{names} = {total}"
    if total > 1:
        text = f"{added} in run {run.name}; together they must be at most 1, as each is a share of the rows"
        smaller = {key: math.floor(90 * value / float(total)) / 100 for key, value in shares.items()}
        right = {"method": run.method, **smaller}
        raise Problem(("tasks", run.task, share), text, right, ("tasks", run.task)).error(source, content)
    if total == 1 and all(values.get(key) is None for key in EXTENTS):
        text = f"{added} in run {run.name} leaves no offline row, by which epochs are counted; give max_steps instead"
        right = {"method": run.method, **shares, "max_steps": 500}
        raise Problem(("tasks", run.task, share), text, right, ("tasks", run.task)).error(source, content)
    wrong = None
    if values.get("loss_type") == "exo_pair" and not values["label_smoothing"]:
        wrong = ("label_smoothing", "the loss exo_pair needs it to be above 0", 0.001)
    elif (extra or values.get("revkl")) and values["loss_type"] != "sigmoid":
        plain = " and ".join([*extra, *(["revkl"] if values.get("revkl") else [])])
        text = f"the extra gradient parts of SAIL are defined for sigmoid alone; with {plain} at 0 there are none"
        wrong = ("loss_type", text, "sigmoid")
    elif values.get("use_vllm") and values.get("rollout_policy") == "start":
        wrong = ("rollout_policy", "with use_vllm the current policy samples", "current")
    elif values.get("vllm_importance_sampling_correction") and values["loss_type"] != "sigmoid":
        text = "vllm_importance_sampling_correction weights that of sigmoid alone"
        wrong = ("loss_type", text, "sigmoid")
    elif values.get("revkl") and values.get("rollout_policy") == "start":
        text = "it is estimated on the current policy's responses, so with rollout_policy start it is 0"
        wrong = ("revkl", text, 0.0)
    elif values.get("revkl") and not any(rows.sampled for rows in made):
        sampled = " or ".join(rows.share for rows in rows_of(run.method) if rows.sampled)
        wrong = ("revkl", f"it is estimated on the policy's responses, so {sampled} must be above 0", 0.0)
    elif "num_generations" in values:
        wrong = _wrong_groups(values)
    if wrong:
        key, text, right = wrong
        path = ("policy", key) if key in content["policy"] and key not in given else ("tasks", run.task, key)
        shown = "null" if values[key] is None else values[key]
        raise Problem(path, f"{shown} in run {run.name}; {text}", right).error(source, content)
    if len(run.name) > LONGEST_NAME:
        text = f"the run's name has {len(run.name)} characters, {run.name}; at most {LONGEST_NAME} are possible"
        policy = load_schema("config")["properties"]["policy"]
        shared = {key: value for key, value in given.items() if subschema(policy, {}, key)}
        text += ", so hyperparameters that all tasks share belong under policy"
        raise Problem(("tasks", run.task), text, shared, ("policy",)).error(source, content)
