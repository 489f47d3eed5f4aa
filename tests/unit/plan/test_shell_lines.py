"""What comes from a config or from a folder's name reaches scripts as it is, and never a shell."""

import ast
import os
import re
import shlex
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.utils import QuotedFormatter, SequenceFormatter

RULES = Path(__file__).resolve().parents[3] / "rules"
BLOCK = re.compile(r"\n    shell:\n((?:        \".*\n)+)")
LINES = [(path.stem, block) for path in sorted(RULES.glob("*.smk")) for block in BLOCK.findall(path.read_text())]
PLACE = re.compile(r"\{([a-z_.]+)(?:\[\w+\])?(:q)?\}")
# Made by the plan: a launcher without names in it, and arguments that are quoted already.
PREPARED = {"resources.launch", "params.judge", "params.reward", "threads"}
CANARIES = [
    "a; touch canary;",
    "$(touch canary)",
    "`touch canary`",
    "a b",
    "'; touch canary; '",
    "a\ntouch canary",
    "a*&",
]


class Planted(str):
    """A text that is also each of its attributes and items, as Snakemake's lists of inputs and parameters are."""

    def __getattr__(self, name):
        return self

    def __getitem__(self, key):
        return self


def run(line: str, folder: Path) -> list[str]:
    """The arguments that the script of a shell line gets."""
    (folder / "bin").mkdir(exist_ok=True)
    stub = folder / "bin" / "python"
    stub.write_text('#!/bin/sh\nprintf "%s\\0" "$@" > arguments\n')
    stub.chmod(0o755)
    subprocess.run(["bash", "-c", line], cwd=folder, env={"PATH": f"{stub.parent}:{os.environ['PATH']}"}, check=False)
    assert not (folder / "canary").exists(), line
    return (folder / "arguments").read_text().split("\0")[:-1]


@pytest.mark.parametrize(("name", "block"), LINES)
def test_every_value_in_a_shell_line_is_quoted(name, block, tmp_path):
    line = ast.literal_eval(f"({block})")
    assert {place for place, quoted in PLACE.findall(line) if not quoted} <= PREPARED
    formatter = SequenceFormatter(separator=" ", element_formatter=QuotedFormatter())
    for canary in CANARIES:
        value = Planted(canary)
        given = dict.fromkeys(("input", "output", "log", "wildcards"), value)
        for name in ("params", "resources"):
            places = dict.fromkeys(re.findall(rf"{name}\.(\w+)", line), value)
            given[name] = SimpleNamespace(**places | {"launch": "python", "judge": "", "reward": ""})
        found = run(formatter.format(line, threads=1, **given), tmp_path)
        assert found[0].startswith("scripts/") and (canary in found or "clean_state" in line)


def test_arguments_that_the_plan_prepares_are_quoted(small, tmp_path, monkeypatch):
    names = SimpleNamespace(dataset="small", model="tiny", run="dpo", seed=1)
    for canary in CANARIES:
        plan = small()
        plan.settings.entries["reward_models"]["tiny"] = {"path": canary}
        line = plan.reward_arguments("small", "tiny", SimpleNamespace(reward_spec=canary))
        assert run(f"python {line}", tmp_path) == ["--reward-spec", canary, "--reward-model", canary]
        monkeypatch.setattr(type(plan), "judge_kind", lambda self, names: "openai")
        monkeypatch.setattr(type(plan), "judge_of", lambda self, names, judge=canary: judge)
        found = run(f"python {plan.judge_arguments(names, None)}", tmp_path)
        assert found == ["--service", f"config/judges/{canary}/judge.yaml", "--store", "results/judgements"]
    plan.settings.entries["reward_models"]["tiny"] = {"path": "~/a model"}
    assert plan.reward_model_path("small", "tiny") == f"{Path.home()}/a model"
    assert (
        shlex.split(plan.reward_arguments("small", "tiny", SimpleNamespace(reward_spec="s")))[3]
        == f"{Path.home()}/a model"
    )
