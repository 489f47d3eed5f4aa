"""Configs of the tests, what is refused in them and how, and files of entries to edit."""

import copy

import pytest
import yaml

from pipeline.config.settings import ROOT, ConfigError, Settings

CONFIG = ROOT / "config"
MINIMAL = {
    "tag": "test",
    "datasets": ["world"],
    "models": ["W1M"],
    "seeds": [1],
    "tasks": [{"method": "sft"}, {"method": "dpo"}, {"method": "dpr", "g": [0.3], "gamma": 0.3}],
}
PLAIN = {"source": "plain", "path": "data/mine", "eval_share": 0.1, "reward_model": "deberta", "judge": "reward"}


def settings(**changes) -> Settings:
    """The settings of MINIMAL with changes by key."""
    return Settings.from_config({**copy.deepcopy(MINIMAL), **changes})


def refusal(**changes) -> str:
    """The error that MINIMAL with changes gives."""
    with pytest.raises(ConfigError) as caught:
        settings(**changes)
    return str(caught.value)


def with_task(**task) -> str:
    """The error that MINIMAL with another third task gives."""
    return refusal(tasks=[{"method": "sft"}, {"method": "dpo"}, task])


def shown(message):
    """The YAML that an error shows as right."""
    text = message.split("This would be right, for example:\n")[1].split("\n(")[0]
    return yaml.safe_load(text)


def edit(root, file, change):
    """Change the content of a YAML file below config/ in place."""
    path = root / "config" / file
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))
