"""Verdicts of others, read into one shape and made into tables and the report's page."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fixtures_data import write_jsonl
from pages import embedded

import render_report
from pipeline.exchange.rows import Row, read_rows
from pipeline.exchange.tables import OTHERS, table_of_others, winrates_of_others
from pipeline.exchange.votes import read_votes
from pipeline.jobs.io import InputError, write_parquet

REAL = Path(__file__).resolve().parents[4] / "shared" / "alpaca_eval"
GPT = "gpt4_turbo"


def votes(rows):
    return read_votes([Row(f"f: row {number}", row) for number, row in enumerate(rows)])


def refused(*rows):
    with pytest.raises(InputError) as caught:
        votes(rows)
    return str(caught.value)


def annotation(i, preference=2.0, model="mine"):
    outputs = {"output_1": f"reference {i}", "output_2": f"{model} says {i}"}
    names = {"generator_1": GPT, "generator_2": model, "annotator": "gpt-4"}
    return {"instruction": f"Do {i}?", **outputs, **names, "preference": preference}


def battle(i, a="x", b="y", winner="model_a"):
    said = {
        f"conversation_{side}": [
            {"role": "user", "content": f"Question {i}?"},
            {"role": "assistant", "content": f"{model} answers {i}."},
        ]
        for side, model in (("a", a), ("b", b))
    }
    return {"question_id": f"q{i}", "model_a": a, "model_b": b, "winner": winner, **said}


def test_alpaca_evals_preference_is_of_the_second_output():
    given = [2.0, 1.0, 1.5, 0, 1.25, None]
    found = votes([annotation(i, preference) for i, preference in enumerate(given)])
    assert found.frame["preference"].tolist()[:5] == [1.0, 0.0, 0.5, 0.5, 0.25]
    assert math.isnan(found.frame["preference"].iloc[5])
    assert set(found.frame["run"]) == {"mine"} and set(found.frame["baseline"]) == {GPT}
    assert found.frame["len_run"].tolist() == [len("mine says 0")] * 6 and len(found.answers) == 12
    assert found.frame["judge"].unique().tolist() == ["gpt-4"]


def test_arenas_winner_is_of_the_first_model():
    winners = ["model_a", "model_b", "tie", "tie (bothbad)", "both_bad"]
    found = votes([battle(i, winner=winner) for i, winner in enumerate(winners)] + [battle(9, "x", "x")])
    assert found.frame["preference"].tolist() == [1.0, 0.0, 0.5, 0.5, 0.5] and found.battles
    assert found.frame["prompt_id"].tolist() == [f"q{i}" for i in range(5)]
    assert found.answers[0].prompt == "Question 0?" and found.answers[0].response == "x answers 0."


def test_votes_without_ids_of_their_own_are_told_apart():
    rows = [battle(1), battle(1)]
    assert votes(rows).frame["prompt_id"].nunique() == 2


def test_arena_hards_games_have_the_baseline_first_and_then_the_model():
    row = {"uid": "u", "model": "mine", "baseline": "o3", "judge": "g"}
    games = [{"score": "B>>A"}, {"score": "A=B"}]
    assert votes([row | {"games": games}]).frame["preference"].tolist() == [1.0, 0.5]
    assert votes([row | {"games": [{"score": "A>B"}, {"score": "A>B"}]}]).frame["preference"].tolist() == [0.0, 1.0]
    found = votes([row | {"games": [{"score": None}, {"score": "B>A"}]}]).frame
    assert (
        math.isnan(found["preference"][0]) and found["preference"][1] == 0 and found["order"].tolist() == ["ba", "ab"]
    )


def test_rows_at_fault_are_named():
    assert "f: row 1: preference is 3" in refused(annotation(0), annotation(1, 3))
    assert "f: row 0: preference is 'x'" in refused(annotation(0, "x"))
    assert "winner is 'x'" in refused({"model_a": "a", "model_b": "b", "winner": "x"})
    assert "is 'A?B', not such as A>B" in refused(
        {"uid": "u", "model": "m", "baseline": "b", "games": [{"score": "A?B"}]}
    )
    plain = {"run": "a", "baseline": "b", "prompt_id": "p", "preference": 1}
    assert "preference is 2; it must be 0 to 1" in refused(plain | {"preference": 2})
    assert "there is no run" in refused(plain, plain | {"run": None})
    assert "seed is 1.5" in refused(plain | {"seed": 1.5})
    assert "has the keys a; verdicts have generator_1" in refused({"a": 1})


def test_ratings_are_of_the_votes_as_they_were_given_and_the_reference_is_zero(tmp_path):
    rows = [battle(i, "x", "y", "model_a" if i % 4 else "model_b") for i in range(40)]
    rows += [battle(40 + i, "z", "y", "tie") for i in range(10)]
    found = votes(rows)
    table = table_of_others(found, [], "votes.jsonl", tmp_path, "y")
    assert sorted(run.run for run in table.runs) == ["x", "y", "z"] and table.common == OTHERS
    assert {run.run: run.baselines for run in table.runs} == {"x": [OTHERS, "y"], "y": [OTHERS], "z": [OTHERS, "y"]}
    frame = winrates_of_others(table, found, tmp_path, 50, 0, 5).set_index(["run", "baseline"])
    assert frame.loc[("x", OTHERS), "win_rate"] == 75 and frame.loc[("y", OTHERS), "win_rate"] == 100 * 15 / 50
    assert frame.loc[("x", "y"), "rating"] == pytest.approx(math.log(3), abs=1e-3)
    assert frame.loc[("y", OTHERS), "rating"] == 0 and abs(frame.loc[("z", "y"), "rating"]) < 1e-3
    assert frame[["difference", "lc_win_rate"]].isna().all(axis=None)
    assert frame["rating_low"].notna().all()
    # nobody trains here, so a test is over prompts alone
    assert frame.loc[("x", OTHERS), "p_value_holm"] < 0.05 < frame.loc[("z", "y"), "p_value_holm"]
    assert set(frame["caveats"]) == {"made-elsewhere;few-prompts"}


def test_what_the_verdicts_do_not_have_is_refused_by_name(tmp_path):
    rows = [annotation(0), annotation(1)]
    with pytest.raises(InputError, match=r"no verdicts on 'gpt' in a\.json; there are mine, gpt4_turbo"):
        table_of_others(votes(rows), [], "a.json", tmp_path, "gpt")
    with pytest.raises(InputError, match="a second verdict with run mine"):
        table_of_others(votes([*rows, rows[0]]), [], "a.json", tmp_path)
    plain = {"run": "a", "baseline": "b", "prompt_id": "p", "preference": 1, "seed": 1}
    with pytest.raises(InputError, match="a has none with seed 1 against c"):
        table_of_others(votes([plain, plain | {"baseline": "c", "seed": 2}]), [], "a.json", tmp_path)


def sections(page):
    return re.findall(r'<section id="([\w-]+)">', page)


def rendered(tmp_path, *arguments):
    output = tmp_path / "report.html"
    render_report.main([*map(str, arguments), "--output", str(output)])
    return output.read_text()


def test_the_page_of_annotations_has_what_they_can_show(tmp_path, capsys):
    rows = [annotation(i, 1.9 if i % 3 else 1.2) for i in range(30)]
    rows += [annotation(i, 1.1 if i % 3 else 1.8, "other") for i in range(30)]
    (tmp_path / "annotations.json").write_text(json.dumps(rows))
    page = rendered(tmp_path, "--verdicts", tmp_path / "annotations.json")
    assert {"answer", "leaderboard", "results", "slices", "bad-answers", "responses", "method"} <= set(sections(page))
    assert not {"rewards", "training", "cost", "data", "made-from"} & set(sections(page))
    assert "Left out: rewards, KL, learning curves, costs" in page and "lengths are not known" not in page
    assert "AlpacaEval&#39;s annotations alone, annotations.json" in page
    assert capsys.readouterr().out.startswith("Made from AlpacaEval's annotations alone")
    index = embedded(page, "responses-index")
    assert [column["run"] for column in index["groups"][0]["columns"]] == ["mine", "other", GPT]
    rows = embedded(page, "results-table")["rows"]
    rates = {row["run"]: row["win_rate"] for row in rows if not row["seeded"]}
    expected = {"mine": 100 * (0.9 * 20 + 0.2 * 10) / 30, "other": 100 * (0.1 * 20 + 0.8 * 10) / 30}
    assert rates == pytest.approx(expected, rel=1e-4)


def test_responses_come_from_files_of_their_own_and_without_any_the_page_says_so(tmp_path):
    plain = [{"run": "mine", "baseline": GPT, "prompt_id": f"p{i}", "preference": i % 2} for i in range(20)]
    write_jsonl(tmp_path / "verdicts.jsonl", plain)
    page = rendered(tmp_path, "--verdicts", tmp_path / "verdicts.jsonl")
    assert not {"responses", "slices", "bad-answers", "tradeoffs"} & set(sections(page))
    assert "as lengths are not known" in page and "responses, as not all runs have some" in page
    given = [{"prompt_id": f"p{i}", "prompt": f"Do {i}?", "response": "a" * (i + 1)} for i in range(20)]
    write_jsonl(tmp_path / "mine.jsonl", given)
    write_jsonl(tmp_path / "gpt.jsonl", [row | {"run": GPT, "response": "b"} for row in given])
    files = tmp_path / "mine.jsonl", tmp_path / "gpt.jsonl"
    page = rendered(tmp_path, "--verdicts", tmp_path / "verdicts.jsonl", "--responses", *files)
    assert {"responses", "slices", "bad-answers"} <= set(sections(page)) and "lengths are not known" not in page
    write_jsonl(tmp_path / "wrong.jsonl", [{"prompt": "Another?", "response": "a"}])
    with pytest.raises(InputError, match="no response is to a prompt of the verdicts"):
        rendered(tmp_path, "--verdicts", tmp_path / "verdicts.jsonl", "--responses", tmp_path / "wrong.jsonl")


def test_the_page_of_votes_has_a_leaderboard_of_all_models(tmp_path):
    generator = np.random.default_rng(0)
    pairs = [generator.choice(["x", "y", "z"], 2, replace=False) for _ in range(60)]
    rows = [battle(i, a, b, "model_a" if a < b else "model_b") for i, (a, b) in enumerate(pairs)]
    write_jsonl(tmp_path / "votes.jsonl", rows)
    page = rendered(tmp_path, "--verdicts", tmp_path / "votes.jsonl", "--reference", "y")
    board = page.split('id="leaderboard"')[1].split("</table>")[0]
    assert re.findall(r'<th scope="row">(\w)</th>', board) == ["x", "y", "z"]


def test_either_runs_or_verdicts_are_given(tmp_path, capsys):
    for arguments in ([], ["--runs", "runs.yaml"], ["--runs", "runs.yaml", "--verdicts", "v.json"]):
        with pytest.raises(SystemExit):
            render_report.main([*arguments, "--output", str(tmp_path / "report.html")])
    assert "--winrate and --cost go with --runs" in capsys.readouterr().err


@pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared with AlpacaEval's verdicts")
def test_published_win_rates_come_out_of_published_verdicts(tmp_path):
    real = pd.read_parquet(REAL / "verdicts.parquet")
    names = {"run": real["model"], "baseline": GPT, "prompt_id": real["i"].astype(str)}
    lengths = {"len_run": real["len_2"], "len_baseline": real["len_1"]}
    write_parquet(pd.DataFrame({**names, "preference": real["preference"] - 1, **lengths}), tmp_path / "v.parquet")
    found = read_votes(read_rows(tmp_path / "v.parquet"))
    table = table_of_others(found, [], "v.parquet", tmp_path)
    frame = winrates_of_others(table, found, tmp_path, 50, 0, 2).set_index("run")
    published = pd.read_csv(REAL / "published.csv", index_col=0)
    for name, row in published.iterrows():
        assert frame.loc[name, "win_rate"] == pytest.approx(row["win_rate"], abs=0.01)
        assert frame.loc[name, "win_rate_se"] == pytest.approx(row["standard_error"], abs=0.01)
        assert frame.loc[name, "lc_win_rate"] == pytest.approx(row["length_controlled_winrate"], abs=3)
