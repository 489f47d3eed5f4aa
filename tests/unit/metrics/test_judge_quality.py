"""How well a judge agrees with the labels: by hand and by scikit-learn; and what the report makes of it."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

import measure_judge
from pipeline.columns.verdicts import VERDICT_COLUMNS
from pipeline.data.world import POLITE_OPENINGS, all_prompts
from pipeline.jobs.io import InputError, read_json, read_parquet, write_parquet, write_yaml
from pipeline.metrics.judge_quality import MEASURES, judge_quality, kappa_of, positions, sample_pairs
from pipeline.report.judge_quality import read_judge_quality


def verdicts_of(rows) -> pd.DataFrame:
    """Verdicts from (prompt_id, order, preference, len_run, len_baseline), None for a verdict that is not parsed."""
    frame = pd.DataFrame(rows, columns=["prompt_id", "order", "preference", "len_run", "len_baseline"])
    frame["preference"] = frame["preference"].astype("float64")
    frame["status"] = np.where(frame["preference"].isna(), "unparsed", "parsed")
    constants = {"run": "chosen", "seed": 0, "baseline": "rejected", "score_run": 1.0, "score_baseline": 1.0}
    constants |= {"judge": "J", "judge_model": "m", "request_key": ""}
    return frame.assign(**constants)[VERDICT_COLUMNS]


BY_HAND = [
    ("a", "ab", 1.0, 9, 5),  # agrees in both orders
    ("a", "ba", 1.0, 9, 5),
    ("b", "ab", 1.0, 2, 5),  # the first answer shown wins in both orders: a flip
    ("b", "ba", 0.0, 2, 5),
    ("c", "ab", 0.5, 4, 4),  # ties, and equal lengths
    ("c", "ba", 0.5, 4, 4),
    ("d", "ab", 0.0, 1, 7),  # disagrees; the other order was not parsed
    ("d", "ba", None, 1, 7),
    ("e", "ab", 0.5, 8, 3),  # a tie and a win are no flip
    ("e", "ba", 1.0, 8, 3),
]


def test_shares_by_hand():
    measured = judge_quality(verdicts_of(BY_HAND), resamples=200)
    counts = {"pairs": 5, "verdicts": 10, "parsed": 9, "unparsed": 1, "refused": 0, "failed": 0, "ties": 3}
    assert counts.items() <= measured.items()
    value = {name: measured[name]["value"] for name in MEASURES}
    assert value["agreement"] == pytest.approx((1 + 0.5 + 0.5 + 0 + 0.75) / 5)
    assert value["position_bias"] == pytest.approx(1 / 4)
    # decided: a first, a second, b first, b first, d second, e second
    assert value["first_wins"] == pytest.approx(3 / 6)
    # decided with unequal lengths: a and a and e to the longer; b to the shorter, then to the longer; d to the longer
    assert value["length_bias"] == pytest.approx(5 / 6)
    assert value["length_bias_of_labels"] == pytest.approx(2 / 4)
    label = ["first", "second", "first", "second", "first", "second", "first", "first", "second"]
    said = ["first", "second", "first", "first", "tie", "tie", "second", "tie", "second"]
    assert value["kappa"] == pytest.approx(cohen_kappa_score(label, said))
    for name in MEASURES:
        assert measured[name]["low"] <= value[name] <= measured[name]["high"]
    assert json.loads(json.dumps(measured)) == measured


def test_what_there_is_nothing_to_measure_on_is_missing():
    scored = verdicts_of([("a", "none", 1.0, 3, 3), ("b", "none", 0.0, 4, 4)])
    measured = judge_quality(scored, resamples=50)
    assert {name for name in MEASURES if measured[name] is None} == {
        *("position_bias", "first_wins", "length_bias", "length_bias_of_labels")
    }
    assert measured["agreement"]["value"] == 0.5 and measured["kappa"]["value"] == 0
    one = judge_quality(verdicts_of([("a", "ab", 1.0, 3, 1), ("a", "ba", 1.0, 3, 1)]), resamples=50)
    assert one["agreement"] == {"value": 1.0, "low": None, "high": None}
    assert one["kappa"] == {"value": 1.0, "low": None, "high": None}
    none = judge_quality(verdicts_of([("a", "ab", None, 3, 1)]))
    assert none["unparsed"] == 1 and all(none[name] is None for name in MEASURES)


def test_a_judge_that_takes_the_first_answer_agrees_by_chance_alone():
    rows = [(f"p{i}", order, float(order == "ab"), i, 5) for i in range(50) for order in ("ab", "ba")]
    measured = judge_quality(verdicts_of(rows), resamples=100)
    assert measured["position_bias"]["value"] == measured["first_wins"]["value"] == 1
    assert measured["agreement"]["value"] == 0.5 and measured["kappa"]["value"] == 0


def test_the_kappas_of_resamples_are_scikit_learns():
    generator = np.random.default_rng(0)
    for _ in range(20):
        label, said = generator.integers(0, 2, 40) * 2, generator.integers(0, 3, 40)
        table = np.zeros((1, 3, 3))
        np.add.at(table[0], (label, said), 1)
        assert kappa_of(table)[0] == pytest.approx(cohen_kappa_score(label, said, labels=[0, 1, 2]))


def test_intervals_cover_and_narrow():
    """Of a judge that is right with probability 0.7: about 95% of the intervals hold 0.7 (and kappa's 0.4)."""
    hits = {"agreement": 0, "kappa": 0}
    for seed in range(60):
        right = np.random.default_rng(seed).random(150) < 0.7
        measured = judge_quality(
            verdicts_of([(f"p{i}", "none", float(r), 2, 1) for i, r in enumerate(right)]), 300, seed
        )
        for name, truth in (("agreement", 0.7), ("kappa", 0.4)):
            hits[name] += measured[name]["low"] <= truth <= measured[name]["high"]
            assert 0.1 < measured[name]["high"] - measured[name]["low"] < 0.4
    assert all(52 <= count <= 60 for count in hits.values()), hits


def test_verdicts_without_order_count_in_both():
    label, said, prompts = positions(verdicts_of([("a", "none", 1.0, 2, 1), ("b", "ba", 1.0, 2, 1)]))
    assert list(zip(label, said, prompts, strict=True)) == [(0, 0, 0), (2, 2, 0), (2, 2, 1)]


def labelled(count) -> pd.DataFrame:
    prompts = all_prompts()[:count]
    good = [f"{POLITE_OPENINGS[0]} {i}" if i % 3 else "x" for i in range(count)]
    bad = ["I hate this question very much indeed." if i % 3 else POLITE_OPENINGS[0] for i in range(count)]
    return pd.DataFrame(
        {"prompt_id": [f"id{i:03}" for i in range(count)], "prompt": prompts, "chosen": good, "rejected": bad}
    )


def test_the_sample_is_seeded_and_knows_no_order_of_rows():
    pairs = labelled(50)
    first = sample_pairs(pairs, 10, 0)
    assert first.columns.tolist() == ["prompt_id", "prompt", "response", "baseline_response"] and len(first) == 10
    pd.testing.assert_frame_equal(sample_pairs(pairs.iloc[::-1], 10, 0), first)
    assert sample_pairs(pairs, 10, 1)["prompt_id"].tolist() != first["prompt_id"].tolist()
    assert len(sample_pairs(pairs, 500, 0)) == 50
    with pytest.raises(InputError, match="prompt id000 twice"):
        sample_pairs(pd.concat([pairs, pairs.iloc[:1]]), 10, 0)


def test_the_script_measures_and_the_report_reads(tmp_path):
    write_parquet(labelled(40), tmp_path / "pairs.parquet")
    write_yaml({"name": "gold", "kind": "gold"}, tmp_path / "spec.yaml")
    places = {"spec": "spec.yaml", "pairs": "pairs.parquet", "verdicts": "v.parquet", "output": "q.json"}
    places["table"] = "q.csv"
    named = [part for name, file in places.items() for part in (f"--{name}", str(tmp_path / file))]
    measure_judge.main([*named, "--dataset", "world", "--split", "eval", "--sample", "30", "--resamples", "100"])
    measured, verdicts = read_json(tmp_path / "q.json"), read_parquet(tmp_path / "v.parquet", VERDICT_COLUMNS)
    assert len(verdicts) == measured["pairs"] == 30 and set(verdicts["baseline"]) == {"rejected"}
    assert measured["agreement"]["value"] == pytest.approx(verdicts["preference"].mean())
    table = pd.read_csv(tmp_path / "q.csv").set_index("measure")
    assert table.loc["pairs", "value"] == 30 and np.isnan(table.loc["position_bias", "value"])
    assert table.loc["kappa"].to_dict() == pytest.approx(measured["kappa"], abs=1e-5)
    row = read_judge_quality(tmp_path / "q.json")
    assert (row["judge"], row["kind"], row["model"], row["unjudged"]) == ("gold", "gold", "gold", 0)
    assert row["agreement"] == pytest.approx(100 * measured["agreement"]["value"])
    assert row["kappa"] == measured["kappa"]["value"] and row["kappa_low"] == measured["kappa"]["low"]
    assert row["position_bias"] is row["position_bias_low"] is None
    measured.pop("kappa")
    (tmp_path / "q.json").write_text(json.dumps(measured))
    with pytest.raises(InputError, match=r"q.json: no key 'kappa'"):
        read_judge_quality(tmp_path / "q.json")
    assert not any(isinstance(value, float) and math.isnan(value) for value in row.values())
