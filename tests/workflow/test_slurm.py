"""The workflow on a real Slurm, with one node on this machine: the same results, cancelled jobs continue.

Needs a Slurm that answers, with a partition debug and without an accounting database, and in this Python what
envs/requirements-slurm.txt has.
"""

import importlib.util
import re
import shutil
import subprocess
import threading

import pytest
import torch
import yaml
from fixtures_models import chat_tokenizer, save_headed

from workflow.snakemake_copy import REPOSITORY, Workflow

SLURM = ("--profile", "profiles/slurm", "--slurm-no-account", "--slurm-status-command", "squeue", "--jobs", "2")
SLURM += ("--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "10")
SLURM += ("--default-resources", "slurm_partition=debug", "mem_mb=1000", "nodes=1", "runtime=60")


def answers():
    """Whether a Slurm answers with an idle or busy node in the partition debug."""
    if shutil.which("sinfo") is None:
        return False
    command = ["timeout", "10", "sinfo", "--noheader", "--partition", "debug", "--states", "idle,alloc,mix"]
    return "debug" in subprocess.run(command, capture_output=True, text=True, check=False).stdout


plugin = pytest.mark.skipif(
    importlib.util.find_spec("snakemake_executor_plugin_slurm") is None,
    reason="snakemake-executor-plugin-slurm is not installed: pip install -r envs/requirements-slurm.txt",
)
slurm = pytest.mark.skipif(
    importlib.util.find_spec("snakemake_executor_plugin_slurm") is None or not answers(),
    reason="there is no Slurm with a partition debug here, or snakemake-executor-plugin-slurm is not installed",
)


@plugin
@pytest.mark.parametrize(("device", "gpus"), [("cpu", 0), ("t4", 1), ("a100x4", 4)])
def test_a_job_is_one_task_with_all_the_device_s_gpus(device, gpus):
    """By the plugin's own command line. `tasks` beside `gpu` would start a task for each GPU."""
    from snakemake_executor_plugin_slurm.submit_string import get_submit_command
    from snakemake_executor_plugin_slurm.utils import set_gres_string

    profile = yaml.safe_load((REPOSITORY / "profiles" / "slurm" / "config.yaml").read_text("utf-8"))
    assert not {"tasks", "tasks_per_gpu", "mpi", "gres"} & set(profile["default-resources"])
    resources = Resources(profile["default-resources"] | {"gpu": gpus, "device": device})
    names = ("run_uuid", "slurm_logfile", "comment_str", "account", "partition", "workdir")
    job = Job(resources, threads=max(gpus, 1))
    command = get_submit_command(job, dict.fromkeys(names, "") | {"partition": "-p gpus"}) + set_gres_string(job)
    assert re.findall(r"--gpus=(\S+)", command) == ([str(gpus)] if gpus else [])
    assert "--nodes=1" in command and f"--cpus-per-task={max(gpus, 1)}" in command
    # Without a number of tasks a job with GPUs has one.
    assert re.findall(r"--ntasks\S*", command) == ([] if gpus else ["--ntasks=1"])


def gpus():
    """How many GPUs Slurm has in a node of the partition debug."""
    command = ["timeout", "10", "sinfo", "--noheader", "--partition", "debug", "--format", "%G"]
    found = re.search(
        r"gpu:(?:\w+:)?(\d+)", subprocess.run(command, capture_output=True, text=True, check=False).stdout
    )
    return int(found[1]) if found else 0


@slurm
@pytest.mark.slow
def test_a_job_that_asks_for_four_gpus_gets_four(tmp_path):
    if gpus() < 4:
        pytest.skip("Slurm has no node with four GPUs in the partition debug")
    (tmp_path / "small.yaml").write_text("{}")
    shutil.copytree(REPOSITORY / "profiles", tmp_path / "profiles")
    shell = "echo $SLURM_NTASKS $SLURM_STEP_NUM_TASKS $CUDA_VISIBLE_DEVICES >> {output}"
    rule = f'rule one:\n    output: "out"\n    resources: gpu=4\n    shell: "{shell}"\n'
    (tmp_path / "Snakefile").write_text(rule)
    Workflow(tmp_path).snakemake("out", *SLURM)
    assert (tmp_path / "out").read_text() == "1 1 0,1,2,3\n"  # written by one task, which has all of them


class Resources(dict):
    """A job's resources as the plugin reads them."""

    __getattr__ = dict.__getitem__


class Job:
    """A job as the plugin reads it."""

    def __init__(self, resources, threads):
        self.resources, self.threads = resources, threads


@slurm
@pytest.mark.slow
def test_the_results_are_those_of_a_local_run(finished, tmp_path):
    workflow = Workflow.new(tmp_path / "slurm")
    output = workflow.snakemake("results/winrate.csv", *SLURM)
    assert "has been submitted with SLURM jobid" in output
    for path in ("winrate.csv", "responses/small/tiny/mix-r0.2-p0.2-g0.2/seed1/eval.parquet"):
        assert (workflow.folder / "results" / path).read_bytes() == (finished.folder / "results" / path).read_bytes()


@pytest.fixture
def scoring(tmp_path):
    """A workflow whose scoring of a split takes a while, with a reward model that is there already."""
    workflow = Workflow.new(tmp_path / "scoring")
    torch.manual_seed(0)
    save_headed(workflow.folder / "rm", "LlamaForScore", "llama", chat_tokenizer(), trunk={"num_hidden_layers": 16})

    def change(config):
        config["definitions"]["datasets"]["small"]["size"] = 3000
        config["definitions"]["reward_models"]["tiny"] = {"path": str(workflow.folder / "rm")}

    workflow.configure(change)
    one_by_one = {"accelerator": "cpu", "precision": "fp32", "per_device_batch_size": {"score": 1}}
    workflow.configure(lambda devices: devices.update(cpu=one_by_one), "config/devices.yaml")
    return workflow


@slurm
@pytest.mark.slow
def test_a_cancelled_job_is_submitted_again_and_continues(scoring, tmp_path):
    target = "results/bt/small/tiny/train.parquet"
    local = scoring.copy(tmp_path / "local")
    local.snakemake(target)
    cancelled, stop = [], threading.Event()

    def cancel():
        """Cancel the job once its first scores are kept."""
        while not stop.wait(0.2):
            if list(scoring.folder.glob("results/bt/small/tiny/.train.shards/*/*.npz")):
                jobs = subprocess.run(
                    ["squeue", "--noheader", "--format", "%i %Z"], capture_output=True, text=True, check=True
                ).stdout
                cancelled.extend(
                    line.split()[0] for line in jobs.splitlines() if line.split()[1] == str(scoring.folder)
                )
                subprocess.run(["scancel", *cancelled], check=True)
                return

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        output = scoring.snakemake(target, *SLURM)
    finally:
        stop.set()
        thread.join()
    assert len(cancelled) == 1, output
    assert output.count("has been submitted with SLURM jobid") == 3  # the data, the scores, the scores again
    assert "CANCELLED" in output and "Trying to restart job" in output
    log = (scoring.folder / "results/logs/score_bt/small/tiny/train.log").read_text()
    assert re.search(r"\d+ texts were scored before", log)
    assert (scoring.folder / target).read_bytes() == (local.folder / target).read_bytes()
