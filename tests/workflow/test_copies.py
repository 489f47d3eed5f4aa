"""Results that are copied to another clone, with other dates in any order, are as they were: nothing is to be done."""

import os
import random
import shutil
import time

import pytest
import yaml
from humanfriendly import parse_size

from workflow.snakemake_copy import REPOSITORY, Workflow


@pytest.fixture
def clone(finished, tmp_path):
    """Another clone of the same code, into which results/ and .snakemake/ were copied."""
    clone = Workflow.new(tmp_path / "clone")
    shutil.rmtree(clone.folder / "results")
    for name in ("results", ".snakemake"):
        shutil.copytree(finished.folder / name, clone.folder / name, copy_function=shutil.copyfile)
    return clone


def redate(workflow: Workflow, seed: int) -> None:
    """Give all files and folders dates of the last hour, in no order."""
    rng, now = random.Random(seed), time.time()
    for path in sorted(workflow.folder.rglob("*")):
        moment = now - rng.uniform(0, 3600)
        os.utime(path, (moment, moment))


@pytest.mark.parametrize("seed", [1, 2])
def test_other_dates_make_nothing_stale(clone, seed):
    redate(clone, seed)
    assert clone.plan() == set()
    assert "Nothing to be done" in clone.snakemake()


def test_reversed_dates_make_nothing_stale(clone, finished):
    """What was made last is the oldest."""
    for path in sorted((clone.folder / "results").rglob("*")):
        moment = (finished.folder / path.relative_to(clone.folder)).stat().st_mtime
        os.utime(path, (2 * time.time() - 10_000 - moment,) * 2)
    assert clone.plan() == set()


def test_without_the_profiles_limit_files_above_it_would_be_stale(clone):
    """So that the tests above would fail if large files were known by their dates alone."""
    redate(clone, 1)
    assert clone.plan("--max-checksum-file-size", "1KB")


def test_the_profiles_limit_is_above_any_file():
    value = yaml.safe_load((REPOSITORY / "profiles/default/config.yaml").read_text("utf-8"))["max-checksum-file-size"]
    assert parse_size(value) >= 10**15
