"""The end of a call of Snakemake that had nothing to do, of which its own hooks are not told."""

from pathlib import Path

from pipeline.jobs.state import clear_up


def clear_up_if_all_was_done(workflow, results: Path) -> None:
    """Do what `onsuccess` does, where a run, not a dry one, found every job of the config done before.

    Args:
        workflow: Snakemake's.
    """
    ran = workflow.is_main_process and workflow.executor_plugin is not None and not workflow.dryrun
    if ran and workflow.dag is not None and len(workflow.dag) == 0:
        clear_up(results)
