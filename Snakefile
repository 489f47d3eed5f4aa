# Online DPO (SAIL) against plain DPO: data, SFT, reward model, policies, responses, verdicts, win rates, report.
# `snakemake` runs the embedded default; `snakemake --configfile FILE` another config (config/README.md).
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")
sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

# Jobs use the Python that runs Snakemake, whether or not its environment is active; conda environments bring their own.
if not workflow.deployment_settings.deployment_method:
    shell.prefix(f'export PATH="{Path(sys.executable).parent}:$PATH"; ')

# A config file on the command line, or in a profile, stands alone: nothing of the default leaks in.
if "tasks" not in config and not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/specs.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/generate.smk"
include: "rules/score.smk"
include: "rules/judge.smk"
include: "rules/report.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        "results/winrate.csv",
        "results/cost.csv",
        "results/report.html",
        "results/figures/winrate.svg",
        bt_splits(),
    conda:
        "envs/pipeline.yaml"


onstart:
    require_device()
