# What the jobs of a plan take, by the records of earlier ones: time, disk, and the difference that they can show. No rules.
import atexit

from pipeline.plan.forecast import Forecast, describe_time
from pipeline.plan.power import describe_power


def costs(jobs, cores, gpus):
    """The seconds of each job (None where nobody knows), what they are known by, and further lines for the user."""
    forecast = Forecast(plan, SPECS, gpu_names(), "results")
    seconds = forecast.seconds(jobs)
    lines = [describe_time(forecast, jobs, seconds, cores, gpus)]
    names = {job.rule for job in jobs}
    if "compute_winrate" in names:
        lines.append(describe_power(settings))
    if names & {"choose_responses", "choose_decoded"}:
        lines.append(describe_best_of(settings))
    return seconds, forecast.basis(jobs), [line for line in lines if line]


def announce_dry_run():
    """Print the plan below a dry run, of whose start Snakemake's hooks are not told."""
    ran = workflow.is_main_process and workflow.executor_plugin is not None and workflow.dryrun
    if ran and workflow.dag is not None and not workflow.output_settings.quiet and (jobs := planned_jobs()):
        print(describe_plan(jobs, *limits())[0], file=sys.stderr)


atexit.register(announce_dry_run)
