"""Real dialogues from a local folder, from nothing to the report: config/hh-local.yaml with smaller models."""

import json
from pathlib import Path

import pandas as pd
import pytest

from pipeline.jobs.io import read_json
from workflow.snakemake_copy import REPOSITORY, Workflow, points_outside

DIALOGUES = REPOSITORY.parent / "shared" / "hh-rlhf"
CONFIG = "config/hh-local.yaml"
DPO, DPR = "dpo-beta0.1", "dpr-beta0.1-g0.5-gamma0"
RUNS = ["sft", DPO, DPR]
PLACE = "hh/hh2M"

pytestmark = pytest.mark.slow


def smaller(config):
    """The same config with fewer dialogues, a smaller model and fewer steps."""
    short = {"max_length": 128, "global_batch_size": 8}
    config["sft"].update(short, epochs=2)
    config["policy"].update(short, max_steps=6, rollout_max_new_tokens=8, rollout_prompts=8, learning_rate=1e-3)
    config["decodings"]["sample"]["max_new_tokens"] = 16
    [dpr] = [task for task in config["tasks"] if task["method"] == "dpr"]
    dpr["g"] = [0.5]
    entries = config["definitions"]
    entries["datasets"]["hh"]["limit"] = 100
    entries["models"]["hh2M"]["vocab_size"] = 800
    entries["models"]["hh2M"]["architecture"].update(hidden_size=32, num_hidden_layers=1, intermediate_size=64)
    entries["reward_models"]["hh"]["train"].update(short, epochs=1)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Folder of the results; the place of the dialogues is given on the command line."""
    if not DIALOGUES.is_dir():
        pytest.skip(f"there are no dialogues: no folder {DIALOGUES}")
    workflow = Workflow.new(tmp_path_factory.mktemp("hh") / "workflow")
    workflow.configure(smaller, CONFIG)
    place = json.dumps({"datasets": {"hh": {"path": str(DIALOGUES)}}})
    workflow.snakemake("--config", f"definitions={place}", config=CONFIG)
    return workflow.folder / "results"


def parquet(results, path):
    return pd.read_parquet(results / path)


def test_the_dialogues_become_pairs_of_messages(results):
    card = read_json(results / "data/hh/card.json")
    assert card["rows_in"] == 600 and card["rows_out"] == 100
    train, evaluation = (parquet(results, f"data/hh/{split}.parquet") for split in ("train", "eval"))
    assert len(train) > 60 and 15 <= len(evaluation) <= 25
    for row in train.itertuples():
        assert row.prompt[0]["role"] == row.prompt[-1]["role"] == "user"
        assert [message["role"] for message in row.chosen] == ["assistant"] == [m["role"] for m in row.rejected]
    assert max(len(prompt) for prompt in train["prompt"]) > 2, "no dialogue has several turns"


def test_each_model_is_trained(results):
    folders = [f"sft/{PLACE}", "reward_models/hh/hh", *(f"policies/{PLACE}/{run}/seed1" for run in RUNS[1:])]
    for folder in folders:
        metrics = parquet(results, f"{folder}/metrics.parquet")
        assert metrics.loc[metrics["metric"] == "loss", "value"].notna().all()
        assert (results / folder / "model/model.safetensors").is_file() and (
            results / folder / "manifest.json"
        ).is_file()
    manifests = [(results / folder / "manifest.json").read_text() for folder in folders]
    assert len(set(manifests)) == len(folders)
    logged = set(parquet(results, f"policies/{PLACE}/{DPR}/seed1/metrics.parquet")["metric"])
    assert {"sail/rows_dpr", "sail/reward"} <= logged, "no row was labelled by the reward model"


def test_every_eval_prompt_is_answered_scored_and_judged(results):
    prompts = set(parquet(results, "data/hh/eval.parquet")["prompt_id"])
    for run in RUNS:
        place = f"{PLACE}/{run}/seed1/eval"
        responses, scores = (parquet(results, f"{kind}/{place}.parquet") for kind in ("responses", "scores"))
        assert set(responses["prompt_id"]) == set(scores["prompt_id"]) == prompts and len(scores) == len(prompts)
        assert scores["response_score"].nunique() > 3
        verdicts = parquet(results, f"verdicts/{place}-vs-chosen.parquet")
        assert set(verdicts["prompt_id"]) == prompts and (verdicts["judge"] == "reward").all()
        assert (verdicts["status"] == "parsed").all()


def test_the_splits_are_scored_and_measured(results):
    for split in ("train", "eval"):
        data, scored = parquet(results, f"data/hh/{split}.parquet"), parquet(results, f"bt/hh/hh/{split}.parquet")
        assert scored["prompt_id"].tolist() == data["prompt_id"].tolist()
        assert list(scored.columns) == [*data.columns, "chosen_score", "rejected_score", "bt_prob"]
        measured = read_json(results / f"calibration/hh/hh/{split}.json")
        assert measured["pairs"] == len(data) and 0 <= measured["ece"] <= 0.5
        lengths = [sum(len(m["content"]) for m in response) for response in data["chosen"]]
        assert measured["chosen"]["mean_length"] == pytest.approx(sum(lengths) / len(lengths))


def test_the_tables_have_every_run(results):
    winrate = pd.read_csv(results / "winrate.csv")
    assert list(dict.fromkeys(winrate["run"])) == RUNS and set(winrate["baseline"]) == {"chosen", DPO}
    assert winrate["win_rate"].between(0, 100).all() and (winrate["unparsed"] == 0).all()
    trained = winrate[winrate["method"] != "sft"]
    assert (trained["kl"] != 0).all() and trained["reward_accuracy"].between(0, 1).all()
    assert list(pd.read_csv(results / "score_comparison.csv")["run"]) == RUNS
    assert list(pd.read_csv(results / "cost.csv")["run"]) == RUNS[1:]


def test_the_report_shows_it(results):
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "Results: hh-local" in page and all(run in page for run in RUNS)
    assert "hh, hh, split train" in page and "hh, hh, split eval" in page
    assert not points_outside(page)


def test_where_the_folder_is_not_there_the_first_job_says_so(tmp_path):
    workflow = Workflow.new(tmp_path / "workflow")
    assert "prepare_data" in {job.rule for job in workflow.plan(config=CONFIG)}
    workflow.snakemake("results/data/hh/card.json", code=1, config=CONFIG)
    log = Path(workflow.folder / "results/logs/prepare_data/hh.log").read_text(encoding="utf-8")
    assert log.startswith("error: data/hh-rlhf") and "hub" in log.lower()
