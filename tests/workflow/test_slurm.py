"""The workflow on a real Slurm, with one node on this machine: the same results, cancelled jobs continue.

Needs a Slurm that answers, with a partition debug and without an accounting database; as root, one is started by the
script that the variable SLURM_LOOPBACK names. What envs/requirements-slurm.txt has is installed into a folder of the
test where this Python does not have it.
"""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch
import yaml
from fixtures_models import chat_tokenizer, save_headed

from workflow.snakemake_copy import REPOSITORY, Workflow

pytestmark = pytest.mark.slow

SLURM = ("--profile", "profiles/slurm", "--slurm-no-account", "--slurm-status-command", "squeue", "--jobs", "2")
SLURM += ("--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "10")
SLURM += ("--default-resources", "slurm_partition=debug", "mem_mb=1000", "nodes=1", "runtime=60")
TOOL = Path(os.environ.get("SLURM_LOOPBACK", REPOSITORY.parent / "shared" / "tools" / "slurm-loopback"))
CONFIG, GRES = Path("/etc/slurm/slurm.conf"), Path("/etc/slurm/gres.conf")
SOCKET = Path("/run/munge/munge.socket.2")
GPUS = 4


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """The folder on Python's path that has the executor plugin, installed into one of its own where there is none."""
    found = importlib.util.find_spec("snakemake_executor_plugin_slurm")
    if found is not None:
        return str(Path(found.origin).parents[1])
    folder = tmp_path_factory.mktemp("plugin")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    requirements = ["-r", str(REPOSITORY / "envs" / "requirements-slurm.txt")]
    installed = subprocess.run([*command, *requirements], capture_output=True, text=True, timeout=300, check=False)
    if installed.returncode:
        pytest.skip(f"envs/requirements-slurm.txt could not be installed: {installed.stderr.strip()[-300:]}")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield str(folder)


def answer(columns):
    """What sinfo says of the partition debug; empty where no Slurm answers."""
    if shutil.which("sinfo") is None:
        return ""
    command = ["timeout", "10", "sinfo", "--noheader", "--partition", "debug", "--states", "idle,alloc,mix"]
    return subprocess.run([*command, "--format", columns], capture_output=True, text=True, check=False).stdout


def remove_dead_socket(path: Path) -> None:
    """Remove the socket that a killed munged has left: who finds it takes munged to be running, and waits for it."""
    with contextlib.suppress(FileNotFoundError), socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()


def give_gpus(devices: Path) -> None:
    """Give the node GPUs, of which Slurm looks at the devices' names alone: it takes a restart of both daemons."""
    text = CONFIG.read_text()
    for number in range(GPUS):
        os.mknod(devices / f"gpu{number}", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    GRES.write_text(f"Name=gpu File={devices}/gpu[0-{GPUS - 1}]\n")
    CONFIG.write_text(re.sub("^NodeName=.*$", rf"\g<0> Gres=gpu:{GPUS}", text, flags=re.MULTILINE) + "GresTypes=gpu\n")
    for name in ("Slurmd", "Slurmctld"):
        process = psutil.Process(int(Path(re.search(f"^{name}PidFile=(.*)$", text, re.MULTILINE)[1]).read_text()))
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    for name in ("slurmctld", "slurmd"):
        subprocess.run([name], check=True)
    limit = time.monotonic() + 30
    while "debug" not in answer("%P") and time.monotonic() < limit:
        time.sleep(0.5)


@pytest.fixture(scope="module")
def slurm(plugin, tmp_path_factory):
    """What to add to the environment of Snakemake. Slurm answers; one that is started here ends with the tests."""
    variables = {"PYTHONPATH": plugin}
    if "debug" in answer("%P"):
        yield variables
        return
    if os.geteuid() or not TOOL.is_file():
        pytest.skip("no Slurm with a partition debug answers; to start one takes root and a script in SLURM_LOOPBACK")
    before = {path: path.read_bytes() if path.is_file() else None for path in (CONFIG, GRES)}
    remove_dead_socket(SOCKET)
    try:
        environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}  # nproc's too
        started = subprocess.run([TOOL], env=environment, capture_output=True, text=True, timeout=600, check=False)
        assert "debug" in answer("%P"), f"{TOOL} started no Slurm: {started.stdout[-500:]}{started.stderr[-500:]}"
        with contextlib.suppress(PermissionError):  # else it has no GPUs
            give_gpus(tmp_path_factory.mktemp("devices"))
        yield variables
    finally:
        subprocess.run([TOOL, "stop"], check=False)
        for path, content in before.items():
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_bytes(content)


@pytest.mark.parametrize(("device", "gpus"), [("cpu", 0), ("t4", 1), ("a100x4", 4)])
def test_a_job_is_one_task_with_all_the_device_s_gpus(device, gpus, plugin):
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


def test_a_job_that_asks_for_four_gpus_gets_four(slurm, tmp_path):
    found = re.search(r"gpu:(?:\w+:)?(\d+)", answer("%G"))
    if found is None or int(found[1]) < GPUS:
        pytest.skip("Slurm has no node with four GPUs in the partition debug")
    (tmp_path / "small.yaml").write_text("{}")
    shutil.copytree(REPOSITORY / "profiles", tmp_path / "profiles")
    shell = "echo $SLURM_NTASKS $SLURM_STEP_NUM_TASKS $CUDA_VISIBLE_DEVICES >> {output}"
    rule = f'rule one:\n    output: "out"\n    resources: gpu={GPUS}\n    shell: "{shell}"\n'
    (tmp_path / "Snakefile").write_text(rule)
    Workflow(tmp_path).snakemake("out", *SLURM, environment=slurm)
    assert (tmp_path / "out").read_text() == "1 1 0,1,2,3\n"  # written by one task, which has all of them


class Resources(dict):
    """A job's resources as the plugin reads them."""

    __getattr__ = dict.__getitem__


class Job:
    """A job as the plugin reads it."""

    def __init__(self, resources, threads):
        self.resources, self.threads = resources, threads


@pytest.mark.exhaustive
def test_the_results_are_those_of_a_local_run(finished, slurm, tmp_path):
    workflow = Workflow.new(tmp_path / "slurm")
    output = workflow.snakemake("results/winrate.csv", *SLURM, environment=slurm)
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
        config["definitions"]["datasets"]["small"]["size"] = 1000
        config["definitions"]["reward_models"]["tiny"] = {"path": str(workflow.folder / "rm")}

    workflow.configure(change)
    one_by_one = {"accelerator": "cpu", "precision": "fp32", "per_device_batch_size": {"score": 1}}
    workflow.configure(lambda devices: devices.update(cpu=one_by_one), "config/devices.yaml")
    return workflow


def test_a_cancelled_job_is_submitted_again_and_continues(scoring, slurm, tmp_path):
    target = "results/bt/small/tiny/train.parquet"
    local = scoring.copy(tmp_path / "local")
    local.snakemake(target)
    cancelled, stop = [], threading.Event()

    def cancel():
        """Cancel the job once its first scores are kept."""
        while not stop.wait(0.2):
            if list(scoring.folder.glob("results/.state/bt/small/tiny/**/*.pth")):
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
        output = scoring.snakemake(target, *SLURM, environment=slurm)
    finally:
        stop.set()
        thread.join()
    assert len(cancelled) == 1, output
    assert output.count("has been submitted with SLURM jobid") == 3  # the data, the scores, the scores again
    assert "CANCELLED" in output and "Trying to restart job" in output
    log = (scoring.folder / "results/logs/score_bt/small/tiny/train.log").read_text()
    assert re.search(r"\d+ texts were scored before", log)
    assert (scoring.folder / target).read_bytes() == (local.folder / target).read_bytes()
