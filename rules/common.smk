# Lookups in the config and helpers for paths. No rules here.
import atexit
import subprocess

import yaml
from snakemake.exceptions import WorkflowError

from pipeline.config.settings import Settings
from pipeline.config.global_batch import check_device
from pipeline.jobs.io import InputError
from pipeline.jobs.provenance import code_fingerprint
from pipeline.config.summary import summary

try:
    settings = Settings.from_config(config, ROOT)
    check_device(settings)
except InputError as error:
    raise WorkflowError(str(error)) from None

# For the captions of Snakemake's report, which see the config and little else.
config["summary"] = summary(settings)

RUNS = {(run.dataset, run.model, run.name): run for run in settings.runs}
RUN_NAMES = sorted({run.name for run in settings.runs})
# Project of Weights & Biases. Jobs have it as a resource: a record elsewhere makes no result stale.
WANDB = f"sail-{settings.tag}" if settings.config["wandb"] else "none"
DATASETS, MODELS, SEEDS, SPLIT = settings.datasets, settings.models, settings.seeds, settings.split
REWARD_MODELS = sorted({settings.reward_model_name(dataset) for dataset in DATASETS})
JUDGES = sorted({settings.judge_name(dataset) for dataset in DATASETS})
# Replies that were paid for: no rule's output, as Snakemake deletes the outputs of failed jobs.
JUDGEMENTS = "results/judgements"
QUALITY = settings.config["judge_quality"]

# What the device gives a job that runs a model. None of it is in what makes a job stale.
PROCESSES = settings.device_entry()["processes"]
GPUS = 0 if settings.device_entry()["accelerator"] == "cpu" else PROCESSES


def launcher(strategy):
    """How a script is started: by Python, or in the device's processes by accelerate with that of its configs."""
    if PROCESSES == 1:
        return "python"
    return f"accelerate launch --config_file config/accelerate/{strategy}.yaml --num_processes {PROCESSES}"


# In training, processes may hold parts of a model; what else they share, each does with a whole one.
LAUNCH = {"training": launcher(settings.device_entry()["distributed"]), "sharing": launcher("ddp")}


def one_of(names):
    """A wildcard constraint: one of the names, literally."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    dataset=one_of(DATASETS),
    model=one_of(settings.entries["models"]),
    run=one_of(RUN_NAMES),
    baseline=one_of(["chosen", *RUN_NAMES]),
    reward_model=one_of(REWARD_MODELS),
    judge=one_of(JUDGES),
    seed=r"\d+",
    split="train|selection|eval",


def code(script, *specs):
    """Fingerprint of what a script and the modules it imports compute: its jobs are stale when it changes.

    Of methods, sources, judges' kinds and the like, those count that the specs name.
    """
    return code_fingerprint(script, *specs)


def reward_spec(wildcards):
    """Spec of the reward model that a job uses: the wildcard's, else the dataset's."""
    name = getattr(wildcards, "reward_model", None) or settings.reward_model_name(wildcards.dataset)
    return settings.reward_spec(DATASETS[0], name)


def policy_specs(wildcards):
    """Specs that a policy is trained from: its own, and its reward model's where rewards label rows."""
    spec = settings.policy_spec(wildcards.dataset, wildcards.model, wildcards.run)
    return [spec, reward_spec(wildcards)] if needs_reward(wildcards) else [spec]


def judge_specs(wildcards):
    """Specs that verdicts are made from: the judge's, and its reward model's where it is one."""
    name = judge_reward_model(wildcards)
    own = settings.judge_spec(judge_of(wildcards))
    return [own, settings.reward_spec(DATASETS[0], name)] if name else [own]


def as_yaml(spec):
    """A spec as YAML text."""
    return yaml.safe_dump(spec, sort_keys=False, allow_unicode=True, width=120)


def trained_reward_model(name):
    """Whether the workflow trains the reward model (else it is a checkpoint from the hub or from disk)."""
    return "train" in settings.entries["reward_models"][name]


def reward_model_files(wildcards, reward_model=None):
    """Inputs for scoring: the trained reward model's files; none for a checkpoint from elsewhere."""
    name = reward_model or getattr(wildcards, "reward_model", settings.reward_model_name(wildcards.dataset))
    if not trained_reward_model(name):
        return {}
    folder = f"results/reward_models/{wildcards.dataset}/{name}"
    return {"reward_model": ancient(f"{folder}/model"), "reward_manifest": f"{folder}/manifest.json"}


def reward_model_path(wildcards, reward_model=None):
    """Folder of a trained reward model, or the path of its entry."""
    name = reward_model or getattr(wildcards, "reward_model", settings.reward_model_name(wildcards.dataset))
    if trained_reward_model(name):
        return f"results/reward_models/{wildcards.dataset}/{name}/model"
    return settings.entries["reward_models"][name]["path"]


def reward_spec_file(wildcards):
    """Spec of the dataset's reward model."""
    return f"results/specs/reward/{settings.reward_model_name(wildcards.dataset)}.yaml"


def sft_folder(wildcards):
    return f"results/sft/{wildcards.dataset}/{wildcards.model}"


def policy_folder(wildcards):
    """Folder of a run's policy; the run `sft` is the SFT model itself."""
    if RUNS[wildcards.dataset, wildcards.model, wildcards.run].method == "sft":
        return sft_folder(wildcards)
    return f"results/policies/{wildcards.dataset}/{wildcards.model}/{wildcards.run}/seed{wildcards.seed}"


def needs_reward(wildcards):
    """Whether rewards label rows of a run (g > 0)."""
    return bool(RUNS[wildcards.dataset, wildcards.model, wildcards.run].hyperparameters.get("g"))


def baselines(run):
    """What a run's responses are judged against: the dataset's chosen responses, and the baseline run."""
    other = settings.baseline_run(run.dataset, run.model)
    return ["chosen"] if run.name == other else ["chosen", other]


def per_seed(pattern):
    """A pattern of files as one for each seed, the other wildcards left as they are."""
    return expand(pattern, seed=SEEDS, allow_missing=True)


def run_files(run, seed, split=SPLIT):
    """Files of one run and seed that the tables are made from, by kind."""
    place = f"{run.dataset}/{run.model}/{run.name}/seed{seed}"
    files = {
        "responses": f"results/responses/{place}/{split}.parquet",
        "scores": f"results/scores/{place}/{split}.parquet",
        "evaluation": f"results/evaluations/{place}/{split}.parquet",
        "verdicts": {name: f"results/verdicts/{place}/{split}-vs-{name}.parquet" for name in baselines(run)},
    }
    if run.method != "sft":
        files |= {name: f"results/policies/{place}/{name}.{kind}" for name, kind in RECORDS.items()}
    return files


RECORDS = {"cost": "json", "metrics": "parquet"}


def files_of(kind, split=SPLIT):
    """That kind of file, of all runs and seeds."""
    found = [run_files(run, seed, split).get(kind, {}) for run in settings.runs for seed in SEEDS]
    return [path for files in found for path in (files.values() if isinstance(files, dict) else [files])]


def run_table(split=SPLIT):
    """The table of runs that the aggregating scripts read."""
    rows = [
        {
            "dataset": run.dataset,
            "model": run.model,
            "run": run.name,
            "method": run.method,
            "hyperparameters": run.hyperparameters,
            "baselines": baselines(run),
            "seeds": {seed: run_files(run, seed, split) for seed in SEEDS},
        }
        for run in settings.runs
    ]
    baseline = settings.baseline_run(DATASETS[0], MODELS[0])
    return {"tag": settings.tag, "split": split, "baseline": baseline, "seeds": SEEDS, "runs": rows}


def bt_split(dataset, split):
    """A Bradley-Terry-scored split."""
    return f"results/bt/{dataset}/{settings.reward_model_name(dataset)}/{split}.parquet"


def bt_splits():
    """The Bradley-Terry-scored splits of every dataset."""
    return [bt_split(dataset, split) for dataset in DATASETS for split in ("train", SPLIT)]


def tracked_winrates():
    """The record of the win rates at Weights & Biases, where the config wants one."""
    return ["results/tracked.json"] if settings.config["wandb"] else []


def calibration_folders():
    """Where the calibration of every scored split is: its figures there, its numbers in a file of that name."""
    return [file.replace("results/bt/", "results/calibration/").removesuffix(".parquet") for file in bt_splits()]


def selection_table():
    """The win rates by which the report chooses the best run of each method; none where the config does not ask."""
    return ["results/selection.csv"] if settings.config["best_of_sweep"] else []


def page_files():
    """What the report's page is made of besides Python: templates, style, scripts, licences."""
    folder = ROOT / "scripts" / "pipeline" / "report"
    kinds = (".jinja", ".css", ".js", ".txt")
    found = [path for path in folder.rglob("*") if path.suffix in kinds]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def require_device():
    """Stop before any job where the config's device is not there.

    Jobs of a cluster run elsewhere, so only local execution is checked.
    """
    if settings.device_entry()["accelerator"] != "cuda" or not workflow.is_main_process or not workflow.local_exec:
        return
    probe = [sys.executable, "-c", "import torch; raise SystemExit(not torch.cuda.is_available())"]
    if subprocess.run(probe, check=False).returncode:
        raise WorkflowError(
            f"the device {settings.device} needs CUDA, and torch sees no CUDA device on this machine. "
            "What runs here: `snakemake` (the embedded default, on CPU); `snakemake -n` with the same arguments prints the plan."
        )


@atexit.register
def remove_states_if_all_was_done():
    """What `onsuccess` does, where a run, not a dry one, found every job of the config done before."""
    ran = workflow.is_main_process and workflow.executor_plugin is not None and not workflow.dryrun
    if ran and workflow.dag is not None and len(workflow.dag) == 0:
        clear_up(Path("results"))


def reward_base(wildcards):
    """The model entry whose SFT model a trained reward model starts from."""
    return settings.entries["reward_models"][wildcards.reward_model]["train"]["model"]


def judge_of(wildcards):
    """Name of the judge: the one that is asked for, else the dataset's."""
    return getattr(wildcards, "judge", settings.judge_name(wildcards.dataset))


def judge_kind(wildcards):
    return settings.judge_spec(judge_of(wildcards))["kind"]


def judge_reward_model(wildcards):
    """The reward model of a judge of kind reward: its own, else the dataset's; None for other kinds."""
    spec = settings.judge_spec(judge_of(wildcards))
    if spec["kind"] != "reward":
        return None
    return spec.get("reward_model") or settings.reward_model_name(wildcards.dataset)


def judge_service(judge):
    """Where a job reads how a judge is reached and what it may take: no input, as that makes no verdict stale."""
    return f"config/judges/{judge}/judge.yaml"


def judge_files(wildcards):
    """Inputs of judging that depend on the judge's kind."""
    name = judge_reward_model(wildcards)
    return name and {"reward_spec": f"results/specs/reward/{name}.yaml"} | reward_model_files(wildcards, name) or {}


def judge_arguments(wildcards, input):
    """Arguments of judging that depend on the judge's kind."""
    if judge_kind(wildcards) == "openai":
        return f"--service {judge_service(judge_of(wildcards))} --store {JUDGEMENTS}"
    name = judge_reward_model(wildcards)
    return name and f"--reward-spec {input.reward_spec} --reward-model {reward_model_path(wildcards, name)}" or ""


def measured_judges(form="json"):
    """Where the quality of every dataset's judge is measured; not of judges that cost money, unless that is wanted.

    As json for the report's page, or as csv.
    """
    if not QUALITY["pairs"]:
        return []
    kinds = {dataset: settings.judge_spec(settings.judge_name(dataset))["kind"] for dataset in DATASETS}
    wanted = [dataset for dataset in DATASETS if QUALITY["paid"] or kinds[dataset] != "openai"]
    return [f"results/judge_quality/{dataset}/{settings.judge_name(dataset)}/{SPLIT}.{form}" for dataset in wanted]


def paid_splits():
    """What judges of kind openai judge: dataset, run table, split; the selection split where its win rates are made."""
    tables = {SPLIT: "results/specs/runs.yaml"}
    if selection_table():
        tables["selection"] = "results/specs/selection.yaml"
    paid = [dataset for dataset in DATASETS if settings.judge_service(settings.judge_name(dataset))]
    return [(dataset, runs, split) for dataset in paid for split, runs in tables.items()]


def longest_response():
    """Most tokens of a generated response."""
    return settings.config["decodings"][settings.config["decoding"]]["max_new_tokens"]
