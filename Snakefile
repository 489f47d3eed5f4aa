# Online DPO (SAIL) against plain DPO: data, SFT, reward model, policies, responses, verdicts, win rates, report.
# `snakemake` runs the embedded default; `snakemake --configfile FILE` another config (config/README.md).
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")
# The folder of this file, whether Snakemake was given it or workflow/Snakefile, which includes it.
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).resolve()
sys.path.insert(0, str(ROOT / "scripts"))

from pipeline.jobs.ownership import OWNER, enter_folder

# Jobs end with the Snakemake that started them, so that none goes on beside the next run's.
prefix = f"export {OWNER}=$PPID; "
# Jobs use the Python that runs Snakemake, whether or not its environment is active; conda environments bring their own.
if not workflow.deployment_settings.deployment_method:
    prefix += f'export PATH="{Path(sys.executable).parent}:$PATH"; '
shell.prefix(prefix)

# The lock of a run that was killed is removed, if no run is alive here.
if workflow.is_main_process:
    alive = enter_folder(Path(".snakemake"))

# A config file on the command line, or in a profile, stands alone: nothing of the default leaks in.
if "tasks" not in config and not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


# What Snakemake's own report begins with.
report: "rules/captions/workflow.rst"


include: "rules/common.smk"
include: "rules/specs.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/generate.smk"
include: "rules/checkpoints.smk"
include: "rules/lm_eval.smk"
include: "rules/score.smk"
include: "rules/judge.smk"
include: "rules/report.smk"
include: "rules/publish.smk"
include: "rules/exports.smk"
include: "rules/costs.smk"
include: "rules/forecast.smk"
include: "rules/state.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        "results/winrate.csv",
        "results/cost.csv",
        "results/report.html",
        "results/figures/winrate.svg",
        "results/figures/rating.svg",
        plan.measured_judges("csv"),
        plan.bt_splits(),
        plan.tracked_winrates(),
        overoptimisation_table(settings),
        alignment_tax_table(settings),
    conda:
        "envs/pipeline.yaml"


onstart:
    require_device()
    require_lm_eval()
    drop_submission_limit()
    start_worker()
    announce_plan()
