"""Every spec that a config can ask for, by the name of its file.

A spec is what one stage is made from, in a small file of its own: a changed entry of the config makes stale just the
stages that depend on it.
"""

from collections.abc import Callable
from functools import partial
from itertools import product

import yaml

from pipeline.config.candidates import candidates_spec, candidates_specs
from pipeline.config.extents import budget_spec
from pipeline.config.prompts import set_judge, set_spec
from pipeline.config.resolved import resolved_config
from pipeline.config.reward_training import prepared_datasets
from pipeline.plan.budgets import budget_runs
from pipeline.plan.files import Plan
from pipeline.plan.publications import publication_spec


def specs(plan: Plan, publications: dict[str, dict]) -> dict[str, Callable[[], dict]]:
    """What makes each spec.

    Args:
        publications: the repositories that can be published, by key.

    Returns:
        {path below results/specs/ without its suffix, such as "sft/world/W1M": what gives its content}.
    """
    settings = plan.settings
    datasets = [(name,) for name in settings.datasets]
    prepared = [(name,) for name in prepared_datasets(settings)]
    places = list(product(settings.datasets, settings.entries["models"]))
    tuned = list(product(prepared_datasets(settings), settings.entries["models"]))
    made = [(run.dataset, run.model, run.name) for run in settings.runs if not (run.is_start or run.elsewhere)]
    budgeted, several = set(budget_runs(plan)), candidates_specs(settings)
    judges = [settings.judge_name(*dataset) for dataset in datasets]
    judges += [set_judge(settings, *dataset, name) for name in settings.prompt_sets for dataset in datasets]
    kinds = {
        "data": (settings.data_spec, prepared),
        "sft": (settings.sft_spec, tuned),
        "reference": (settings.reference_spec, places),
        "policy": (settings.policy_spec, made),
        "budget": (partial(budget_spec, settings), [names for names in made if names[2] in budgeted]),
        "candidates": (
            partial(candidates_spec, settings),
            [(dataset, model, name) for dataset in settings.datasets for model in settings.models for name in several],
        ),
        # the first decoding has the model's name alone
        "generation": (
            settings.generation_spec,
            [(model, *name) for model in settings.models for name in ((), *((n,) for n in settings.decodings[1:]))],
        ),
        "checkpoints": (settings.checkpoint_spec, [(name,) for name in settings.models]),
        "reward": (
            partial(settings.reward_spec, settings.datasets[0]),
            [(n,) for n in settings.entries["reward_models"]],
        ),
        "judge": (settings.judge_spec, [(name,) for name in judges]),
        "prompts": (partial(set_spec, settings), [(name,) for name in settings.prompt_sets]),
        "sets": (plan.run_table, [(name,) for name in settings.prompt_sets]),
        "publication": (lambda key: publication_spec(plan, publications[key]), [(key,) for key in publications]),
    }
    tables = {
        "config": partial(resolved_config, settings),
        "runs": partial(plan.run_table, settings.split),
        "selection": partial(plan.run_table, "selection"),
    }
    found = tables | {
        f"{kind}/{'/'.join(names)}": partial(make, *names) for kind, (make, wanted) in kinds.items() for names in wanted
    }
    return found | (_own(found, settings.seeds) if settings.config["seed_scope"] == "all" else {})


def _own(specs: dict[str, Callable], seeds: list[int]) -> dict[str, Callable[[], dict]]:
    """The specs of what each seed has of its own: the seed takes the place of that of SFT and reward models."""

    def seeded(make: Callable[[], dict], kind: str, seed: int) -> dict:
        spec, key = make(), {"sft": "sft", "reward": "train"}.get(kind)
        return spec | {key: spec[key] | {"seed": seed}} if key in spec else spec

    kinds = {name: name.split("/")[0] for name in specs}
    return {
        f"{name}/seed{seed}": partial(seeded, specs[name], kind, seed)
        for name, kind in kinds.items()
        if kind in ("sft", "reference", "reward")
        for seed in seeds
    }


def as_yaml(spec: dict) -> str:
    """A spec as the text of its file."""
    return yaml.safe_dump(spec, sort_keys=False, allow_unicode=True, width=120)
