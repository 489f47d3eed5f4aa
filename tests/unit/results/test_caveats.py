"""What win rates rest on: when each caveat holds, and how it changes what the terminal and captions say."""

import dataclasses
import re
from pathlib import Path

import pandas as pd
import pytest
from fixtures_results import DPO, DPR, build_results

import compute_winrate
import show_winrates
from pipeline.jobs.io import InputError, read_json, write_json
from pipeline.results.caveats import (
    BY_NAME,
    CAVEATS,
    caption,
    claim,
    claims,
    counted,
    notes,
    qualifiers,
    read,
    reasons,
    written,
)
from pipeline.results.limits import coin_like, disagreeing, disagreeing_controls
from pipeline.results.run_table import read_run_table
from pipeline.results.tables import read_table, winrate_table

ROOT = Path(__file__).resolve().parents[3]
QUIET = {"resamples": 50, "refits": 0}


def table_of(folder, seeds=(1, 2, 3), prompts=100, **options):
    return read_run_table(build_results(folder, seeds=seeds, prompts=prompts, **options))


def caveats_of(table, run=DPR, **options):
    """The caveats of a run's rows, each row's."""
    frame = winrate_table(table, **QUIET, **options)
    return frame.loc[frame["run"] == run, "caveats"].tolist()


def test_three_seeds_and_a_hundred_prompts_rest_on_nothing_special(tmp_path):
    frame = winrate_table(table_of(tmp_path), **QUIET)
    assert set(frame["caveats"]) == {""} and frame["p_value_holm"].notna().all()


@pytest.mark.parametrize(("seeds", "name"), [((1,), "one-seed"), ((1, 2), "two-seeds")])
def test_few_seeds(tmp_path, seeds, name):
    frame = winrate_table(table_of(tmp_path, seeds), **QUIET)
    assert set(frame["caveats"]) == {name}
    tests = frame[["p_value", "p_value_holm", "difference_p_value", "difference_p_value_holm"]]
    assert tests.isna().all(axis=None) == (len(seeds) == 1)


def test_few_prompts(tmp_path):
    assert caveats_of(table_of(tmp_path, prompts=99)) == ["few-prompts", "few-prompts"]


@pytest.mark.parametrize(("shared", "name"), [("reward_model", "own-reward"), ("data", "shared-reward-data")])
def test_a_judge_that_is_no_stranger_to_the_run(tmp_path, shared, name):
    table = table_of(tmp_path)
    table.runs[-1] = dataclasses.replace(table.runs[-1], judge_shares=shared)
    assert caveats_of(table) == [name, name] and caveats_of(table, DPO) == [""]
    base = next(i for i, run in enumerate(table.runs) if run.run == DPO)
    table.runs[base] = dataclasses.replace(table.runs[base], judge_shares=shared)
    assert caveats_of(table) == [name, name] and caveats_of(table, DPO) == [name]
    table.runs[-1] = dataclasses.replace(table.runs[-1], judge_shares="")
    assert caveats_of(table) == ["opponent-reward"] * 2


def test_a_judge_like_a_coin(tmp_path):
    paths = []
    for dataset, low in (("world", 0.49), ("other", 0.51), ("third", 0.5)):
        measured = {"dataset": dataset, "agreement": {"value": 0.6, "low": low, "high": 0.7}}
        paths.append(tmp_path / f"{dataset}.json")
        write_json(measured, paths[-1])
    write_json({"dataset": "unmeasured", "agreement": None}, tmp_path / "unmeasured.json")
    of_one_pair = {"dataset": "one", "agreement": {"value": 1.0, "low": None, "high": None}}
    write_json(of_one_pair, tmp_path / "one.json")
    assert coin_like([*paths, tmp_path / "unmeasured.json", tmp_path / "one.json"]) == {"world", "third", "one"}
    table = table_of(tmp_path / "results")
    assert caveats_of(table, coin_like={"world"}) == ["judge-like-a-coin"] * 2 and caveats_of(table) == ["", ""]
    write_json({"dataset": "world"}, tmp_path / "broken.json")
    with pytest.raises(InputError, match=r"broken\.json: no key 'agreement'"):
        coin_like([tmp_path / "broken.json"])


def test_another_number_of_steps(tmp_path):
    table = table_of(tmp_path)
    for seed in table.seeds:
        path = table.runs[-1].files[seed]["cost"]
        write_json(read_json(path) | {"steps": 50}, path)
    assert caveats_of(table) == ["other-steps"] * 2
    assert caveats_of(table, DPO) == [""] and caveats_of(table, "sft") == ["", ""]  # nobody trains it


def test_decodings_that_disagree(tmp_path):
    table = table_of(tmp_path, decodings={"sample": {}, "greedy": {DPR: (0.5, 0.5)}})
    frame = winrate_table(table, **QUIET)
    assert frame["decoding"].tolist() == ["sample"] * 5 + ["greedy"] * 5
    assert disagreeing(frame, DPO) == {("world", "W1M", DPR): {"sample": "better", "greedy": "no clear difference"}}
    assert set(frame.loc[frame["run"] == DPR, "caveats"]) == {"decodings-disagree"}
    assert set(frame.loc[frame["run"] != DPR, "caveats"]) == {""}
    # against a control the decodings agree or not for themselves
    control = frame[(frame["run"] == DPR) & (frame["baseline"] == DPO)].assign(baseline="control")
    assert disagreeing_controls(pd.concat([frame, control]), DPO) == {("world", "W1M", DPR, "control")}
    same = control.assign(win_rate_low=60.0, p_value_holm=0.01)
    assert disagreeing_controls(pd.concat([frame, same]), DPO) == set()
    alike = table_of(tmp_path / "alike", decodings={"sample": {}, "greedy": {}})
    assert set(winrate_table(alike, **QUIET)["caveats"]) == {""}


def test_several_stand_in_one_order_and_unknown_ones_are_left_out():
    cell = written(["few-prompts", "own-reward", "one-seed"])
    assert cell == "own-reward;one-seed;few-prompts"
    assert [caveat.name for caveat in read(f"{cell};of-tomorrow")] == cell.split(";") and read("") == read("nan") == []


@pytest.mark.parametrize("caveat", CAVEATS, ids=lambda caveat: caveat.name)
def test_each_changes_the_words_of_a_claim_and_has_a_reason(caveat):
    def said(cell, better=True):
        return f"DPR {claim(better, cell)} DPO{qualifiers(cell)}"

    assert (said(""), said("", False)) == ("DPR beats DPO", "DPR loses to DPO") and reasons("") == ""
    assert caveat.words in said(caveat.name) and caveat.words in said(caveat.name, False)
    assert ("beats" in said(caveat.name)) == (not caveat.circular)
    assert reasons(caveat.name) == caveat.reason
    several = counted([caveat.name, ""])
    assert several == f", 1 of them {caveat.words}" and claims([caveat.name, ""]) == "beat"
    assert counted([caveat.name] * 2) == f", {caveat.many or caveat.words}"


def test_claims_by_their_own_reward_model():
    cell = "own-reward;one-seed;few-prompts"
    words = f"DPR {claim(True, cell)} DPO{qualifiers(cell)}"
    assert words == "DPR scores higher by its own reward model than DPO in one training, on fewer than 100 prompts"
    assert f"DPR {claim(False, cell)}".startswith("DPR scores lower by its own reward model than")
    several = f"2 of 2 runs {claims([cell, cell])} DPO{counted([cell, cell])}"
    assert several.startswith("2 of 2 runs score higher than DPO, by their own reward model, in one training each, on")


def test_notes_name_the_runs_where_not_all_are_meant():
    rows = [{"run": name, "caveats": "one-seed" + ";few-prompts" * (name == "b")} for name in "abb"]
    assert [line.split(":")[0] for line in notes(rows)] == ["one-seed (all runs)", "few-prompts (b)"]
    many = [{"run": f"r{i}", "caveats": "one-seed" if i else ""} for i in range(10)]
    assert notes(many)[0].startswith("one-seed (r1, r2, r3, r4, r5, r6 and 3 more): one seed")


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A win-rate table, as the script writes it, of one seed, few prompts, a judge like a coin, and two decodings."""
    folder = tmp_path_factory.mktemp("limited")
    runs = build_results(folder, seeds=(1,), prompts=40, decodings={"sample": {}, "greedy": {DPR: (0.5, 0.5)}})
    write_json({"dataset": "world", "agreement": {"value": 0.5, "low": 0.4, "high": 0.6}}, folder / "judge.json")
    arguments = ["--runs", str(runs), "--judges", str(folder / "judge.json"), "--output", str(folder / "winrate.csv")]
    compute_winrate.main([*arguments, "--resamples", "50", "--refits", "0"])
    return folder / "winrate.csv"


def test_the_table_as_written_has_them(limited):
    frame = read_table(limited)
    common = "judge-like-a-coin;one-seed;few-prompts"
    assert set(frame.loc[frame["run"] == "sft", "caveats"]) == {common}
    assert set(frame.loc[frame["run"] == DPR, "caveats"]) == {f"{common};decodings-disagree"}
    assert frame["decoding"].unique().tolist() == ["sample", "greedy"] and frame["p_value"].isna().all()


def test_the_terminal_says_what_the_rates_rest_on(limited, capsys):
    show_winrates.main([str(limited)])
    told = capsys.readouterr().out
    [header] = [line for line in told.splitlines() if line.startswith("decoding ")]
    assert header.split()[:2] == ["decoding", "run"] and header.endswith("rests on")
    assert "judge-like-a-coin, one-seed, few-prompts" in told
    assert f"decodings-disagree ({DPR}): under another decoding it comes out otherwise." in told
    assert f"one-seed (all runs): {BY_NAME['one-seed'].reason}." in told


def test_captions_say_it_in_their_own_markup(limited, tmp_path):
    docutils = pytest.importorskip("docutils.core", reason="Snakemake brings docutils")
    text = caption(limited)
    body = docutils.publish_parts(text, writer="html", settings_overrides={"halt_level": 2})["body"]
    words = " ".join(re.sub(r"<[^>]+>", " ", body).split())
    assert "What the numbers rest on:" in words and f"decodings-disagree ({DPR}): under another" in words
    assert caption(tmp_path / "nowhere.csv") == ""
    pd.DataFrame([{"run": "my_*run*", "caveats": "one-seed"}, {"run": "b", "caveats": ""}]).to_csv(tmp_path / "w.csv")
    assert r"one-seed (my\_\*run\*)" in caption(tmp_path / "w.csv")


def test_the_guide_describes_each():
    guide = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    assert [caveat.name for caveat in CAVEATS if f"| `{caveat.name}` | {caveat.when} |" not in guide] == []
