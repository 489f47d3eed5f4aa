"""Files for those who find the repository and carry on: they parse, and what they name is there."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from workflow.snakemake_copy import REPOSITORY

from pipeline.config.sweep import METHODS, method_defaults
from pipeline.jobs.parts import all_parts, part_names


def read_yaml(name):
    return yaml.safe_load((REPOSITORY / name).read_text(encoding="utf-8"))


def test_the_catalogs_standard_is_met():
    """Its requirements of workflows with standardized usage."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8").lower()
    assert "snakemake" in readme and "workflow" in readme
    assert (REPOSITORY / "workflow/Snakefile").is_file() and (REPOSITORY / "config/README.md").is_file()
    usage = read_yaml(".snakemake-workflow-catalog.yml")["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert usage["mandatory-flags"]["desc"] and usage["software-stack-deployment"]["conda"] is True
    assert (REPOSITORY / "envs/pipeline.yaml").is_file()


def test_github_runs_what_everyone_runs():
    steps = read_yaml(".github/workflows/ci.yml")["jobs"]["run"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    assert (REPOSITORY / ".ci/run").stat().st_mode & 0o111


def test_the_citation_has_what_its_format_asks_for():
    citation = read_yaml("CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["authors"] == [{"name": "The SAIL pipeline authors"}]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {project['version']}" in changelog and changelog.index("## Unreleased") < changelog.index("## 0")


def test_the_plugin_says_that_it_is_typed():
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    assert (REPOSITORY / "scripts/sail/py.typed").is_file()
    assert settings["tool"]["setuptools"]["package-data"] == {"sail": ["py.typed", "*.pyi"]}
    assert settings["tool"]["mypy"]["files"] == ["scripts/sail"]
    assert re.search(r"^mypy$", (REPOSITORY / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.slow
def test_a_type_checker_knows_the_plugins_arguments(tmp_path):
    lines = {
        'right = SAILConfig("out", g=0.3, estimator="exact")': None,
        'wrong = SAILConfig("out", g="much")': 'Argument "g" to "SAILConfig"',
        'SAILTrainer("model", args=right)': None,
        'SAILTrainer("model", args=3)': 'Argument "args" to "SAILTrainer"',
        "right.online_share.upper()": '"float" has no attribute "upper"',
    }
    script = tmp_path / "script.py"
    script.write_text("\n".join(["from sail import SAILConfig, SAILTrainer", *lines]) + "\n")
    command = [sys.executable, "-m", "mypy", str(script)]
    told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False).stdout
    errors = {int(number): text for number, text in re.findall(r"script\.py:(\d+): error: (.*)", told)}
    assert errors.keys() == {i for i, message in enumerate(lines.values(), 2) if message}, told
    for i, message in enumerate(lines.values(), 2):
        assert message is None or message in errors[i]


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "README.md", "config/README.md", "scripts/sail/README.md"])
def test_paths_that_a_text_names_are_there(name):
    """Paths in code marks that begin with a folder of the repository, and the targets of links."""
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    folders = "config|scripts|rules|tests|profiles|envs|workflow|.ci|.github"
    named = re.findall(rf"`((?:{folders})/[\w./-]+\w/?)`", text)
    linked = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    place = (REPOSITORY / name).parent
    assert not [path for path in named if not (REPOSITORY / path).exists()]
    assert not [path for path in linked if not (place / path).exists()]


def test_names_that_contributors_are_told_are_there():
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    places = {
        "trainer.py": "methods",
        "adapter.py": "sources",
        "text.py": "reward_formats",
        "judge.py": "judge_kinds",
        "generate.py": "backends",
    }
    for module, room in places.items():
        assert f"`scripts/pipeline/{room}`" in text and f"`{module}`" in text
        having = {path.parent.name for path in (REPOSITORY / "scripts/pipeline" / room).glob(f"*/{module}")}
        assert having >= set(part_names(room)) - {"sft", "bon"}  # which train nothing of their own


def test_each_method_has_its_hyperparameters_and_its_sentence_on_cards():
    assert METHODS[:6] == ("sft", "dpo", "ddp", "dpp", "dpr", "mix")
    assert METHODS[6:12] == ("kto", "orpo", "cpo", "online_dpo", "grpo", "rloo")
    assert {"bon", "rft"} <= set(METHODS[12:])
    for name, method in all_parts("methods", "description").items():
        assert ("beta" in method_defaults(name)) == (name not in ("sft", "bon", "rft")) and method.CARD
