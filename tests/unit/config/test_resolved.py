"""The resolved config stands alone, and runs the same."""

from pathlib import Path

import pytest

from pipeline.config.resolved import resolved_config
from pipeline.config.settings import Settings
from pipeline.jobs.io import read_yaml
from pipeline.plan.files import Plan
from pipeline.plan.specs import as_yaml, specs

REPOSITORY = Path(__file__).resolve().parents[3]
CONFIGS = sorted(path for path in (REPOSITORY / "config").glob("*.yaml") if "tasks" in read_yaml(path))


def all_specs(settings):
    return {name: make() for name, make in specs(Plan(settings), {}).items()}


@pytest.mark.parametrize("path", [*CONFIGS, REPOSITORY / "tests/data/small.yaml"], ids=lambda path: path.stem)
def test_it_makes_the_same_specs(path, tmp_path):
    settings = Settings.from_config(read_yaml(path))
    (tmp_path / "again.yaml").write_text(as_yaml(resolved_config(settings)), encoding="utf-8")
    again = Settings.from_config(read_yaml(tmp_path / "again.yaml"))
    assert all_specs(again) == all_specs(settings)


def test_no_entry_of_a_file_is_needed():
    settings = Settings.from_config(read_yaml(REPOSITORY / "config/config.yaml"))
    definitions = resolved_config(settings)["definitions"]
    assert definitions["datasets"]["fair-world"]["size"] == 2992 and definitions["models"]["W1M"]["vocab_size"] == 512
    assert list(definitions["reward_models"]) == ["fair-world"]


def test_where_it_runs_is_no_part_of_it():
    config = read_yaml(REPOSITORY / "config/config.yaml")
    here, there = (resolved_config(Settings.from_config(config | {"device": name})) for name in ("cpu", "a100x4"))
    assert here == there
