"""The small config of the workflow's tests, and changes of it."""

import shutil
from pathlib import Path

import pytest
import yaml

from pipeline.config.settings import Settings
from pipeline.plan.files import Plan

REPOSITORY = Path(__file__).resolve().parents[3]
SMALL = REPOSITORY / "tests" / "data" / "small.yaml"


@pytest.fixture
def small(tmp_path):
    """A function from changed keys of the small config, and a judge `mine` where its entry is given, to the plan."""

    def make(mine=None, **changes):
        config = yaml.safe_load(SMALL.read_text(encoding="utf-8")) | changes
        root = REPOSITORY
        if mine:
            root = tmp_path / "root"
            shutil.copytree(REPOSITORY / "config", root / "config")
            (root / "config/judges/mine").mkdir()
            (root / "config/judges/mine/judge.yaml").write_text(yaml.safe_dump(mine), encoding="utf-8")
            config["judge"] = "mine"
        return Plan(Settings.from_config(config, root))

    return make
