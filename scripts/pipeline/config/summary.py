"""What a config runs, in one paragraph: the head of every caption in Snakemake's own report."""

from pipeline.config.settings import Settings

# More runs than this are counted by method.
MOST_RUNS = 24


def summary(settings: Settings) -> str:
    """A paragraph of reStructuredText: datasets, models, runs with their hyperparameters, seeds, split, judges."""
    names = list(dict.fromkeys(run.name for run in settings.runs))
    if len(names) > MOST_RUNS:
        methods = [run.method for run in {run.name: run for run in settings.runs}.values()]
        names = [f"{methods.count(method)} of {method}" for method in dict.fromkeys(methods)]
    judges = {dataset: settings.judge_name(dataset) for dataset in settings.datasets}
    if len(set(judges.values())) == 1:
        judged = judges[settings.datasets[0]]
    else:
        judged = ", ".join(f"{judge} ({dataset})" for dataset, judge in judges.items())
    own = ", each with an SFT model and a reward model of its own" if settings.config["seed_scope"] == "all" else ""
    baseline = settings.baseline_run(settings.datasets[0], settings.models[0])
    several = len(settings.decodings) > 1
    decoded = f" Responses under the {_listed('decoding', settings.decodings)}, each by itself." if several else ""
    sets = settings.prompt_sets
    named = _listed("set", sets) if sets else ""
    asked = f" Besides, {named} of prompts, judged against {_escaped(baseline)} or references." if sets else ""
    return (
        f"Config **{_escaped(settings.tag)}**: {_listed('dataset', settings.datasets)}; "
        f"{_listed('model', settings.models)}; {_listed('run', names)}; {_listed('seed', settings.seeds)}{own}. "
        f"Judged on the {settings.split} split by {_escaped(judged)}; baseline run {_escaped(baseline)}."
        f"{decoded}{asked}" + (f" {_escaped(settings.config['note'])}" if "note" in settings.config else "")
    )


def _listed(what: str, names: list) -> str:
    return f"{what}{'s' if len(names) > 1 else ''} {', '.join(_escaped(str(name)) for name in names)}"


def _escaped(text: str) -> str:
    """Text in which nothing is markup."""
    return "".join(f"\\{letter}" if letter in "\\*`_|" else letter for letter in text)
