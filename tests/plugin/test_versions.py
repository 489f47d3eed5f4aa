"""The plugin says at once that an installed TRL is not one that it works with."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from sail import versions

ROOT = Path(__file__).resolve().parents[2]


def environment(tmp_path, version: str) -> dict:
    """Of a process in which TRL's installed version is another one, its code being as it is."""
    metadata = tmp_path / f"trl-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: trl\nVersion: {version}\n")
    return os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'scripts'}"}


@pytest.mark.parametrize("name", ["from sail import SAILConfig", "import sail.config", "from sail.trainer import x"])
@pytest.mark.parametrize("version", ["1.13.0", "1.17.0"])
def test_another_trl_is_refused_before_it_is_imported(tmp_path, version, name):
    code = f"import sys\ntry:\n    {name}\nfinally:\n    print('trl' in sys.modules)"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, env=environment(tmp_path, version), capture_output=True, text=True, check=False)
    last = ended.stderr.splitlines()[-1]
    told = f"trl {version} is installed: run pip install 'trl>=1.16,<1.17'"
    assert last == f"ImportError: sail works with trl>=1.16,<1.17, and {told}" and ended.stdout == "False\n"


@pytest.mark.parametrize(
    ("version", "is_right"),
    [("1.16.0", True), ("1.16.7", True), ("1.16.0.dev0", False), ("1.16.1.dev0", True), ("1.17.0.dev0", False)],
)
def test_all_releases_of_the_range_are_taken(monkeypatch, version, is_right):
    monkeypatch.setattr(versions, "version", lambda name: {"trl": version}[name])
    if is_right:
        versions.check_trl()
    else:
        with pytest.raises(ImportError, match=re.escape(f"and trl {version} is installed")):
            versions.check_trl()


def test_without_trl_it_is_asked_for(monkeypatch):
    def version(name):
        raise versions.PackageNotFoundError(name)

    monkeypatch.setattr(versions, "version", version)
    with pytest.raises(ImportError, match=r"and trl is not installed: run pip install 'trl>=1\.16,<1\.17'"):
        versions.check_trl()


def test_what_pip_installs_is_what_the_plugin_was_tested_with():
    """The lower bounds are the locked releases, to the minor one, and TRL's range is the one that the import holds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {(found := Requirement(line)).name: found.specifier for line in project["dependencies"]}
    assert needed["trl"] == versions.SpecifierSet(versions.TRL)
    locked = re.findall(r"^([\w-]+)==(\S+)", (ROOT / "envs/requirements.lock").read_text(encoding="utf-8"), re.M)
    for name, specifier in needed.items():
        version = dict(locked)[name]
        [lowest] = [bound.version for bound in specifier if bound.operator == ">="]
        assert version in specifier and lowest == ".".join(version.split(".")[:2]), name
