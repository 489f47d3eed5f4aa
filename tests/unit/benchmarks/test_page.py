"""The benchmark of the page: texts that are hard to compress, and what it measures."""

import gzip

import numpy as np
import pytest

import benchmark
from benchmarks import page
from benchmarks.texts import LANGUAGES, answers, language
from pipeline.jobs.io import read_json


@pytest.mark.parametrize("name", LANGUAGES)
def test_texts_are_of_their_length_and_none_is_another(name):
    own = language(name)
    texts = answers(own, 40, 1.0, np.random.default_rng(1))
    assert len(set(texts)) == 40
    assert np.mean([len(text) for text in texts]) == pytest.approx(own.characters, rel=0.35)
    content = "\n".join(texts).encode()
    assert 1.8 < len(content) / len(gzip.compress(content, 9)) < 6.5
    again = answers(language(name), 40, 1.0, np.random.default_rng(1))
    assert again == texts


def test_what_was_measured_is_a_table():
    searches = [{"in": "shown", "for": "a rare word", "first": 0.1, "seconds": 0.25, "found": "1 of 5 prompts"}]
    results = {"responses": 1000, "page": {"megabytes": 3.21}, "browser": {"load": 1.04, "searches": searches}}
    table = page.table_of(results)
    assert "| size | 3.2 MB |" in table and "| time to load | 1.0 s |" in table and "1,000 responses" in table
    assert "| search in shown, a rare word | 0.10 s, all of them 0.25 s |" in table


@pytest.mark.slow
def test_a_page_is_measured_in_a_browser(tmp_path):
    pytest.importorskip("chromium").open_browser().quit()
    options = ["--responses", "120", "--runs", "4", "--output", str(tmp_path / "b.json"), "--page"]
    benchmark.main(["page", *options, str(tmp_path / "p.html")])
    found = read_json(tmp_path / "b.json")
    assert found["page"]["megabytes"] == pytest.approx((tmp_path / "p.html").stat().st_size / 1e6)
    assert found["browser"]["load"] > 0
    frequent = [one for one in found["browser"]["searches"] if one["for"] == "a frequent word"]
    assert all(int(one["found"].split()[0]) > 0 for one in frequent) and len(frequent) == 2
