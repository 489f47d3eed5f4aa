"""Rows without a preference: which datasets have them, and which runs are trained on them."""

from types import SimpleNamespace

from pipeline.columns.pairs import UNLABELLED
from pipeline.plan.budgets import measured_runs
from pipeline.plan.files import Plan


def partly_labelled(plan: Plan) -> list[str]:
    """The prepared datasets that have unlabelled rows."""
    return [name for name in plan.prepared if plan.settings.entries["datasets"][name].get("unlabelled")]


def sft_unlabelled(plan: Plan, dataset: str) -> dict[str, str]:
    """Unlabelled rows, by argument, where SFT is on their responses too; else none."""
    wanted = plan.settings.config["sft"]["responses"] == "all" and dataset in partly_labelled(plan)
    return {"unlabelled": _rows(dataset)} if wanted else {}


def unlabelled_files(plan: Plan, names) -> dict[str, str]:
    """Unlabelled rows and their reference log-probabilities, by argument, of a run that is trained on them; else none.

    Args:
        names: has the dataset, model, run and seed as attributes, as wildcards do.
    """
    if "unlabelled" not in plan.settings.policy_spec(names.dataset, names.model, names.run):
        return {}
    return {"unlabelled": _rows(names.dataset), "unlabelled_reference": plan.reference(names, UNLABELLED)}


def budget_unlabelled(plan: Plan, names) -> dict[str, str]:
    """These files where a training that a budget's job measures, of the run or of the other one, is trained on them."""
    places = [
        SimpleNamespace(dataset=names.dataset, model=names.model, run=run, seed=names.seed)
        for run in measured_runs(plan, names.run)
    ]
    return next((files for place in places if (files := unlabelled_files(plan, place))), {})


def _rows(dataset: str) -> str:
    return f"results/data/{dataset}/{UNLABELLED}.parquet"


def file_arguments(files: dict[str, str]) -> list[str]:
    """The arguments that name files, by their names."""
    return [part for name, path in files.items() for part in (f"--{name.replace('_', '-')}", path)]
