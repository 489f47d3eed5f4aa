"""Where the sets of prompts of a config are, and what answers to them are judged against."""

from pipeline.columns.prompts import CHECK, REFERENCE
from pipeline.config.prompts import has_categories, has_references, set_judge
from pipeline.config.settings import Settings


def set_path(name: str) -> str:
    """A prepared set."""
    return f"results/prompts/{name}.parquet"


def set_table(name: str) -> str:
    """The table of runs of a set."""
    return f"results/specs/sets/{name}.yaml"


def own_opponents(settings: Settings, dataset: str, name: str) -> list[str]:
    """What answers to a set are judged against besides other runs: by a check nothing, else references, if any."""
    if settings.judge_spec(set_judge(settings, dataset, name))["kind"] == "check":
        return [CHECK]
    return [REFERENCE] if has_references(settings, name) else []


def set_opponent(names) -> str:
    """The file with what a run's answers to a set are judged against."""
    if names.baseline in (CHECK, REFERENCE):
        return set_path(names.set)
    place = f"{names.dataset}/{names.model}/{names.baseline}/seed{names.seed}{names.further}"
    return f"results/responses/{place}/prompts/{names.set}.parquet"


def set_files(plan, *kinds: str) -> list[str]:
    """Files of some kinds (of `Plan.run_files`) of all runs and seeds on all sets."""
    found = [path for name in plan.settings.prompt_sets for path in plan.files(*kinds, split=name)]
    return list(dict.fromkeys(found))


def set_arguments(settings: Settings) -> list[str]:
    """The arguments that name the table of runs of each set, where there are sets."""
    return [part for name in settings.prompt_sets for part in ("--set", set_table(name))]


def category_table(settings: Settings) -> list[str]:
    """The win rates by category, where a set has categories."""
    told = any(has_categories(settings, name) for name in settings.prompt_sets)
    return ["results/winrate_by_category.csv"] if told else []


def contaminations(settings: Settings) -> list[str]:
    """What each dataset's train split has in common with the sets, where there are sets."""
    return [f"results/contamination/{dataset}.json" for dataset in settings.datasets if settings.prompt_sets]


def set_report_arguments(settings: Settings) -> list[str]:
    """The arguments that tell the report of the sets, where there are any."""
    named = [f"{dataset}={path}" for dataset, path in zip(settings.datasets, contaminations(settings), strict=False)]
    by_category = [part for path in category_table(settings) for part in ("--by-category", path)]
    answered = [f"{name}={set_path(name)}" for name in settings.prompt_sets if has_references(settings, name)]
    references = ["--references", *answered] if answered else []
    return [*set_arguments(settings), "--contamination", *named, *by_category, *references] if named else []


def judge_service(judge: str) -> str:
    """The file in which a job reads how a judge is reached and what it may take."""
    return f"config/judges/{judge}/judge.yaml"


def paid_sets(settings: Settings) -> list[dict[str, str]]:
    """What judges of kind openai judge of the sets, as `Plan.paid_splits` has it."""
    judged = [(name, of, set_judge(settings, of, name)) for name in settings.prompt_sets for of in settings.datasets]
    return [
        {
            "dataset": dataset,
            "runs": set_table(name),
            "split": set_path(name),
            "spec": f"results/specs/judge/{judge}.yaml",
            "service": judge_service(judge),
        }
        for name, dataset, judge in judged
        if settings.judge_service(judge)
    ]
