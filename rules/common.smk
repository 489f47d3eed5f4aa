# The config, constraints of wildcards, and what rules need of Snakemake besides. No rules here; which files there are to
# be, and what each is made from, is in scripts/pipeline/plan.
import importlib.util
import os
import subprocess
from functools import cache
from types import SimpleNamespace

from snakemake.exceptions import WorkflowError

from pipeline.columns.pairs import UNLABELLED
from pipeline.columns.prompts import CHECK, REFERENCE
from pipeline.config.candidates import best_of_runs, candidates_specs, describe_best_of
from pipeline.config.elsewhere import answers_file, external_entry
from pipeline.config.global_batch import check_device
from pipeline.config.reward_training import prepared_datasets
from pipeline.config.settings import Settings
from pipeline.config.summary import summary
from pipeline.jobs.forecast import gpu_names
from pipeline.jobs.handover import WARM
from pipeline.jobs.io import InputError, file_hash, read_yaml
from pipeline.jobs.provenance import code_fingerprint
from pipeline.plan.budgets import SPEEDS, budget_reward, budget_runs, other_run, other_steps_files, steps_files
from pipeline.plan.candidates import budget_candidates, candidates_file, trained_candidates
from pipeline.plan.lm_eval import alignment_tax_table, local_task_files
from pipeline.plan.overoptimisation import kept_checkpoints, overoptimisation_table
from pipeline.plan.cores import own_threads, side_by_side
from pipeline.plan.elsewhere import export_files, exports
from pipeline.plan.files import JUDGEMENTS, SPLITS, Plan
from pipeline.plan.prompts import (
    category_table,
    contaminations,
    set_arguments,
    set_files,
    set_opponent,
    set_path,
    set_report_arguments,
    set_table,
)
from pipeline.plan.publications import publication_inputs, publication_spec
from pipeline.plan.specs import as_yaml, specs
from pipeline.plan.unlabelled import (
    budget_unlabelled,
    file_arguments,
    partly_labelled,
    sft_unlabelled,
    unlabelled_files,
)
from pipeline.publishing.plan import repositories
from pipeline.results.caveats import caption, quoted
from pipeline.results.cost_axes import caption as front_caption
from pipeline.results.page_limit import opens_within

try:
    for path in workflow.configfiles:  # Snakemake has read them; of a key that is written twice it took the last
        read_yaml(path)
    settings = Settings.from_config(config, ROOT, given=workflow.config_settings.config)
    check_device(settings)
    TASK_FILES = local_task_files(settings)
    PUBLICATIONS = repositories(settings)
    plan = Plan(settings)
    EXPORTS = exports(plan)
except InputError as error:
    raise WorkflowError(str(error)) from None

SPECS = specs(plan, PUBLICATIONS)

# For the captions of Snakemake's report, which see the config and little else.
config["summary"] = summary(settings)
config["caveats"] = caption(Path("results/winrate.csv"))
config["front"] = front_caption(Path("results/winrate_vs_cost.csv"))
config["answer"] = quoted(Path("results/answer.txt"))

# Project of Weights & Biases. Jobs have it as a resource: a record elsewhere makes no result stale.
WANDB = f"sail-{settings.tag}" if settings.config["wandb"] else "none"
DATASETS, SEEDS, SPLIT = settings.datasets, settings.seeds, settings.split
RUN_NAMES = list(settings.task_runs)
# Runs that answer with the best of what policies start from, those made elsewhere, and those that ask a policy.
BEST_OF = best_of_runs(settings)
EXTERNAL = [name for name, run in settings.task_runs.items() if run.elsewhere]
ASKED = [name for name in RUN_NAMES if name not in (*BEST_OF, *EXTERNAL)]
QUALITY = settings.config["judge_quality"]

# Cores that jobs on this machine share; None where they run elsewhere.
CORES = workflow.resource_settings.cores if workflow.local_exec else None

# What the device gives a job that runs a model. None of it is in what makes a job stale.
PROCESSES = settings.device_entry()["processes"]
GPUS = 0 if settings.device_entry()["accelerator"] == "cpu" else PROCESSES
DEVICE = {"gpu": GPUS, "device": settings.device}
# In training, processes may hold parts of a model; what else they share, each does with a whole one.
TRAINING = DEVICE | {"launch": plan.launcher(settings.device_entry()["distributed"]), "wandb": WANDB}
SHARING = DEVICE | {"launch": plan.launcher("ddp")}


def is_loaded(names):
    """Whether the model of a job is loaded, not made from scratch."""
    return "path" in settings.entries["models"][names.model]


def is_loaded_reward(names):
    """The same for a reward model, which may be trained from a model that is made from scratch."""
    name = getattr(names, "reward_model", settings.reward_model_name(names.dataset))
    entry = settings.entries["reward_models"][name]
    return "train" not in entry or "path" in settings.entries["models"][entry["train"]["model"]]


@cache
def has_gpus():
    """Whether this machine has any."""
    return bool(gpu_names())


@cache
def threads_of(loaded, usual):
    """Threads of each process of a job that runs a model."""
    return own_threads(settings, loaded, usual, CORES, has_gpus())


def sizes(loaded=is_loaded, usual=1):
    """Threads and resources of a job that runs a model: they do not make it stale.

    Args:
        loaded: tells by the wildcards whether the model is loaded.
        usual: threads of each process where it is not.
    """

    def own(names):
        return threads_of(loaded(names), usual)

    return {
        "own_threads": own,
        "side_by_side": lambda names: side_by_side(settings, loaded(names), own(names), CORES),
    }


def all_threads(loaded=is_loaded, usual=1):
    """Threads of all processes of a job that runs a model."""
    return lambda names: PROCESSES * threads_of(loaded(names), usual)


def one_of(names):
    """A wildcard constraint: one of the names, literally."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    spec=one_of(SPECS),
    dataset=one_of(prepared_datasets(settings)),
    model=one_of(settings.entries["models"]),
    run=one_of(RUN_NAMES),
    baseline=one_of(["chosen", REFERENCE, CHECK, *RUN_NAMES]),
    set=one_of(settings.prompt_sets),
    reward_model=one_of(settings.entries["reward_models"]),
    judge=one_of(dict.fromkeys(map(settings.judge_name, DATASETS))),
    repository=one_of(PUBLICATIONS),
    seed=r"\d+",
    # of what is a seed's own, where it reaches SFT and reward models (seed_scope)
    chain=r"(/seed\d+)?" if settings.config["seed_scope"] == "all" else "(?:)",
    split=one_of([*SPLITS, UNLABELLED]),
    prompts=one_of(dict.fromkeys(prompts for prompts, _ in EXPORTS)),
    exported=one_of(dict.fromkeys(name for _, name in EXPORTS)),
    # the first one's files have no name of it; where either is meant, the folder or none
    decoding=one_of(settings.decodings[1:]),
    further=rf"(/({one_of(settings.decodings[1:])}))?",
    candidates=one_of(candidates_specs(settings)),


def code(script, spec=None, reward_model=None, **named):
    """Fingerprint of what a script and the modules it imports compute: its jobs are stale when it changes.

    Of methods, sources, judges' kinds and the like, those count that the spec and the reward model's name, and those that
    are named here, as a spec would (source="plain"). Functions of parameters call it with wildcards alone: Snakemake keeps no record of those that take a job's input.
    """
    names = ([spec] if spec else []) + ([f"reward/{reward_model}"] if reward_model else [])
    return code_fingerprint(script, *(SPECS[name]() for name in names), named)


def per_seed(pattern):
    """A pattern of files as one for each seed, the other wildcards left as they are."""
    return expand(pattern, seed=SEEDS, allow_missing=True)


def in_report(path, category, what, form="figure", caption=None):
    """An output that Snakemake's report shows, labelled by what it is of which wildcards, and in which form.

    Its caption is the file in rules/captions of that name; of the output's own where none is given, or of its folder's
    where that is a wildcard.
    """
    named = [part for part in Path(path).with_suffix("").parts if "{" not in part]
    of = ", ".join(re.findall(r"{\w+}", path))
    labels = {"what": f"{what}: {of}" if of else what, "form": form}
    return report(path, caption=f"captions/{caption or named[-1]}.rst", category=category, labels=labels)


def excerpt_in_report(path, whole):
    """An output that Snakemake's report shows where the whole page, which is there by then, is too large for it."""
    if opens_within(Path(whole)):
        return path
    return in_report(path, "Report", "the report without its largest parts", "page", caption="report")


def kept_outputs():
    """Outputs of a policy's training for the checkpoints that are kept of it; none where none are."""
    names = zip(("kept", "kept_steps"), kept_checkpoints(settings))
    return {name: directory(path) if name == "kept" else path for name, path in names}


def kept_files(wildcards):
    """Inputs of what asks a run's checkpoints: the policy and its kept ones; none of the run that is no training."""
    if not settings.task_runs[wildcards.run].trained:
        return {}
    folder, steps = (path.format(**wildcards) for path in kept_checkpoints(settings))
    return policy_files(wildcards) | {"kept": ancient(folder), "kept_steps": steps}


@cache
def answers_hash(run, prompts):
    """SHA-256 of the file with a run's responses that were made elsewhere, whose date makes nothing stale."""
    return file_hash(answers_file(settings, run, prompts))


def label_files(dataset, seed):
    """Inputs of what asks the reward model that labels a seed's pairs beside another one: its spec and files."""
    files = reward_inputs(dataset, settings.reward_model_name(dataset), seed)
    return {f"label_{key}": path for key, path in files.items()}


def start_files(dataset, model, chain):
    """Inputs of what begins at a model's start: the SFT model's files; none where that is the model as it is."""
    folder = plan.start_folder(dataset, model, chain)
    return {"sft": ancient(f"{folder}/model"), "sft_manifest": f"{folder}/manifest.json"} if folder else {}


def own_start(wildcards):
    """The same of what a seed's policies begin at."""
    return start_files(wildcards.dataset, wildcards.model, plan.start_chain(wildcards.model, wildcards.seed))


def policy_files(wildcards):
    """Inputs of what asks a run's policy: its files; none of the run that is the model as it is."""
    folder = plan.policy_folder(wildcards)
    return {"policy": ancient(f"{folder}/model"), "policy_manifest": f"{folder}/manifest.json"} if folder else {}


def reward_model_files(dataset, name, seed=None):
    """Inputs for scoring: the trained reward model's files; none for a checkpoint from elsewhere."""
    folder = plan.reward_model_folder(dataset, name, seed)
    return {"reward_model": ancient(f"{folder}/model"), "reward_manifest": f"{folder}/manifest.json"} if folder else {}


def reward_start(dataset, name, chain):
    """Inputs of a reward model's training: the SFT model that it starts from; none where it starts from the model itself."""
    folder = plan.reward_start(dataset, name, chain)
    return {"sft": ancient(f"{folder}/model"), "sft_manifest": f"{folder}/manifest.json"} if folder else {}


def reward_spec(name, seed=None):
    """The spec of a reward model: of a seed's own, or of the one that measures all runs."""
    return f"results/specs/reward/{name}{plan.reward_chain(name, seed)}.yaml"


def reward_inputs(dataset, name, seed=None):
    """Inputs of what may ask a reward model: its spec and files; none without one."""
    return {"reward_spec": reward_spec(name, seed)} | reward_model_files(dataset, name, seed) if name else {}


def steps_inputs(files):
    """Inputs that have a number of steps: of a run's record nothing else counts, so its date does not."""
    return {kind: ancient(path) if kind == "record" else path for kind, path in files.items()}


def of_first_seed(wildcards):
    """The names of a run, of the first seed."""
    return SimpleNamespace(dataset=wildcards.dataset, model=wildcards.model, run=wildcards.run, seed=SEEDS[0])


def other_method(wildcards):
    """Method of the run whose seconds a budget is relative to; None where it is not relative."""
    other = other_run(plan, wildcards.run)
    return settings.task_runs[other].method if other else None


def steps_arguments(input):
    """The argument that names the file with a number of steps, where there is one."""
    path = input.get("budget") or input.get("record")
    return ["--steps", path] if path else []


def published_files(wildcards):
    """Inputs of an upload; a checkpoint's folder is known by its manifest."""
    spec = publication_spec(plan, PUBLICATIONS[wildcards.repository])
    folder = {"folder": ancient(spec["folder"])} if "folder" in spec else {}
    return publication_inputs(spec) | folder


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


def require_lm_eval():
    """Stop before any job where benchmarks are asked for and lm-eval is not installed.

    Jobs of a cluster and of conda run elsewhere, so only local execution is checked.
    """
    here = workflow.is_main_process and workflow.local_exec and not workflow.deployment_settings.deployment_method
    if "lm_eval" in settings.config and here and importlib.util.find_spec("lm_eval") is None:
        raise WorkflowError(
            "lm_eval in the config needs the package of that name: pip install --no-deps -r envs/requirements-lm-eval.txt"
        )


def start_worker():
    """Start the process that the run's jobs are forks of, where models run on a CPU of this machine.

    It ends with this one; without it, jobs import their libraries themselves.
    """
    accelerator = settings.device_entry()["accelerator"]
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not has_gpus())
    here = workflow.local_exec and not workflow.deployment_settings.deployment_method
    if not on_cpu or not here or not workflow.is_main_process or os.environ.setdefault(WARM, "1") != "1":
        return
    command = [sys.executable, str(ROOT / "scripts" / "warm_up.py"), "--owner", str(os.getpid())]
    nothing = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    # Where the system has huge pages for those who ask, small trainings take 4% less time with them.
    huge = {"GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")}
    subprocess.Popen(command, start_new_session=True, env=os.environ | huge, **nothing)


def drop_submission_limit():
    """Drop Snakemake's own limit of 100 jobs a second, which nobody asked for.

    To hold it, the ready jobs are gone through again every second from each job's end on, for as long as some are ready:
    after some hundred jobs of a sweep that alone keeps a core busy.
    """
    limiter = workflow.scheduler.job_rate_limiter
    if limiter and (limiter.max_jobs, limiter.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None
