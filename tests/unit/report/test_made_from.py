"""What the page says of commits, versions and contents that were not the same for all jobs."""

from pipeline.report.made_from import made_from_section
from pipeline.report.whole_cost import cost_section, thousands
from pipeline.results.pedigree import Job


def job(stage="training", commit="a" * 40, torch="2.13.0", content="00", spec=None, **more):
    record = {"commit": commit, "packages": {"torch": torch}, "inputs": {"data.parquet": content}, "spec": spec or {}}
    record |= {"machine": {"system": "Linux", "cpus": 2}, "finished": "2026-01-01T00:00:00+00:00", "hub": {}}
    return Job(stage, "x", record | more)


def test_one_state_needs_no_note():
    values = made_from_section([job(), job()]).values
    assert values["notes"] == [] and values["facts"]["commit"] == ["a" * 40]
    assert values["command"] == f"git checkout {'a' * 40}\nsnakemake --cores all" and values["config"] == ""
    assert values["hashes"] == [("data.parquet", ["00"])]


def test_what_changed_between_jobs_is_said():
    values = made_from_section([job(), job(commit="b" * 40, torch="2.12.0", content="11")], {"tag": "x"}).values
    assert [note.split()[0] for note in values["notes"]] == ["The", "Not", "Jobs"]
    assert "torch" in values["notes"][1] and "data.parquet" in values["notes"][2]
    assert values["facts"]["versions"] == ["torch 2.13.0 and 2.12.0"]
    assert values["command"] == "snakemake --configfile config.yaml --cores all"
    assert values["config"] == "tag: x\n"


def test_code_that_is_in_no_commit_is_said():
    [note] = made_from_section([job(commit=f"{'a' * 40}-dirty")]).values["notes"]
    assert "-dirty" in note
    outside = made_from_section([job(commit=None)]).values
    assert outside["command"] == "snakemake --cores all" and outside["facts"]["commit"] == ["not in a git repository"]


def test_a_home_folder_is_not_told(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    spec = {"model": {"name": "mine", "path": f"{tmp_path}/models/mine"}}
    values = made_from_section([job(spec=spec, inputs={f"{tmp_path}/models/mine": "00"})]).values
    assert values["parts"]["models"] == {"mine": {"path": "~/models/mine"}}
    assert values["hashes"] == [("~/models/mine", ["00"])]


def test_a_gpu_is_named():
    device = {"type": "cuda", "processes": 4, "description": "NVIDIA A100", "dtype": "bfloat16"}
    [machine] = made_from_section([job(device=device)]).values["facts"]["machine"]
    assert machine == "Linux, 2 CPUs, 4 × NVIDIA A100 in bfloat16"


def test_there_is_no_section_without_records():
    assert made_from_section([]) is None and cost_section([]) is None


def test_counts_are_for_readers():
    assert [thousands(count) for count in (None, 950, 12_340, 4_560_000, 123e9)] == [
        *("–", "950", "12.3 k", "4.56 M", "123 G")
    ]
