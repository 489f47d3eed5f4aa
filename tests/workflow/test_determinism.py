"""The same config from scratch on the same machine gives the same bytes."""

import shutil

import pytest

from pipeline.jobs.handover import WARM

# Where times, memory or the place of the run stand.
MAY_DIFFER = ("logs/", "benchmarks/", "cost.csv", "figures/cost.svg", "winrate_vs_cost.csv", "report.html")
MAY_DIFFER += ("figures/winrate_vs_cost.svg", "report_excerpt.html")
RECORDS = ("/cost.json", "provenance.json", "/.snakemake_timestamp")


def results(workflow):
    files = workflow.files("results")
    return {path for path in files if not path.startswith(MAY_DIFFER) and not path.endswith(RECORDS)}


@pytest.mark.slow
@pytest.mark.exhaustive
def test_two_runs_from_scratch_give_the_same_bytes(finished, tmp_path):
    again = finished.copy(tmp_path / "again")
    for name in ("results", ".snakemake"):
        shutil.rmtree(again.folder / name)
    (again.folder / "results").mkdir()
    (again.folder / "results/.gitkeep").touch()
    again.snakemake(environment={WARM: "0"})
    assert finished.files("results") == again.files("results")
    compared = results(finished)
    assert len([path for path in compared if path.endswith("model.safetensors")]) == 7
    assert "winrate.csv" in compared and len([path for path in compared if path.endswith(".parquet")]) > 40
    different = {
        path
        for path in compared
        if (finished.folder / "results" / path).read_bytes() != (again.folder / "results" / path).read_bytes()
    }
    assert not different
