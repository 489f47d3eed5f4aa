"""Best of n in the tables: a bound for its KL and nothing else, and all tokens that were sampled for it."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from fixtures_records import write_records
from fixtures_results import DPO, build_results

from pipeline.columns.candidates import SAMPLED_TOKENS
from pipeline.figures.winrates import scatter_figure
from pipeline.jobs.io import read_json, read_parquet, read_yaml, write_json, write_parquet, write_yaml
from pipeline.jobs.records import RECORD, record_path
from pipeline.report.results_table import results_section
from pipeline.results.pedigree import _read, pedigree
from pipeline.results.run_table import read_run_table
from pipeline.results.seed_table import seed_table
from pipeline.results.tables import WINRATE_RIGHT, cost_table, read_table, winrate_table
from pipeline.results.whole_cost import whole_costs

winrate_table = partial(winrate_table, resamples=20, refits=0)
BON = "bon-n16"


@pytest.fixture
def plain(tmp_path):
    return build_results(tmp_path, seeds=(1, 2), prompts=4)


@pytest.fixture
def path(plain):
    """The run table with the run of sft as best of 16."""
    content = read_yaml(plain)
    run = content["runs"][0] | {"run": BON, "method": "bon", "hyperparameters": {"candidates": 16}}
    for files in run["seeds"].values():
        del files["evaluation"]
        for opponent, verdicts in files["verdicts"].items():
            write_parquet(read_parquet(verdicts).assign(run=BON, baseline=opponent), verdicts)
        write_parquet(read_parquet(files["responses"]).assign(**{SAMPLED_TOKENS: 70}), files["responses"])
    write_yaml(content | {"runs": [run, *content["runs"][1:]]}, plain)
    return plain


def test_its_kl_is_a_bound_in_a_column_of_its_own(path, tmp_path):
    table = read_run_table(path)
    frame = winrate_table(table)
    assert list(frame.columns)[-len(WINRATE_RIGHT) - 1 :] == ["kl_bound", *WINRATE_RIGHT]
    own, others = frame[frame["run"] == BON], frame[frame["run"] != BON]
    assert own["kl_bound"].tolist() == pytest.approx([np.log(16) - 15 / 16] * 2, rel=1e-5)
    for column in ("kl", "reward_accuracy", "reward_margin"):
        assert own[column].isna().all() and others[column].notna().all()
    assert others["kl_bound"].isna().all() and own["candidates"].tolist() == [16, 16]
    frame.to_csv(tmp_path / "winrate.csv", index=False)
    again = read_table(tmp_path / "winrate.csv")
    assert again["kl_bound"].dtype == float and again["candidates"].tolist()[0] == "16"


def test_without_it_there_is_no_such_column(plain):
    table = read_run_table(plain)
    assert "kl_bound" not in winrate_table(table).columns
    content = results_section(table, winrate_table(table), cost_table(table), seed_table(table), None, "")[1]
    assert "kl_bound" not in {column["name"] for column in content["columns"]}


def test_the_report_shows_the_bound_and_no_figure_has_it_for_a_measurement(path):
    table = read_run_table(path)
    frame, seeds = winrate_table(table), seed_table(table)
    content = results_section(table, frame, cost_table(table), seeds, None, "")[1]
    [column] = [column for column in content["columns"] if column["name"] == "kl_bound"]
    assert column["title"] == "KL at most, nats" and column["shown"]
    rows = [row for row in content["rows"] if row["run"] == BON]
    assert rows and not [row for row in rows if "kl" in row]
    figure = scatter_figure(table, frame, seeds, "winrate_vs_kl", "kl", "KL")
    drawn = figure.rows[0][0].chart.to_json()
    assert DPO in drawn and BON not in drawn
    assert BON not in set(cost_table(table)["run"])  # which are of trainings


def test_all_its_tokens_are_counted_and_the_sampling_is_shared_out(path, tmp_path):
    write_records(tmp_path)
    shared = tmp_path / "shared"
    record = read_json(shared / "sft" / RECORD)
    candidates = shared / "candidates" / "eval.parquet"
    inputs = {str(shared / "sft/model"): "ab" * 32, str(shared / "reward/model"): "ab" * 32}
    changed = {"script": "sample_candidates.py", "outputs": [str(candidates)], "inputs": inputs, "seconds": 60.0}
    candidates.parent.mkdir()
    write_json(record | changed, record_path(candidates))
    content = read_yaml(path)
    for files in content["runs"][0]["seeds"].values():
        chosen = {"script": "choose_responses.py", "inputs": {str(candidates): "ab" * 32}}
        write_json(read_json(record_path(files["responses"])) | chosen, record_path(files["responses"]))
    _read.cache_clear()
    table = read_run_table(path)
    run = table.runs[0]
    assert {"candidates", "reward_model", "sft"} <= {job.stage for job in pedigree([run]).made}
    rows = {row["run"]: row for row in whole_costs(table)}
    assert rows[BON]["candidates"] == 60.0 and rows[DPO]["candidates"] == 0
    assert rows[BON]["sampled_tokens"] == 2 * 4 * 70 and rows[DPO]["sampled_tokens"] == 2 * 4 * 4
    assert rows[BON]["reward_model"] > 0 and rows[BON]["trained_tokens"] is None and rows[BON]["sampling"] == 0
    # a training's own cost has what was sampled before it, which is a job of its own here
    cost = table.runs[1].files[1]["cost"]
    before = whole_costs(table)[1]["sampling"]
    write_json(read_json(cost) | {"seconds_before_training": 1.0}, cost)
    assert whole_costs(table)[1]["sampling"] == pytest.approx(before - 1.0)
    assert pd.notna(before)
