"""`make run` from an empty environment: what it says of the installation and at the end, and when either fails."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from fixtures_results import DPO, build_results

import compute_winrate
from workflow.snakemake_copy import REPOSITORY

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
# Makes the win rates that the fixture left beside it, or fails.
SNAKEFILE = """
rule all:
    output:
        "results/winrate.csv",
        "results/report.html",
    shell:
        "cp given.csv results/winrate.csv && touch results/report.html"
"""


@pytest.fixture
def folder(tmp_path):
    """The Makefile, a lock file with nothing to install, and an environment that borrows the packages of this one."""
    shutil.copytree(REPOSITORY / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(REPOSITORY / "Makefile", tmp_path)
    for name in ("envs", "results", "profiles/default"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "profiles/default/config.yaml").write_text("cores: 1\n")
    (tmp_path / "envs/requirements.lock").write_text("--no-index\n")
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    runs = build_results(tmp_path / "measured", seeds=(1,), prompts=12)
    options = ["--resamples", "50", "--refits", "0"]
    compute_winrate.main(["--runs", str(runs), "--output", str(tmp_path / "given.csv"), *options])
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / ".venv")], check=True)
    (packages,) = (tmp_path / ".venv").glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return tmp_path


def make(folder, code=0):
    """What `make run` printed."""
    outer = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "SNAKEMAKE_PROFILE")  # of a `make test` that these tests run in
    variables = {name: value for name, value in os.environ.items() if name not in outer}
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "timeout": 300, "check": False}
    done = subprocess.run(["make", "run"], cwd=folder, env=variables, **options)
    assert done.returncode == code, done.stdout
    return done.stdout


def test_it_says_that_it_installs_and_ends_with_the_win_rates(folder):
    text = make(folder)
    assert text.splitlines()[:2] == [
        "Installing the packages of envs/requirements.lock into .venv, which takes some minutes",
        "pip's output is in .venv/pip.log",
    ]
    assert (folder / ".venv/pip.log").is_file()
    end = text[text.index("Win rates in per cent, with 95% intervals (results/winrate.csv):") :].splitlines()
    assert re.split("  +", end[2].strip()) == ["run", "against chosen", f"against {DPO}", "rests on"]
    assert [line.split()[0] for line in end[4:7]] == ["sft", DPO, "dpr-beta0.1-g0.3-gamma0.3"]
    assert end[-1] == "The report is results/report.html"
    again = make(folder)
    assert "Installing" not in again and "pip" not in again, "it is installed already"
    assert "Nothing to be done" in again and again.splitlines()[-1] == end[-1]


def test_after_a_failed_run_nothing_is_said_of_win_rates(folder):
    make(folder)
    (folder / "Snakefile").write_text(SNAKEFILE.replace("cp given.csv", "cp nowhere.csv"))
    (folder / "results/winrate.csv").unlink()
    text = make(folder, code=2)
    assert "Error in rule all" in text and "Win rates" not in text and "The report" not in text


def test_a_failed_installation_shows_the_end_of_pips_output_and_stops(folder):
    (folder / "envs/requirements.lock").write_text("--no-index\nno-such-package==1.0\n")
    for _ in range(2):  # it is tried again, not taken for done
        text = make(folder, code=2)
        assert "pip's output is in .venv/pip.log" in text and "No matching distribution found for no-such-pack" in text
        assert "Building DAG" not in text and not (folder / "results/winrate.csv").exists()
    assert "No matching distribution" in (folder / ".venv/pip.log").read_text()
