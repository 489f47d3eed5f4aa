"""The data card: histograms whose counts are all there, margins by score where the source has scores."""

from itertools import pairwise

import numpy as np
import pytest
from fixtures_data import plain, prepare, prepare_rows, row, write_jsonl

from pipeline.data.card import histogram


@pytest.mark.parametrize("scale", [1e-3, 0.7, 1, 12345])
def test_a_histogram_counts_every_value_in_round_bins(scale):
    values = scale * np.random.default_rng(0).normal(3, 1, 5000)
    found = histogram({"one": values, "other": values[:100] + scale})
    edges = np.array(found["edges"])
    assert sum(found["one"]) == 5000 and sum(found["other"]) == 100
    assert 8 <= len(found["one"]) <= 22 and len(edges) == len(found["one"]) + 1
    width = np.diff(edges)[0]
    assert np.allclose(np.diff(edges), width)
    assert round(width / 10 ** np.floor(np.log10(width) + 1e-9), 3) in (1, 2, 2.5, 5)
    inside = [int(((values >= low) & (values < high)).sum()) for low, high in pairwise(edges[1:-1])]
    assert found["one"][1:-1] == inside
    assert edges[1] > np.percentile(values, 1) - width and edges[-2] < np.percentile(values + scale, 99.9) + width


def test_equal_values_are_one_bin():
    assert histogram({"x": np.full(7, 3.0)}) == {"edges": [3.0, 4.0], "x": [7]}


def test_lengths_of_messages_are_those_of_their_texts(tmp_path):
    rows = [
        row(number) | {"prompt": [{"role": "user", "content": f"p{number}"}], "chosen": "x" * 7} for number in range(40)
    ]
    _, card = prepare_rows(tmp_path, rows)
    assert card["response_characters"]["chosen"]["mean"] == 7.0


def test_the_margin_is_the_score_difference_of_ultrafeedback(tmp_path):
    rows = [
        {
            "instruction": f"Name fruit {i}.",
            "completions": [{"response": f"{i} {s}", "overall_score": s} for s in (5.0, 5.5, 6.0, 6.0 + i % 4)],
        }
        for i in range(40)
    ]
    _, card = prepare(plain(write_jsonl(tmp_path / "rows.jsonl", rows), source="ultrafeedback"))
    margin = card["histograms"]["margin"]
    assert margin["of"] == "score, chosen minus rejected"
    # highest minus lowest: 1, 2, 3, 4, ten times each
    by_start = {start: count for start, count in zip(margin["edges"], margin["pairs"], strict=False) if count}
    assert sorted(by_start.values()) == [10, 10, 10, 10] and min(by_start) == 1.0


def test_the_margin_is_the_score_difference_of_webgpt(tmp_path):
    rows = [
        {
            "question": {"full_text": f"why {i}?"},
            "answer_0": "a",
            "answer_1": "b",
            "score_0": 0.25 * (-1) ** i,
            "score_1": -0.25 * (-1) ** i,
        }
        for i in range(20)
    ]
    _, card = prepare(plain(write_jsonl(tmp_path / "rows.jsonl", rows), source="webgpt"))
    assert card["histograms"]["margin"] == {"of": "score, chosen minus rejected", "edges": [0.5, 1.5], "pairs": [20]}


def test_else_it_is_the_difference_in_length(tmp_path):
    rows = [row(number) | {"chosen": "x" * 10, "rejected": "y" * (5 + 10 * (number % 2))} for number in range(40)]
    _, card = prepare_rows(tmp_path, rows)
    margin = card["histograms"]["margin"]
    assert margin["of"] == "characters, chosen minus rejected" and margin["pairs"][0] + margin["pairs"][-1] == 40
    assert (margin["edges"][0], sum(margin["pairs"])) == (-5.0, 40)
