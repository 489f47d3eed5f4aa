"""The README's numbers and picture are those of the table beside it, and that is made of a run's tables."""

import re
import shutil

import pandas as pd
import pytest
from fixtures_results import DPO, DPR, build_results

import write_readme
from pipeline.jobs.io import InputError, write_csv
from pipeline.report.readme import TABLES, draw, markdown, marks, read_small, shrunk, with_table
from pipeline.results.run_table import read_run_table
from pipeline.results.tables import cost_table, read_table, winrate_table

README = write_readme.README.read_text(encoding="utf-8")
TABLE, PICTURE = write_readme.FOLDER / "winrate.csv", write_readme.FOLDER / "winrate.png"


@pytest.mark.parametrize("table", TABLES)
def test_the_readme_has_the_numbers_of_its_tables(table):
    small = read_small(write_readme.FOLDER / f"{table}.csv")
    assert with_table(README, small, table) == README, "run python scripts/write_readme.py"
    assert len(markdown(small).splitlines()) == small["run"].nunique() + 2 and f"`.github/{table}.csv`" in README
    write_readme.main(["--check"])


def test_what_its_text_says_of_gains_are_differences_of_the_table():
    small = read_small(TABLE)
    section = README.split(marks("winrate")[1])[1].split("\n## ")[0]
    gains = {int(gain) for gain in re.findall(r"(\d+)(?: points)? over", section)}
    assert gains <= {round(abs(value)) for value in small["difference"].dropna()}


def test_the_picture_is_that_of_the_table(tmp_path):
    small = read_small(TABLE)
    draw(small, tmp_path / "picture.svg")
    text = (tmp_path / "picture.svg").read_text(encoding="utf-8")
    for rate in small.loc[small["control"] == 0, "win_rate"]:
        assert f">{number_of(rate)}<" in text
    draw(small, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes() == PICTURE.read_bytes(), "run scripts/write_readme.py"


def number_of(rate):
    """As the drawing writes it: half a tenth goes up."""
    return f"{int(rate * 10 + 0.5) / 10:.1f}"


@pytest.fixture
def tables(tmp_path):
    table = read_run_table(build_results(tmp_path / "results", prompts=10))
    write_csv(winrate_table(table, resamples=20, refits=0), tmp_path / "winrate.csv")
    write_csv(cost_table(table), tmp_path / "cost.csv")
    return tmp_path


@pytest.mark.parametrize("table", TABLES)
def test_one_command_makes_the_table_of_a_run_and_writes_both_anew(tables, monkeypatch, table):
    folder, readme = tables / ".github", tables / "README.md"
    folder.mkdir()
    for name in TABLES:
        shutil.copy(write_readme.FOLDER / f"{name}.csv", folder)
    monkeypatch.setattr(write_readme, "README", readme)
    monkeypatch.setattr(write_readme, "FOLDER", folder)
    readme.write_text(README, encoding="utf-8")
    given = ["--winrate", str(tables / "winrate.csv"), "--cost", str(tables / "cost.csv")]
    write_readme.main([*given, "--table", table])
    small, text = read_small(folder / f"{table}.csv"), readme.read_text(encoding="utf-8")
    text = text.split(marks(table)[0])[1].split(marks(table)[1])[0]
    found = read_table(tables / "winrate.csv")
    assert small["win_rate"].tolist() == found["win_rate"].tolist() and small["called"].iloc[-1] == "DPR, g 0.3, γ 0.3"
    line = next(line for line in text.splitlines() if line.startswith("| DPR, g 0.3"))
    chosen = found[(found["run"] == DPR) & (found["baseline"] == "chosen")].iloc[0]
    assert f"| {chosen['win_rate']:.1f} [" in line and line.endswith("| 2.0 |")
    other = next(name for name in TABLES if name != table)
    assert (folder / f"{other}.csv").read_bytes() == (write_readme.FOLDER / f"{other}.csv").read_bytes()
    assert (folder / "winrate.png").stat().st_size > 5_000
    whole = readme.read_text(encoding="utf-8")
    readme.write_text(whole.replace(text, text.replace(f"| {chosen['win_rate']:.1f} [", "| 99.9 [")), encoding="utf-8")
    with pytest.raises(InputError, match=r"numbers are not those of"):
        write_readme.main(["--check"])
    with pytest.raises(InputError, match="go together"):
        write_readme.main(given[:2])


def test_runs_of_another_table_are_controls_and_faults_are_named(tables):
    winrate, cost = read_table(tables / "winrate.csv"), read_table(tables / "cost.csv")
    more = pd.concat([winrate, winrate[winrate["run"] == DPO].assign(run="dpo-longer")])
    small = shrunk(winrate, cost, more)
    assert small.loc[small["control"] == 1, "run"].tolist() == ["dpo-longer"]
    assert "| * dpo-longer |" in markdown(small)
    kinds = {"steps_like_dpr": "as many steps as DPR", "rollout_policy_start": "pairs of the SFT model"}
    named = pd.concat([winrate, *(winrate[winrate["run"] == DPO].assign(run=f"{DPO}-{kind}") for kind in kinds)])
    told = dict.fromkeys(shrunk(winrate, cost, named).loc[lambda rows: rows["control"] == 1, "called"])
    assert list(told) == [f"DPO, {text}" for text in kinds.values()]
    names = {"ipo-beta0.5": "IPO, β 0.5", "iterated_dpo-n4": "ITERATED DPO, n 4", "other-run": "other-run"}
    called = pd.concat([winrate, *(winrate[winrate["run"] == DPO].assign(run=name) for name in names)])
    assert set(names.values()) <= set(shrunk(called, cost)["called"])
    both = pd.concat([winrate.assign(decoding=name) for name in ("sample", "greedy")])
    beside = markdown(shrunk(both, cost)).splitlines()
    assert beside[0].count("greedy: against") == beside[0].count("sample: against") == 2
    assert beside[0].count("|") == beside[2].count("|") == 9
    with pytest.raises(InputError, match="2 datasets and models"):
        shrunk(pd.concat([winrate, winrate.assign(dataset="other")]), cost)
    with pytest.raises(InputError, match="the table must stand between"):
        with_table("# A README", small, "winrate")
    (tables / "bad.csv").write_text("run,method\n")
    with pytest.raises(InputError, match="no column 'decoding'"):
        read_small(tables / "bad.csv")
