"""Records say what a result was made from; their keys change with that, and with nothing else."""

import hashlib
import os
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace

import pytest
from fixtures_models import cpu_device

from pipeline.jobs import records
from pipeline.jobs.io import read_json, write_json
from pipeline.jobs.provenance import SCRIPTS
from pipeline.jobs.records import Record, content_hash, hub_commit, peak_memory_mib, record_path
from pipeline.models.checkpoints import write_manifest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def inputs(tmp_path):
    """A data file, a model folder with its manifest."""
    (tmp_path / "data.parquet").write_bytes(b"rows")
    (tmp_path / "sft" / "model").mkdir(parents=True)
    (tmp_path / "sft" / "model" / "weights").write_bytes(b"weights")
    write_manifest(tmp_path / "sft" / "model", tmp_path / "sft" / "manifest.json")
    return tmp_path


def record(inputs, spec=None, device=None, entries=(), seed=1, **changes) -> Record:
    given = {"data": inputs / "data.parquet", "model": str(inputs / "sft" / "model"), "device": "cpu"}
    given |= {"seed": seed, "output": inputs / "out.csv"} | changes
    device = device or cpu_device()
    return Record("train_sft.py", Namespace(**given), ("data", "model"), ("output",), spec or {}, device, entries)


def test_a_record_names_what_a_result_was_made_from_and_what_it_took(inputs):
    record(inputs, {"name": "x"}).write()
    found = read_json(inputs / "out.provenance.json")
    assert found["spec"] == {"name": "x"} and found["options"] == {"seed": 1}
    assert found["inputs"][str(inputs / "data.parquet")] == hashlib.sha256(b"rows").hexdigest()
    assert len(found["inputs"]) == 2 and found["hub"] == {} and found["outputs"] == [str(inputs / "out.csv")]
    chosen = {"name": "cpu", "type": "cpu", "dtype": "float32", "attention": "sdpa", "processes": 1}
    assert found["device"] == chosen | {"description": "cpu"}
    assert set(found["packages"]) == {"python", *records.PACKAGES} and all(found["packages"].values())
    assert found["seconds"] >= 0 and found["peak_memory_mib"] > 10 and found["peak_device_memory_mib"] is None
    assert found["machine"]["cpus"] and found["commit"] == records.commit() and len(found["code"]) == 16
    record(inputs).write(inputs / "other.json", seconds=12.5)
    assert read_json(inputs / "other.json")["seconds"] == 12.5


def test_a_package_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(records, "PACKAGES", ("numpy", "no-such-package"))
    assert set(records.packages()) == {"numpy"}


def test_records_lie_in_folders_and_beside_files(tmp_path):
    assert record_path(tmp_path) == tmp_path / "provenance.json"
    assert record_path("results/a/eval.parquet").as_posix() == "results/a/eval.provenance.json"


def test_hub_repositories_have_their_commits(inputs, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(inputs / "cache"))
    for folder, revision in (("models--owner--name", "main"), ("datasets--owner--pairs", "v2")):
        (inputs / "cache" / folder / "refs").mkdir(parents=True)
        (inputs / "cache" / folder / "refs" / revision).write_text(COMMIT + "\n")
    entries = [("dataset", {"path": "owner/pairs", "revision": "v2"}), ("model", {"path": "owner/none"})]
    record(inputs, entries=entries, model="owner/name").write()
    assert read_json(inputs / "out.provenance.json")["hub"] == {
        "owner/name": {"kind": "model", "revision": None, "commit": COMMIT},
        "owner/pairs": {"kind": "dataset", "revision": "v2", "commit": COMMIT},
        "owner/none": {"kind": "model", "revision": None, "commit": None},
    }
    assert hub_commit("owner/name", COMMIT[::-1]) == COMMIT[::-1]


def test_a_key_changes_with_what_is_computed_alone(inputs, tmp_path):
    own = record(inputs).key
    assert record(inputs, output=inputs / "elsewhere.csv").key == own
    assert record(inputs, device=replace(cpu_device(), name="other", checkpoint_seconds=1)).key == own
    (inputs / "moved.parquet").write_bytes(b"rows")
    assert record(inputs, data=inputs / "moved.parquet").key == own
    others = {record(inputs, {"name": "x"}).key, record(inputs, seed=2).key, record(inputs, device=cpu_device(2)).key}
    (inputs / "data.parquet").write_bytes(b"other rows")
    others.add(record(inputs).key)
    assert len(others | {own}) == 5


def test_a_manifest_is_believed_only_if_nothing_is_newer(inputs):
    model = inputs / "sft" / "model"
    before = content_hash(model)
    # Were the file read, its hash would be another.
    write_json({"files": {"weights": "0" * 64}}, inputs / "sft" / "manifest.json")
    assert content_hash(model) != before
    os.utime(model / "weights", (2e9, 2e9))
    assert content_hash(model) == before
    (model / "more.provenance.json").write_text("{}")
    assert content_hash(model) == before
    (model / "weights").write_bytes(b"other weights")
    assert content_hash(model) != before


def test_the_commit_says_whether_the_code_differs_from_it(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "SCRIPTS", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert records.commit() is None

    def git(*arguments):
        settings = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", tmp_path, *settings, *arguments], check=True, capture_output=True)

    git("init")
    (tmp_path / "a.py").write_text("1")
    git("add", "a.py")
    git("commit", "-m", "one")
    clean = records.commit()
    assert len(clean) == 40
    (tmp_path / "a.py").write_text("2")
    assert records.commit() == f"{clean}-dirty"


def test_memory_is_that_of_the_process_and_not_of_what_started_it():
    held = bytearray(300 * 2**20)
    held[:: 2**12] = b"x" * len(held[:: 2**12])
    code = "from pipeline.jobs.records import peak_memory_mib; print(peak_memory_mib())"
    asked = [sys.executable, "-c", code]
    own = float(subprocess.run(asked, env={"PYTHONPATH": str(SCRIPTS)}, capture_output=True, check=True).stdout)
    assert peak_memory_mib() > 300 > own > 10
