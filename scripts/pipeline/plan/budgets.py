"""What of other runs the number of a run's optimizer steps needs, and the jobs that turn budgets into steps."""

from pipeline.config.extents import extent_of
from pipeline.config.sweep import is_rewarded
from pipeline.plan.files import Plan

# Measured speeds: no rule's output, as they are to outlast the jobs that measured them.
SPEEDS = "results/speeds"


def budget_runs(plan: Plan) -> list[str]:
    """Names of the runs that have a budget of tokens or seconds."""
    runs = (run for run in plan.settings.task_runs.values() if run.trained)
    return [run.name for run in runs if extent_of(plan.settings, run).get("budget") and not _like(run)]


def steps_files(plan: Plan, names) -> dict[str, str]:
    """{budget or record: the file that a run's number of steps is in}; empty where its spec says it.

    Args:
        names: has dataset, model, run and seed as attributes.
    """
    run = plan.settings.task_runs[names.run]
    extent = extent_of(plan.settings, run)
    return _files(names, extent) if "budget" in extent or _like(run) else {}


def other_run(plan: Plan, run: str) -> str | None:
    """The run whose seconds a run's budget is relative to; None where it is not relative."""
    return extent_of(plan.settings, plan.settings.task_runs[run]).get("of")


def other_steps_files(plan: Plan, names) -> dict[str, str]:
    """`steps_files` of the run whose seconds a budget is relative to, which may be in its own record."""
    other = other_run(plan, names.run)
    if other is None:
        return {}
    return _files(names, extent_of(plan.settings, plan.settings.task_runs[other]))


def measured_runs(plan: Plan, run: str) -> list[str]:
    """The runs whose trainings the job of a run's budget measures: itself, and the one that it is relative to."""
    return [run, *([other] if (other := other_run(plan, run)) else [])]


def budget_reward(plan: Plan, names) -> str | None:
    """The reward model that labels rows of the trainings that a budget's job measures; None where none does."""
    asked = any(is_rewarded(plan.settings.task_runs[run]) for run in measured_runs(plan, names.run))
    return plan.settings.reward_model_name(names.dataset) if asked else None


def _like(run) -> bool:
    """Whether a run has as many steps as another."""
    return run.hyperparameters.get("steps_like") is not None


def _files(names, extent: dict) -> dict[str, str]:
    place = f"{names.dataset}/{names.model}/{extent.get('run')}"
    if "budget" in extent:
        return {"budget": f"results/budgets/{place}.json"}
    return {"record": f"results/policies/{place}/seed{names.seed}/cost.json"} if "run" in extent else {}
