"""Calibration of a scored split against numbers derived by hand, and against simulated models; its files."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import measure_calibration
from pipeline.figures.calibration import FIGURES
from pipeline.jobs.io import InputError, read_json, write_parquet
from pipeline.metrics.calibration import (
    MAX_POINTS,
    bin_numbers,
    calibration,
    expected_calibration_error,
    folded,
    prompt_intervals,
    rank_correlation,
    read_scored,
    response_lengths,
)


def scored(margins, prompts=None, chosen=None, rejected=None, probability=None) -> pd.DataFrame:
    """Pairs whose rejected response scores 1, with these margins."""
    margins = np.asarray(margins, dtype=float)
    count = len(margins)
    return pd.DataFrame(
        {
            "prompt_id": [f"p{i}" for i in (range(count) if prompts is None else prompts)],
            "chosen": ["abcd"] * count if chosen is None else chosen,
            "rejected": ["ab"] * count if rejected is None else rejected,
            "chosen_score": 1 + margins,
            "rejected_score": np.ones(count),
            "bt_prob": expit(margins) if probability is None else probability,
        }
    )


def logit(probability):
    return np.log(probability) - np.log1p(-np.asarray(probability))


def test_numbers_by_hand():
    # folded: confidence 0.9 right, 0.9 wrong, 0.7 right, a tie at 0.5
    probability = np.array([0.9, 0.1, 0.7, 0.5])
    result = calibration(scored(logit(probability), probability=probability), resamples=50)
    assert (result["pairs"], result["prompts"], result["ties"]) == (4, 4, 1)
    assert result["accuracy"]["value"] == pytest.approx((1 + 0 + 1 + 0.5) / 4)
    assert result["brier"]["value"] == pytest.approx((0.01 + 0.81 + 0.09 + 0.25) / 4)
    # bins: 0.5 (accuracy ½), 0.7 (accuracy 1), twice 0.9 (accuracy ½)
    assert result["ece"] == pytest.approx((0 + 0.3 + 2 * 0.4) / 4)
    used = {row["low"]: row for row in result["bins"] if row["pairs"]}
    assert {low: row["pairs"] for low, row in used.items()} == {0.5: 1, 0.7: 1, 0.9: 2}
    assert used[0.9]["confidence"] == pytest.approx(0.9) and used[0.9]["accuracy"] == 0.5
    empty = next(row for row in result["bins"] if row["low"] == 0.6)
    assert empty["pairs"] == 0 and empty["accuracy"] is empty["confidence"] is empty["accuracy_low"] is None
    assert result["margin"]["mean"] == pytest.approx(logit(probability).mean())
    assert result["chosen"]["mean_score"] == pytest.approx(1 + logit(probability).mean())
    assert result["chosen"]["mean_length"] == 4 and result["rejected"]["mean_length"] == 2
    assert result["rejected"]["length_correlation"] is None  # all lengths are equal


def test_folding_gives_the_numbers_of_both_orders():
    probability = np.random.default_rng(1).beta(2, 1, 500)
    both = np.concatenate([probability, 1 - probability])
    label = np.repeat([1.0, 0.0], 500)
    result = calibration(scored(logit(probability), probability=probability), resamples=2)
    assert result["brier"]["value"] == pytest.approx(((both - label) ** 2).mean())
    assert result["accuracy"]["value"] == pytest.approx(((both > 0.5) == (label == 1)).mean())
    # the bins of both orders are those of the fold and their mirror images, with mirrored labels
    edges = np.linspace(0, 1, 21)
    number = np.clip(np.digitize(both, edges) - 1, 0, 19)
    gaps = [abs(label[number == i].mean() - both[number == i].mean()) * (number == i).mean() for i in set(number)]
    assert result["ece"] == pytest.approx(sum(gaps), abs=1e-9)


def test_bins_have_their_lower_edges_and_the_last_both():
    assert bin_numbers(np.array([0.5, 0.549, 0.55, 0.95, 0.999, 1.0])).tolist() == [0, 0, 1, 9, 9, 9]
    confidence, outcome = folded(np.array([0.0, 0.5, 1.0, 0.2]))
    assert confidence.tolist() == [1.0, 0.5, 1.0, 0.8] and outcome.tolist() == [0.0, 0.5, 1.0, 0.0]


def test_a_calibrated_model_has_a_small_error_and_one_too_sure_a_large_one():
    generator = np.random.default_rng(0)
    true = generator.normal(0, 2, 20_000)
    # the annotator prefers the first response with probability sigmoid(true margin); chosen is what it prefers
    margins = np.where(generator.random(20_000) < expit(true), true, -true)
    calibrated, sure = (calibration(scored(scale * margins), resamples=50) for scale in (1, 4))
    assert calibrated["ece"] < 0.01 < 0.1 < sure["ece"]
    assert calibrated["accuracy"] == sure["accuracy"]
    assert sure["accuracy"]["value"] == pytest.approx(expit(abs(true)).mean(), abs=0.01)
    assert calibrated["brier"]["value"] < sure["brier"]["value"]
    covered = [row["accuracy_low"] <= row["confidence"] <= row["accuracy_high"] for row in calibrated["bins"]]
    assert sum(covered) >= 8


def test_saturated_probabilities_are_no_trouble():
    result = calibration(scored([800.0, -800.0, 40.0]), resamples=20)
    assert result["bins"][-1]["pairs"] == 3 and result["brier"]["value"] == pytest.approx(1 / 3)


def test_pairs_of_a_prompt_are_drawn_together():
    """Every pair five times under one prompt: the interval is as wide as that of the single pairs."""
    margins = np.random.default_rng(2).normal(0.5, 1, 60)
    single = calibration(scored(margins))
    clustered = calibration(scored(np.repeat(margins, 5), prompts=np.repeat(range(60), 5)))
    apart = calibration(scored(np.repeat(margins, 5)))
    assert clustered["accuracy"] == single["accuracy"]
    width = {name: r["accuracy"]["high"] - r["accuracy"]["low"] for name, r in (("one", clustered), ("five", apart))}
    assert width["five"] < 0.6 * width["one"]


def test_the_interval_is_that_of_the_binomial():
    outcome = np.repeat([1.0, 0.0], [140, 60])[None]
    [[low, high]] = prompt_intervals(outcome, np.ones((1, 200)), np.arange(200))
    error = 1.96 * (0.7 * 0.3 / 200) ** 0.5
    assert low == pytest.approx(0.7 - error, abs=0.012) and high == pytest.approx(0.7 + error, abs=0.012)
    again = prompt_intervals(outcome, np.ones((1, 200)), np.arange(200))
    assert again.tolist() == [[low, high]]
    assert prompt_intervals(outcome, np.ones((1, 200)), np.arange(200), seed=1).tolist() != [[low, high]]


def test_draws_in_pieces_are_the_same_draws(monkeypatch):
    values, prompts = np.random.default_rng(3).random((2, 50)), np.arange(50)
    whole = prompt_intervals(values, np.ones((2, 50)), prompts, resamples=30)
    monkeypatch.setattr("pipeline.metrics.bootstrap.CHUNK_DRAWS", 200)
    assert prompt_intervals(values, np.ones((2, 50)), prompts, resamples=30).tolist() == whole.tolist()


def test_one_prompt_has_no_interval():
    result = calibration(scored([1.0, 2.0], prompts=[0, 0]), resamples=10)
    assert result["accuracy"] == {"value": 1.0, "low": None, "high": None}
    assert calibration(scored([1.0]), resamples=10)["margin"]["sd"] is None


def test_lengths_are_characters_of_text_and_of_messages():
    messages = [{"role": "assistant", "content": "abc"}]
    assert response_lengths(pd.Series(["", "abcd"], dtype=object)).tolist() == [0, 4]
    assert response_lengths(pd.Series([messages, messages * 2], dtype=object)).tolist() == [3, 6]
    texts = ["a" * n for n in (5, 3, 9, 1)]
    result = calibration(scored([5, 3, 9, 1], chosen=texts, rejected=["x"] * 4), resamples=5)
    assert result["chosen"]["length_correlation"] == result["margin"]["length_correlation"] == 1
    assert rank_correlation(np.array([1, 2, 3]), np.array([3, 2, 1])) == -1
    assert rank_correlation(np.array([1, 1]), np.array([1, 2])) is None


def test_empty_bins_do_not_count():
    bins = [{"pairs": 0, "accuracy": None, "confidence": None}, {"pairs": 2, "accuracy": 0.5, "confidence": 0.75}]
    assert expected_calibration_error(bins) == 0.25


# files


def measure(path, folder, *arguments):
    names = ["--dataset", "world", "--reward-model", "rm", "--split", "eval"]
    places = ["--output", str(folder / "eval.json"), "--figures", str(folder / "eval")]
    measure_calibration.main(["--scored", str(path), *names, *places, *arguments])
    return read_json(folder / "eval.json")


def test_the_script_writes_one_json_and_three_figures_twice_the_same(tmp_path):
    margins = np.random.default_rng(0).normal(1, 1, 1000)
    lengths = np.random.default_rng(1).integers(1, 90, 1000)
    write_parquet(scored(margins, chosen=["x" * n for n in lengths]), tmp_path / "scored.parquet")
    result = measure(tmp_path / "scored.parquet", tmp_path / "one")
    assert [result[key] for key in ("dataset", "reward_model", "split")] == ["world", "rm", "eval"]
    assert result["accuracy"]["value"] == pytest.approx((margins > 0).mean())
    measure(tmp_path / "scored.parquet", tmp_path / "two")
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    results = {"eval.json", *(f"eval/{name}.svg" for name in FIGURES)}
    assert {str(file) for file in files} == results | {"eval.provenance.json"}
    for file in map(Path, sorted(results)):
        content = (tmp_path / "one" / file).read_bytes()
        assert content == (tmp_path / "two" / file).read_bytes()
        if file.suffix == ".svg":
            assert ElementTree.fromstring(content).tag.endswith("svg")
    drawing = (tmp_path / "one/eval/lengths.svg").read_text()
    assert 2 * MAX_POINTS <= drawing.count("<path") < 3 * MAX_POINTS, "the file would grow with the split"
    assert len(result["chosen"]["length_points"]) == MAX_POINTS
    assert sum(result["margin"]["histogram"]["counts"]) == 1000 and 0 in result["margin"]["histogram"]["edges"]
    assert f"calibration error {result['ece']:.3f}" in (tmp_path / "one/eval/reliability.svg").read_text()
    assert json.loads((tmp_path / "one/eval.json").read_text()) == result


@pytest.mark.parametrize("margins", [[0.0], [0.0, 0.0, 0.0], [5.0, -3.0]])
def test_few_or_equal_pairs_are_measured_and_drawn(margins, tmp_path):
    write_parquet(scored(margins), tmp_path / "scored.parquet")
    assert measure(tmp_path / "scored.parquet", tmp_path)["pairs"] == len(margins)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("chosen_score", np.nan, r"row 1: chosen_score is .*; it must be a finite number"),
        ("rejected_score", np.inf, r"row 1: rejected_score is .*; it must be a finite number"),
        ("bt_prob", 1.5, r"row 1: bt_prob is .*1.5.*; it must be a number from 0 to 1"),
    ],
)
def test_a_score_that_is_none_is_refused_with_its_row(column, value, message, tmp_path):
    frame = scored([1.0, 2.0, 3.0])
    frame.loc[1, column] = value
    write_parquet(frame, tmp_path / "scored.parquet")
    with pytest.raises(InputError, match=f"{tmp_path}/scored.parquet: {message}"):
        read_scored(tmp_path / "scored.parquet")


def test_a_table_that_was_not_scored_is_refused(tmp_path):
    write_parquet(scored([1.0]).drop(columns="bt_prob"), tmp_path / "scored.parquet")
    with pytest.raises(InputError, match="no column 'bt_prob'"):
        measure(tmp_path / "scored.parquet", tmp_path)
    assert not (tmp_path / "eval.json").exists()
