"""Named parts of verdicts: the gold judge's, and those that a language model is asked for."""

import json

import pytest
from fixtures_endpoint import Endpoint, completion, grade, material
from fixtures_judges import make_judge, pairs

from pipeline.columns.verdicts import PART_COLUMNS, VERDICT_COLUMNS
from pipeline.data.fair_world import PARTS, gold_parts, gold_score
from pipeline.jobs.io import read_parquet, write_parquet
from pipeline.judge_kinds.gold.judge import judge as gold_judge
from pipeline.judges.parsing import parse_parts, parse_scores
from pipeline.judges.requests import body, make_request

SCALE, NAMES = [1.0, 10.0], ["facts", "tone"]
NONE = {"facts": None, "tone": None}


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (
            '{"reasons": "", "parts": {"facts": "A", "tone": "tie"}, "score_a": 2, "score_b": 1}',
            {"facts": 1, "tone": 0.5},
        ),
        ('{"parts": {"facts": "B"}, "score_a": 2, "score_b": 1}', {"facts": 0, "tone": None}),
        ('{"parts": {"facts": "a", "tone": 7, "more": "A"}, "score_a": 2, "score_b": 1}', NONE),
        ('{"parts": "A", "score_a": 2, "score_b": 1}', NONE),
        ('{"score_a": 2, "score_b": 1}', NONE),
        ('Well.\nPARTS: {"facts": "A", "tone": "B"}\nSCORES: A=2 B=1', {"facts": 1, "tone": 0}),
        ('<think>\nPARTS: {"facts": "B"}</think>\nWell.\nSCORES: A=2 B=1', NONE),
        ('PARTS: {"facts": "A", "facts": "B"}\nSCORES: A=2 B=1', NONE),
        ('PARTS: {"facts": "A"}\nWell.\nSCORES: A=2 B=1', NONE),
    ],
)
def test_parts_are_read_where_they_are_in_the_form_asked_for_and_missing_else(content, parts):
    assert parse_scores(content, "pairwise", SCALE, True) == (2, 1)
    first, second = parse_parts(content, "pairwise", SCALE, NAMES)
    assert first == parts
    assert second == {name: None if value is None else 1 - value for name, value in parts.items()}


def test_parts_of_a_single_grade_are_scores_on_the_scale():
    content = '{"reasons": "", "parts": {"facts": 7, "tone": 11}, "score": 3}'
    assert parse_parts(content, "single", SCALE, NAMES) == ({"facts": 7.0, "tone": None},)
    assert parse_scores(content, "single", SCALE, True) == (3,)
    assert parse_scores(content, "single", SCALE) is None  # parts that nobody asked for


def test_a_judge_without_parts_asks_as_it_did():
    spec, _ = make_judge("PP")
    asked = body("text", spec | {"parts": NAMES}, True)
    schema = asked["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == ["reasons", "parts", "score_a", "score_b"]
    assert schema["properties"]["parts"]["required"] == NAMES
    assert "facts, tone" in asked["messages"][0]["content"]
    plain = body("text", spec, True)
    assert "parts" not in json.dumps(plain)
    keys = {make_request("p", {"answer_a": "x", "answer_b": "y"}, one).key for one in (spec, spec | {"parts": NAMES})}
    assert len(keys) == 2


def test_parts_are_the_runs_and_the_baselines_in_both_orders(judge, tmp_path):
    table = pairs(3)

    def answer(call):
        scores = [grade(material(call.text, f"answer {name}")) for name in "AB"]
        parts = {"facts": "tie" if scores[0] == scores[1] else "AB"[scores[1] > scores[0]]}
        return completion(json.dumps({"reasons": "", "parts": parts, "score_a": scores[0], "score_b": scores[1]}))

    with Endpoint(answer) as server:
        verdicts = judge(server, table, parts=NAMES)
    assert list(verdicts.columns) == VERDICT_COLUMNS + PART_COLUMNS and set(verdicts["order"]) == {"ab", "ba"}
    write_parquet(verdicts, tmp_path / "verdicts.parquet")
    for _, row in read_parquet(tmp_path / "verdicts.parquet").iterrows():
        assert row["parts_run"] == {"facts": row["preference"], "tone": None}
        assert row["parts_baseline"] == {"facts": 1 - row["preference"], "tone": None}


def test_the_gold_judge_of_the_second_edition_gives_the_parts_of_both(tmp_path):
    prompts = ["What is the colour of the lemon?", "Tell me the use of the saw."]
    table = pairs(2).assign(
        prompt=prompts, response=["The lemon is yellow.", "Of course."], baseline_response="Lemons."
    )
    names = {"run": "dpr", "seed": 1, "baseline": "chosen"}
    verdicts = gold_judge(table, {"name": "G", "kind": "gold", "edition": 2}, None, **names)
    write_parquet(verdicts, tmp_path / "verdicts.parquet")
    read = read_parquet(tmp_path / "verdicts.parquet")
    assert list(read.columns) == VERDICT_COLUMNS + PART_COLUMNS
    assert read["parts_run"].tolist() == [gold_parts(*pair) for pair in zip(prompts, table["response"], strict=True)]
    assert list(read["parts_baseline"][0]) == list(PARTS)
    assert read["score_run"].tolist() == [gold_score(*pair) for pair in zip(prompts, table["response"], strict=True)]
    assert list(gold_judge(table, {"name": "G", "kind": "gold"}, None, **names).columns) == VERDICT_COLUMNS
