"""Files of entries to edit."""

import shutil

import pytest
from fixtures_config import CONFIG


@pytest.fixture
def root(tmp_path):
    """A copy of config/ to edit."""
    shutil.copytree(CONFIG, tmp_path / "config")
    return tmp_path
