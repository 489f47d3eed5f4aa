"""How well the plan's forecast meets what jobs took: each job predicted by the other ones, or by another run's.

    python scripts/benchmark.py forecast --results results
    python scripts/benchmark.py forecast --results large/results --configfile large.yaml --earlier small/results

Times are those of the jobs' records, with what Snakemake measured before and after them where it did.
"""

import statistics
from pathlib import Path

from benchmarks.measuring import markdown_table, parser_of
from pipeline.config.settings import Settings
from pipeline.jobs.io import InputError, read_yaml, write_json
from pipeline.plan.files import Plan
from pipeline.plan.forecast import Forecast
from pipeline.plan.specs import specs
from pipeline.plan.speeds import START, Earlier, Speeds


def main(argv: list[str] | None = None) -> None:
    parser = parser_of("forecast", __doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of the jobs to be predicted")
    parser.add_argument("--configfile", default="config/config.yaml", help="config that they are of")
    parser.add_argument("--earlier", type=Path, help="folder of other jobs to predict them by; the same when absent")
    parser.add_argument("--earlier-configfile", help="config that those are of; --configfile when absent")
    arguments = parser.parse_args(argv)
    jobs = jobs_of(arguments.results, arguments.configfile)
    if not jobs:
        raise InputError(
            f"{arguments.results}: no record of a job that ran a model, with the data that it was made from"
        )
    other = arguments.earlier and jobs_of(arguments.earlier, arguments.earlier_configfile or arguments.configfile)
    rows = [compare(job, other if other else [one for one in jobs if one is not job]) for job in jobs]
    write_json(
        {"settings": {name: str(value) for name, value in vars(arguments).items()}, "rows": rows}, arguments.output
    )
    print(as_table(rows))


def jobs_of(results: Path, configfile: str) -> list[Earlier]:
    """The jobs of a run that have records."""
    settings = Settings.from_config(read_yaml(configfile), source=configfile)
    plan = Plan(settings)
    return Forecast(plan, specs(plan, {}), [], results).earlier


def compare(job: Earlier, others: list[Earlier]) -> dict:
    """What a job took, start included, and what the others say."""
    start = START[job.machine.type] if job.start is None else job.start
    seconds = Speeds(others, job.machine).seconds(job.rule, job.method, job.work, job.machine.threads)
    return {"rule": job.rule, "method": job.method, "measured": start + job.seconds, "predicted": seconds}


def as_table(rows: list[dict]) -> str:
    """Predicted by measured of each rule and method as a Markdown table."""
    header = ["rule", "method", "jobs", "measured, s", "predicted, s", "predicted / measured"]
    kinds = list(dict.fromkeys((row["rule"], row["method"]) for row in rows))
    lines = []
    for rule, method in [*kinds, ("all", "")]:
        found = [row for row in rows if (row["rule"], row["method"]) == (rule, method) or rule == "all"]
        measured, predicted = (statistics.fmean(row[name] for row in found) for name in ("measured", "predicted"))
        ratios = [row["predicted"] / row["measured"] for row in found]
        spread = f"{predicted / measured:.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        lines.append([rule, method, len(found), f"{measured:.1f}", f"{predicted:.1f}", spread])
    return markdown_table(header, lines)
