"""What goes to other projects: which responses, under which names, in which files."""

from dataclasses import dataclass

from pipeline.columns.prompts import REFERENCE
from pipeline.config.elsewhere import export_formats
from pipeline.config.prompts import has_references
from pipeline.config.settings import Run
from pipeline.jobs.io import InputError
from pipeline.plan.files import Plan
from pipeline.plan.prompts import set_path

FILES = {
    "json_lines": "results/exports/{prompts}/{exported}/responses.jsonl",
    "alpaca_eval": "results/exports/{prompts}/{exported}/model_outputs.json",
    "arena_hard": "results/exports/{prompts}/model_answer/{exported}.jsonl",  # named as the model
}


@dataclass(frozen=True)
class Export:
    """Responses to some prompts.

    Attributes:
        responses: the file that they are in.
        column: of that file.
    """

    responses: str
    column: str = "response"


def exports(plan: Plan) -> dict[tuple[str, str], Export]:
    """All that can be exported, by the prompts' name and the name that it has there.

    A run's name stands for its responses with the first seed under the first decoding; "-seed2" and "-greedy" follow it
    with others, and the model's name goes before it where the config has several, of a set of prompts the dataset's
    too. `chosen` are a dataset's own responses, `reference` those of a set.

    Raises:
        InputError: two would have one name.
    """
    settings, found = plan.settings, {}
    for prompts in (*settings.datasets, *settings.prompt_sets):
        split = prompts if prompts in settings.prompt_sets else settings.split
        if split == settings.split:
            found[prompts, "chosen"] = Export(f"results/data/{prompts}/{split}.parquet", "chosen")
        elif has_references(settings, prompts):
            found[prompts, REFERENCE] = Export(set_path(prompts), REFERENCE)
        for run in plan.runs_on(split):
            if split == settings.split and run.dataset != prompts:
                continue
            for name, place in _named(plan, run, split):
                if (prompts, name) in found:
                    raise InputError(f"two exports of {prompts} would be named {name}: rename the run in `runs`")
                found[prompts, name] = Export(str(plan.run_files(run, *place)["responses"]))
    return found


def _named(plan: Plan, run: Run, split: str) -> list[tuple[str, tuple[int, str, str]]]:
    """Each name of a run's responses to a split or a set, with its seed, the split, and its decoding."""
    settings, decodings = plan.settings, plan.decodings(split)
    if run.elsewhere:  # the same for every dataset, model, seed and decoding
        first = run.model == settings.models[0] and (split == settings.split or run.dataset == settings.datasets[0])
        return [(run.name, (settings.seeds[0], split, decodings[0]))] if first else []
    before = [run.dataset] if len(settings.datasets) > 1 and split != settings.split else []
    before += [run.model] if len(settings.models) > 1 else []
    found = []
    for place, decoding in enumerate(decodings):
        for number, seed in enumerate(settings.seeds):
            behind = ([f"seed{seed}"] if number else []) + ([decoding] if place else [])
            found.append(("-".join([*before, run.name, *behind]), (seed, split, decoding)))
    return found


def export_files(plan: Plan) -> list[str]:
    """The files that `snakemake exports` makes."""
    return [
        FILES[form].format(prompts=prompts, exported=name)
        for prompts, name in exports(plan)
        for form in export_formats(plan.settings, prompts)
    ]
