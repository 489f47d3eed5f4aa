"""`pip install .` gives the plugin to scripts in any folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """from sail import SAILConfig, SAILTrainer
import sail
print(sail.__file__, SAILConfig("out", g=0.3, use_cpu=True).g, SAILTrainer.__name__)
"""


@pytest.mark.slow
def test_the_plugin_is_installed_and_imported_from_another_folder(tmp_path):
    source, target = tmp_path / "source", tmp_path / "installed"
    shutil.copytree(ROOT / "scripts", source / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "install", *offline, "--target", str(target), "."]
    subprocess.run(pip, cwd=source, check=True, capture_output=True, timeout=300)
    shutil.rmtree(source)
    environment = os.environ | {"PYTHONPATH": str(target)}
    command = [sys.executable, "-c", SCRIPT]
    told = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout
    assert told.splitlines()[-1].split() == [str(target / "sail" / "__init__.py"), "0.3", "SAILTrainer"]
    installed = {path.relative_to(target).as_posix() for path in target.glob("sail/*") if path.is_file()}
    assert {"sail/py.typed", "sail/__init__.pyi", "sail/versions.py"} <= installed
    assert not (target / "pipeline").exists() and not (target / "benchmarks").exists()
