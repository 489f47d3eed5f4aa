"""Where the responses are that best of n chooses among, and whose best ones rejection sampling trains on."""

from types import SimpleNamespace

from pipeline.config.candidates import candidates_name
from pipeline.plan.budgets import other_run
from pipeline.plan.files import Plan


def candidates_file(plan: Plan, names, split: str) -> str:
    """The candidates of a run.

    Args:
        names: has dataset, model, run and seed as attributes; further, the folder of a decoding that is not the first.
    """
    run = plan.settings.task_runs[names.run]
    name = candidates_name(plan.settings, run, getattr(names, "further", "")[1:] or None)
    return f"results/candidates/{names.dataset}/{names.model}/{name}/seed{names.seed}/{split}.parquet"


def trained_candidates(plan: Plan, names) -> dict[str, str]:
    """{candidates: those of the train split} of a run that is trained on the best of them; else none.

    Args:
        names: has dataset, model, run and seed as attributes.
    """
    run = plan.settings.task_runs[names.run]
    return {"candidates": candidates_file(plan, names, "train")} if run.trained and run.chooses else {}


def budget_candidates(plan: Plan, names) -> dict[str, str]:
    """The same of the trainings that a budget's job measures: of the run, and other_candidates of the other one."""
    found = trained_candidates(plan, names)
    if other := other_run(plan, names.run):
        place = SimpleNamespace(dataset=names.dataset, model=names.model, run=other, seed=names.seed)
        found |= {f"other_{key}": path for key, path in trained_candidates(plan, place).items()}
    return found
