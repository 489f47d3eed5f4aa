"""Which files the benchmarks of lm-eval make and read; none where a config asks for none."""

from pathlib import Path

from pipeline.config.settings import Run, Settings
from pipeline.jobs.io import InputError, visible_files
from pipeline.plan.checkpoints import Checkpoints

STARTS = "results/lm_eval/starts/{dataset}/{model}{chain}"
POLICIES = "results/lm_eval/policies/{dataset}/{model}/{run}/seed{seed}"


def benchmark_files(checkpoints: Checkpoints, run: Run, seed: int) -> dict[str, str]:
    """The measured benchmarks of a run and seed, and of what it starts from; the same file for a run of method sft."""
    if "lm_eval" not in checkpoints.settings.config:
        return {}
    chain = checkpoints.start_chain(run.model, seed)
    start = f"{STARTS.format(dataset=run.dataset, model=run.model, chain=chain)}.json"
    names = {"dataset": run.dataset, "model": run.model, "run": run.name, "seed": seed}
    return {"lm_eval": f"{POLICIES.format(**names)}.json" if run.trained else start, "lm_eval_start": start}


def alignment_tax_table(settings: Settings) -> list[str]:
    """The runs' benchmarks beside those of what they start from."""
    return ["results/alignment_tax.csv"] if "lm_eval" in settings.config else []


def local_task_files(settings: Settings) -> list[str]:
    """All files below the tasks' include_path folders, hidden ones and compiled code left out.

    Raises:
        InputError: there is no such folder, or no YAML in it.
    """
    found = []
    for number, task in enumerate(settings.config.get("lm_eval", [])):
        if folder := task.get("include_path"):
            files = [str(path) for path in visible_files(Path(folder).expanduser()).values() if path.suffix != ".pyc"]
            if not any(name.endswith((".yaml", ".yml")) for name in files):
                raise InputError(
                    f"{settings.source}: lm_eval[{number}].include_path: {folder} must be a local folder that has YAML "
                    "files of lm-eval's tasks"
                )
            found += files
    return list(dict.fromkeys(found))
