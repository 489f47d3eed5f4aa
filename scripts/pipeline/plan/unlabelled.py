"""Rows without a preference: which datasets have them, and which runs are trained on them."""

from pipeline.columns.pairs import UNLABELLED
from pipeline.plan.files import Plan


def partly_labelled(plan: Plan) -> list[str]:
    """The prepared datasets that have unlabelled rows."""
    return [name for name in plan.prepared if plan.settings.entries["datasets"][name].get("unlabelled")]


def unlabelled_files(plan: Plan, names) -> dict[str, str]:
    """Unlabelled rows and their reference log-probabilities, by argument, of a run that is trained on them; else none.

    Args:
        names: has the dataset, model, run and seed as attributes, as wildcards do.
    """
    if "unlabelled" not in plan.settings.policy_spec(names.dataset, names.model, names.run):
        return {}
    data = f"results/data/{names.dataset}/{UNLABELLED}.parquet"
    return {"unlabelled": data, "unlabelled_reference": plan.reference(names, UNLABELLED)}


def unlabelled_arguments(plan: Plan, names) -> list[str]:
    """The arguments that name these files."""
    files = unlabelled_files(plan, names)
    return [part for name, path in files.items() for part in (f"--{name.replace('_', '-')}", path)]
