# What is said at the start, what will run, on which device, about how long; and what is said while it runs. No rules here.
from snakemake.logging import logger

from pipeline.jobs.forecast import PlannedJob, describe, describe_device
from pipeline.jobs.io import InputError
from pipeline.publishing.token import require_token
from pipeline.terminal.output import take_over
from pipeline.terminal.run import Run

# Jobs that Snakemake runs in processes of its own (on a cluster's nodes, say) leave the printing to the first one.
OUTPUT = take_over(logger, workflow.output_settings) if workflow.is_main_process else None


def planned_jobs():
    """The jobs that are to run, each after those that it waits for; not the targets, which run nothing.

    For Snakemake the jobs of a dry run are finished when it ends.
    """
    waiting = {job for job in workflow.dag.needrun_jobs(exclude_finished=not workflow.dryrun) if not job.is_norun}
    order = [job for level in workflow.dag.toposorted(waiting) for job in level]
    places = {job: i for i, job in enumerate(order)}
    return [
        PlannedJob(
            job.rule.name,
            job.benchmark and str(job.benchmark),
            job.threads,
            count if isinstance(count := job.resources.get("gpu", 0), int) else 0,
            tuple(places[other] for other in workflow.dag.dependencies[job] if other in places),
            workflow.dag.jobid(job),
            dict(job.wildcards.items()),
            next(map(str, job.output), ""),
        )
        for job in order
    ]


def describe_plan(jobs, cores, gpus):
    """What a call runs: the lines that say it, and the seconds that each job is expected to take."""
    device = describe_device(settings.device, settings.device_entry()["accelerator"], cores)
    where = f"{cores} cores" if workflow.local_exec else "as many nodes as it can use"
    seconds, basis, further = costs(jobs, cores, gpus)
    text = describe(settings.tag, device, where, jobs, seconds, cores, gpus, basis=basis)
    return "\n".join([text, *further]), seconds


def limits():
    """The cores and GPUs that jobs share; None where there is no limit."""
    gpus = workflow.global_resources.get("gpu")
    return workflow.cores if workflow.local_exec else None, gpus if isinstance(gpus, int) else None


def announce_plan():
    """Print the plan, and follow it; stop at once where it publishes and there is no token."""
    if not workflow.is_main_process:
        return
    jobs = planned_jobs()
    names = {job.rule for job in jobs}
    if "publish_results" in names:
        try:
            require_token()
        except InputError as error:
            raise WorkflowError(str(error)) from None
    cores, gpus = limits()
    text, seconds = describe_plan(jobs, cores, gpus)
    logger.info(text)
    if note := settings.config.get("note"):
        logger.info(note)
    if OUTPUT is not None:
        keep_going = workflow.execution_settings.keep_going
        run = Run(jobs, seconds, cores, gpus, keep_going)
        OUTPUT.begin(run, bars="judge_cost" not in names)  # which prints to the terminal itself


def end_output():
    """Nothing runs any more: what is said now stands below the bars."""
    if OUTPUT is not None:
        OUTPUT.end()
