"""A copy of the workflow in a folder of its own, and what Snakemake says that it would do there."""

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from pipeline.jobs.handover import WARM
from workflow.forks import Forks

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "rules", "scripts", "config", "envs", "profiles")
SMALL = REPOSITORY / "tests" / "data" / "small.yaml"
MINUTES = 60
# What every run of Snakemake imports, whatever its workflow.
IMPORTED = [
    "snakemake.cli",
    "snakemake.report",
    "snakemake.profiles",
    "snakemake.storage",
    "jsonschema",
    "numpy",
    "dotenv",
]


@dataclass(frozen=True)
class Job:
    """A planned job: its rule, its wildcards that are not empty in the order of its output's path, its resources."""

    rule: str
    wildcards: tuple[str, ...]
    resources: dict[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Workflow:
    """A copy of the repository's workflow, without its git history and its results, with a config of the tests."""

    folder: Path

    @classmethod
    def new(cls, folder: Path) -> "Workflow":
        """Copy the workflow into a folder that is made."""
        folder.mkdir()
        for part in PARTS:
            source = REPOSITORY / part
            if source.is_dir():
                shutil.copytree(source, folder / part)
            else:
                shutil.copy2(source, folder / part)
        (folder / "results").mkdir()
        shutil.copy2(REPOSITORY / "results" / ".gitkeep", folder / "results")
        shutil.copy2(SMALL, folder / "small.yaml")
        return cls(folder)

    def copy(self, folder: Path) -> "Workflow":
        """Copy it as it stands, results and modification times included."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Workflow(folder)

    def snakemake(
        self,
        *arguments: str,
        code: int = 0,
        config: str | None = "small.yaml",
        environment: dict[str, str] | None = None,
        python: Path | None = None,
    ) -> str:
        """Run Snakemake in the folder.

        Args:
            code: exit code that is right.
            config: config file; None for what the profile or the Snakefile takes.
            environment: variables that are set, besides those of this process.
            python: what runs the jobs' scripts, where it is not the Python of this process.

        Returns:
            What it printed, errors included.
        """
        command = ["-m", "snakemake", *arguments, *(["--configfile", config] if config else [])]
        with tempfile.TemporaryFile("w+") as output:
            code_ = self._run(command, output.fileno(), environment, python)
            output.seek(0)
            told = output.read()
        if code_ != code:
            told = f"{told[-6000:]}\n{self._failed(told)}"
            raise AssertionError(f"snakemake ended with {code_}, not {code}:\n{told}")
        return told

    def _run(self, command: list[str], output: int, environment: dict[str, str] | None, python: Path | None) -> int:
        """Run Python, as a fork where the environment is as usual; its exit code."""
        if environment is None:
            told = {"PYTHONEXECUTABLE": str(python), WARM: "0"} if python else {}  # which forks itself
            return snakemakes().run(command, self.folder, variables() | told, output, 30 * MINUTES)
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env=variables() | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=30 * MINUTES,
            check=False,
        ).returncode

    def plan(self, *arguments: str, config: str | None = "small.yaml") -> set[Job]:
        """The jobs of a dry run."""
        return read_plan(self.snakemake("--dry-run", *arguments, config=config))

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text that a file has exactly once."""
        text = (self.folder / path).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path} has {text.count(old)} times {old!r}"
        (self.folder / path).write_text(text.replace(old, new), encoding="utf-8")

    def configure(self, change: Callable[[dict], object], file: str = "small.yaml") -> None:
        """Change the content of the config, or of another YAML file, in place."""
        path = self.folder / file
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def files(self, under: str = ".") -> set[str]:
        """Paths of all files below a folder, relative to it."""
        top = self.folder / under
        return {path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file()}

    def _failed(self, output: str) -> str:
        logs = sorted(set(re.findall(r"^ +log: (\S+)", output, re.MULTILINE)))
        found = [log for log in logs if (self.folder / log).is_file() and "Error in rule" in output]
        return "\n".join(f"--- {log}\n{(self.folder / log).read_text()[-3000:]}" for log in found[-5:])


def variables() -> dict[str, str]:
    """The environment of a workflow: this process's, with the Python that runs it first on the path, and no network."""
    inherited = {name: os.environ[name] for name in os.environ if name not in ("SNAKEMAKE_PROFILE", "PYTHONPATH")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**inherited, "PATH": path, "HF_HUB_OFFLINE": "1", "WANDB_MODE": "offline"}


@cache
def snakemakes() -> Forks:
    """A process that forks for each run of Snakemake."""
    forks = Forks(IMPORTED, variables())
    atexit.register(forks.close)
    return forks


def read_plan(output: str) -> set[Job]:
    """The jobs that a dry run printed; their number is held against that of its table.

    Raises:
        AssertionError: the output is not understood.
    """
    if "Nothing to be done" in output:
        return set()
    jobs = []
    for block in re.split(r"^(?=(?:local)?(?:rule|checkpoint) \w+:$)", output, flags=re.MULTILINE)[1:]:
        rule = re.match(r"\w+ (\w+):", block)[1]
        fields = dict(re.findall(r"^    (\w+): (.*)$", block, re.MULTILINE))
        wildcards = tuple(value for value in _pairs(fields.get("wildcards", "")).values() if value)
        jobs.append(Job(rule, wildcards, _pairs(fields.get("resources", ""))))
    total = re.search(r"^total +(\d+)$", output, re.MULTILINE)
    assert total, f"no table of jobs in:\n{output[-3000:]}"
    assert len(jobs) == len(set(jobs)) == int(total[1]), f"{len(jobs)} jobs found, {total[1]} in the table:\n{output}"
    return set(jobs)


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split(", ") if pair)


def points_outside(page: str) -> bool:
    """Whether a page's markup, its scripts apart, names a file or an address to load."""
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    return bool(re.search(r"""<[a-z]+ [^>]*(?:src|href)=["'](?!#|data:)""", markup))
