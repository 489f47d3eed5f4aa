"""What goes to other projects: which responses, under which names, in which files."""

from dataclasses import dataclass

from pipeline.columns.responses import EXTERNAL
from pipeline.config.elsewhere import export_formats
from pipeline.jobs.io import InputError
from pipeline.plan.files import Plan

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
    with others, and the model's name goes before it where the config has several. `chosen` are the dataset's own.

    Raises:
        InputError: two would have one name.
    """
    settings, found = plan.settings, {}
    for dataset in settings.datasets:
        named = [("chosen", Export(f"results/data/{dataset}/{settings.split}.parquet", "chosen"))]
        for run in settings.runs:
            if run.dataset != dataset or (run.method == EXTERNAL and run.model != settings.models[0]):
                continue
            for place, decoding in enumerate(settings.decodings):
                for number, seed in enumerate(settings.seeds):
                    if run.method == EXTERNAL and (place or number):  # the same again
                        continue
                    parts = [run.model] if len(settings.models) > 1 and run.method != EXTERNAL else []
                    parts += [run.name, *([f"seed{seed}"] if number else []), *([decoding] if place else [])]
                    files = plan.run_files(run, seed, settings.split, decoding)
                    named.append(("-".join(parts), Export(str(files["responses"]))))
        for name, export in named:
            if (dataset, name) in found:
                raise InputError(f"two exports of {dataset} would be named {name}: give the run in `runs` another name")
            found[dataset, name] = export
    return found


def export_files(plan: Plan) -> list[str]:
    """The files that `snakemake exports` makes."""
    return [
        FILES[form].format(prompts=prompts, exported=name)
        for prompts, name in exports(plan)
        for form in export_formats(plan.settings, prompts)
    ]
