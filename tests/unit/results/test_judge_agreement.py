"""The judge's agreement with the labels stands beside the win rates of its dataset."""

import pandas as pd
import pytest
from fixtures_results import build_results

import compute_winrate
from pipeline.jobs.io import InputError, write_json
from pipeline.results.judge_agreement import AGREEMENT_COLUMNS, with_agreement
from pipeline.results.tables import read_table


def test_each_dataset_has_its_judge_s_agreement(tmp_path):
    groups = (("world", "W1M"), ("hh", "mine"))
    runs = build_results(tmp_path, seeds=(1,), prompts=6, groups=groups)
    judge, output = tmp_path / "judge.json", tmp_path / "winrate.csv"
    write_json({"dataset": "hh", "agreement": {"value": 0.625, "low": 0.5, "high": 0.75}}, judge)
    options = ["--output", str(output), "--resamples", "10", "--refits", "0"]
    compute_winrate.main(["--runs", str(runs), "--judges", str(judge), *options])
    table = read_table(output)
    assert table.loc[table["dataset"] == "hh", AGREEMENT_COLUMNS].to_numpy().tolist() == [[62.5, 50.0, 75.0]] * 5
    assert table.loc[table["dataset"] == "world", AGREEMENT_COLUMNS].isna().all(axis=None)


def test_a_judge_without_a_parsed_verdict_has_none_and_a_wrong_file_is_refused(tmp_path):
    table = pd.DataFrame({"dataset": ["hh"]} | {name: [float("nan")] for name in AGREEMENT_COLUMNS})
    path = tmp_path / "judge.json"
    write_json({"dataset": "hh", "agreement": None}, path)
    assert with_agreement(table, [path])[AGREEMENT_COLUMNS].isna().all(axis=None)
    write_json({"dataset": "hh"}, path)
    with pytest.raises(InputError, match="no key 'agreement'"):
        with_agreement(table, [path])
