"""Runs whose jobs, whose Snakemake and which themselves are killed end with the same bytes as one left in peace."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.jobs.handover import WARM
from workflow.snakemake_copy import Workflow

KINDS = ("job", "snakemake", "group")
INTERVAL = 0.2  # seconds between checkpoints
TARGETS = ["results/winrate.csv"]
MAY_DIFFER = ("logs/", "benchmarks/")
RECORDS = ("/cost.json", "provenance.json", "/.snakemake_timestamp")


def smaller(config: dict) -> None:
    """Fewer runs, which train longer."""
    config["tasks"] = [task for task in config["tasks"] if task["method"] in ("dpo", "dpr")]
    config["policy"]["max_steps"] = 150


def new_workflow(folder: Path) -> Workflow:
    workflow = Workflow.new(folder)
    workflow.configure(smaller)
    workflow.configure(lambda devices: devices["cpu"].update(checkpoint_seconds=INTERVAL), "config/devices.yaml")
    return workflow


class Run:
    """Snakemake in a session of its own, started again whenever it ended before its work was done."""

    def __init__(self, workflow: Workflow, kills: int):
        self.kills, self.workflow, self.output = kills, workflow, workflow.folder.parent / "output.txt"
        self.environment = os.environ | {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "offline"}
        self.environment.pop("PYTHONPATH", None)
        self.start()

    def start(self) -> None:
        self.started = time.time()
        options = "--configfile", "small.yaml", "--retries", str(self.kills)
        command = [sys.executable, "-m", "snakemake", *TARGETS, *options]
        with self.output.open("a") as output:
            self.process = subprocess.Popen(
                command,
                cwd=self.workflow.folder,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, rng: random.Random, for_checkpoint: bool) -> None:
        """Until a random moment; where wanted, one after a training that this process began has saved a checkpoint."""
        time.sleep(rng.uniform(0.5, 8))
        limit = time.monotonic() + 60
        while for_checkpoint and time.monotonic() < limit and not self.trained():
            logs = {path for path in self.logs() if path.stat().st_mtime > self.started}
            if any("  checkpoint" in path.read_text() for path in logs):
                break
            time.sleep(0.05)
        time.sleep(rng.uniform(0, 0.5))

    def trained(self) -> bool:
        """Whether all trainings are done."""
        policies = (self.workflow.folder / "results/policies").rglob("manifest.json")
        return len(list(policies)) == 2

    def logs(self) -> list[Path]:
        """The logs of trainings."""
        return list((self.workflow.folder / "results/logs").glob("train_*/**/*.log"))

    def jobs(self) -> list[psutil.Process]:
        """The processes of entry scripts."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if any("scripts/" in part for part in process.cmdline()) and "python" in process.name():
                    found.append(process)
            except psutil.NoSuchProcess:
                pass
        return found

    def kill(self, kind: str, rng: random.Random) -> bool:
        """Kill a job, Snakemake alone, or all processes of the run; False where there is no job to kill."""
        if kind == "job":
            jobs = self.jobs()
            if not jobs:
                return False
            rng.choice(jobs).kill()
            return True
        if kind == "snakemake":
            self.process.kill()
        else:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.start()
        return True


class Progress:
    """How far each training is known to be, from the checkpoints that its logs tell of."""

    def __init__(self):
        self.saved: dict[Path, int] = {}
        self.seen: dict[Path, str] = {}
        self.resumed = 0

    def look(self, logs: list[Path]) -> None:
        """Take in what the logs say; a training that began again before its last checkpoint has lost work."""
        for path in logs:
            text, before = path.read_text(), self.seen.get(path, "")
            found = re.search(r"^continues after step (\d+)$", text, re.MULTILINE)
            saved = [int(step) for step in re.findall(r"^step (\d+)/\d+  checkpoint$", text, re.MULTILINE)]
            known = self.saved.get(path, 0)
            if not text.startswith(before) or not before:  # another attempt, or the first
                if found:
                    self.resumed += 1
                    assert int(found[1]) >= known, f"{path} lost steps, {known} were saved:\n{text}"
                elif saved:
                    assert not known, f"{path} began anew, {known} steps were saved:\n{text}"
            # Of a new attempt that has not said yet where it begins, more is to be seen later.
            if found or saved or not before:
                self.seen[path] = text if found or saved else ""
            self.saved[path] = max([known, *saved])


def results(workflow: Workflow) -> set[str]:
    """Files whose bytes are to be the same."""
    files = workflow.files("results")
    return {path for path in files if not path.startswith(MAY_DIFFER) and not path.endswith(RECORDS)}


@pytest.mark.slow
@pytest.mark.parametrize("count", [6, pytest.param(20, marks=pytest.mark.exhaustive)])
def test_killed_again_and_again_a_run_gives_the_same_bytes(tmp_path, count):
    undisturbed, killed = new_workflow(tmp_path / "undisturbed"), new_workflow(tmp_path / "killed")
    undisturbed.snakemake(*TARGETS, environment={WARM: "0"})  # those of the other are forks
    rng, progress, kills = random.Random(20), Progress(), dict.fromkeys(KINDS, 0)
    run = Run(killed, count)
    try:
        while sum(kills.values()) < count:
            run.wait(rng, for_checkpoint=rng.random() < 0.5)
            assert run.process.poll() is None, f"it ended after {kills} kills:\n{run.output.read_text()[-3000:]}"
            progress.look(run.logs())
            kind = rng.choice([kind for kind in KINDS if kills[kind] == min(kills.values())])
            kills[kind] += run.kill(kind, rng)
        assert run.process.wait(timeout=600) == 0, run.output.read_text()[-6000:]
    finally:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
    assert all(kills.values()) and progress.resumed > 0, (kills, progress.saved)
    output = run.output.read_text()
    assert "LockException" not in output and "IncompleteFilesException" not in output
    assert undisturbed.files("results") == killed.files("results")
    compared = results(undisturbed)
    assert {"winrate.csv"} <= compared and len([path for path in compared if path.endswith(".safetensors")]) == 4
    different = {
        path
        for path in compared
        if (undisturbed.folder / "results" / path).read_bytes() != (killed.folder / "results" / path).read_bytes()
    }
    assert not different
    assert not list((killed.folder / ".snakemake/locks").glob("*")) and killed.plan(*TARGETS) == set()
