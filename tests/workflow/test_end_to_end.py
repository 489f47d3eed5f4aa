"""The small config, from nothing to the report."""

import base64
import html
import json
import re

import pandas as pd
import pytest
from chromium import complaints, open_browser, open_page, requests, wait
from pages import embedded

from pipeline.jobs.io import read_json
from pipeline.jobs.records import record_path
from pipeline.results.cost_axes import AXES
from pipeline.results.tables import COST_COLUMNS, WINRATE_LEFT, WINRATE_RIGHT
from workflow.snakemake_copy import points_outside

BASELINE = "dpo-beta0.1"
TRAINED = [
    BASELINE,
    "ddp-beta0.1-r0.4-rho0.2",
    "dpp-beta0.1-p0.3-pi0.2",
    "dpr-beta0.1-g0.3-gamma0.3",
    "mix-r0.2-p0.2-g0.2",
]
FIGURES = ["winrate", "rating", "winrate_vs_kl", "winrate_vs_length", "reward", "learning_curves", "cost"]
CALIBRATION_FIGURES = ["reliability", "margins", "lengths"]


def test_the_win_rate_table_has_a_row_per_run_and_baseline(finished):
    table = pd.read_csv(finished.folder / "results/winrate.csv")
    opponents = [(run, name) for run in ["sft", *TRAINED] for name in ("chosen", BASELINE) if run != name]
    assert list(zip(table["run"], table["baseline"], strict=True)) == opponents
    assert set(table["dataset"]) == {"small"} and set(table["model"]) == {"tiny"}
    columns = list(table.columns)
    assert columns[: len(WINRATE_LEFT)] == WINRATE_LEFT and columns[-len(WINRATE_RIGHT) :] == WINRATE_RIGHT
    hyperparameters = columns[len(WINRATE_LEFT) : -len(WINRATE_RIGHT)]
    assert {"beta", "learning_rate", "max_steps", "r", "rho", "p", "pi", "g", "gamma"} <= set(hyperparameters)
    assert (table["seeds"] == 1).all() and (table["n"] == 32).all() and (table["unparsed"] == 0).all()
    assert table["win_rate"].between(table["win_rate_low"], table["win_rate_high"]).all()
    assert table["mean_reward"].between(table["mean_reward_low"], table["mean_reward_high"]).all()
    assert table["kl"].notna().all() and (table["mean_response_length"] > 0).all()
    trained = table[table["method"] != "sft"]
    assert trained["reward_accuracy"].between(0, 1).all() and trained["reward_margin"].notna().all()
    assert (trained["kl"] != 0).all(), "a policy did not move from the SFT model"


def test_the_cost_table_has_a_row_per_trained_run(finished):
    table = pd.read_csv(finished.folder / "results/cost.csv")
    assert list(table.columns) == COST_COLUMNS
    assert list(table["run"]) == TRAINED
    assert (
        (table["steps"] == 10).all() and (table["training_seconds"] > 0).all() and (table["peak_memory_mib"] > 0).all()
    )
    assert table.loc[0, "seconds_ratio_to_baseline"] == 1
    sampling = table["method"].isin(["dpp", "dpr", "mix"])
    assert (table.loc[sampling, "rollout_seconds"] > 0).all() and (table.loc[~sampling, "rollout_seconds"] == 0).all()


def test_the_report_answers_the_question(finished):
    page = (finished.folder / "results/report.html").read_text(encoding="utf-8")
    answer = page.split('id="answer"')[1].split("</section>")[0]
    assert all(run in answer for run in TRAINED)
    assert "interval" in answer and "seed" in answer and "in one training" in answer
    charts = embedded(page, "chart-specifications")
    names = {place.removeprefix("chart-").rsplit("-", 2)[0] for place in charts}
    splits = {f"calibration-small-tiny-{split}-{name}" for split in ("train", "eval") for name in CALIBRATION_FIGURES}
    by_cost = {f"winrate_vs_cost_{axis.column}" for axis in AXES}
    assert {*FIGURES, "agreement_vs_kl", "winrate_vs_cost_steps"} | splits <= names
    assert names <= {*FIGURES, "agreement_vs_kl"} | splits | by_cost
    assert not points_outside(page)


def test_the_report_opens_in_a_browser(finished):
    browser = open_browser()
    try:
        open_page(browser, finished.folder / "results/report.html")
        assert complaints(browser) == [] and requests(browser) == []
        assert browser.execute_script("return document.querySelectorAll('.chart svg').length") >= len(FIGURES)
    finally:
        browser.quit()


def test_the_table_has_tests_length_control_and_ratings(finished):
    table = pd.read_csv(finished.folder / "results/winrate.csv")
    assert table["p_value"].isna().all() and table["difference_p_value_holm"].isna().all()  # of one seed
    assert (table["caveats"] == "one-seed;few-prompts").all() and (table["decoding"] == "short").all()
    assert table["lc_win_rate"].between(table["lc_win_rate_low"], table["lc_win_rate_high"]).all()
    assert (table.loc[table["run"] == BASELINE, "rating"] == 0).all() and (table["flipped"] == 0).all()


def test_the_other_results_are_there(finished):
    files = finished.files("results")
    assert {f"figures/{name}.svg" for name in FIGURES} | {"figures/winrate.png"} <= files
    for split, rows in {"train": 112, "eval": 32}.items():
        frame = pd.read_parquet(finished.folder / f"results/bt/small/tiny/{split}.parquet")
        assert list(frame.columns[-3:]) == ["chosen_score", "rejected_score", "bt_prob"]
        assert len(frame) == rows and frame["bt_prob"].between(0, 1).all()


def test_every_scored_split_is_measured(finished):
    results = finished.folder / "results"
    page = (results / "report.html").read_text(encoding="utf-8")
    for split in ("train", "eval"):
        scored = pd.read_parquet(results / f"bt/small/tiny/{split}.parquet")
        measured = read_json(results / f"calibration/small/tiny/{split}.json")
        assert [measured[key] for key in ("dataset", "reward_model", "split")] == ["small", "tiny", split]
        right = (scored["bt_prob"] > 0.5) + 0.5 * (scored["bt_prob"] == 0.5)
        assert measured["accuracy"]["value"] == pytest.approx(right.mean())
        assert measured["accuracy"]["low"] <= measured["accuracy"]["value"] <= measured["accuracy"]["high"]
        assert measured["brier"]["value"] == pytest.approx(((1 - scored["bt_prob"]) ** 2).mean())
        assert sum(row["pairs"] for row in measured["bins"]) == measured["pairs"] == len(scored)
        assert f"small, tiny, split {split}" in page


def test_the_responses_scores_stand_beside_those_of_the_pairs(finished):
    results = finished.folder / "results"
    table = pd.read_csv(results / "score_comparison.csv").set_index("run")
    assert list(table.index) == ["sft", *TRAINED] and (table["prompts"] == 32).all()
    scored = pd.read_parquet(results / "bt/small/tiny/eval.parquet")
    assert table["chosen_score"].to_numpy() == pytest.approx(scored["chosen_score"].mean(), rel=1e-5)
    assert table["rejected_score"].to_numpy() == pytest.approx(scored["rejected_score"].mean(), rel=1e-5)
    winrate = pd.read_csv(results / "winrate.csv").drop_duplicates("run").set_index("run")
    assert table["response_score"].to_numpy() == pytest.approx(winrate["mean_reward"].to_numpy(), rel=1e-5)
    assert "above chosen, share" in (results / "report.html").read_text(encoding="utf-8")


def test_every_trained_model_has_its_records(finished):
    results = finished.folder / "results"
    policies = [f"policies/small/tiny/{run}/seed1" for run in TRAINED]
    folders = ["sft/small/tiny", "reward_models/small/tiny", *policies]
    assert sorted(
        path.parent.parent.relative_to(results).as_posix() for path in results.rglob("*.safetensors")
    ) == sorted(folders)
    for folder in folders:
        record = read_json(results / folder / "provenance.json")
        assert record["device"]["type"] == "cpu" and record["packages"]["torch"] and record["finished"]
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in record["inputs"].values())
        assert "results/data/small/train.parquet" in record["inputs"]
        metrics = pd.read_parquet(results / folder / "metrics.parquet")
        assert list(metrics.columns) == ["step", "metric", "value"] and "loss" in set(metrics["metric"])
        assert read_json(results / folder / "cost.json")["seconds"] > 0
        manifest = read_json(results / folder / "manifest.json")
        assert "model.safetensors" in json.dumps(manifest)
    assert [read_json(results / folder / "provenance.json")["spec"]["run"] for folder in policies] == TRAINED


def test_every_artifact_has_a_record_beside_it(finished):
    results, seen = finished.folder / "results", set()
    artifacts = [path for path in finished.files("results") if path.endswith((".parquet", ".csv", ".svg", ".html"))]
    artifacts += ["data/small/card.json", *(f"calibration/small/tiny/{split}.json" for split in ("train", "eval"))]
    assert len(artifacts) > 50
    for name in artifacts:
        path = results / name.replace("_excerpt", "")  # the excerpt of the report is made with it
        places = [record_path(path), path.parent / "provenance.json", record_path(path.parent.with_suffix(".x"))]
        [place, *_] = [place for place in places if place.is_file()] or [None]
        assert place, f"{name} has no record"
        seen.add(place)
    keys = {"spec", "options", "inputs", "hub", "packages", "device", "machine", "commit", "code", "finished"}
    for place in seen:
        record = read_json(place)
        assert keys | {"seconds", "peak_memory_mib", "peak_device_memory_mib"} <= set(record), place
        assert record["inputs"] and record["spec"] and record["seconds"] > 0 and record["peak_memory_mib"] > 10, place
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in record["inputs"].values())
    rules = {path.split("/")[0].removesuffix(".tsv") for path in finished.files("results/benchmarks")}
    assert {read_json(place)["script"].removesuffix(".py") for place in seen} == rules


def test_nothing_is_left_over(finished):
    assert {path.name for path in finished.folder.iterdir()} == {
        *("Snakefile", "rules", "scripts", "config", "envs", "profiles", "results", "small.yaml", ".snakemake")
    }
    results = finished.files("results") - {".gitkeep"}
    hidden = {path for path in results if path.rsplit("/", 1)[-1].startswith(".")}
    assert all(path.endswith("/model/.snakemake_timestamp") for path in hidden)
    assert not [path for path in results if path.endswith((".tmp", ".bin", ".pt", ".pth"))]
    kinds = {path.split("/")[0] for path in results if not path.endswith("provenance.json")}
    assert kinds == {
        *("specs", "data", "sft", "reward_models", "reference", "policies", "responses", "evaluations", "scores", "bt"),
        *(
            "calibration",
            "verdicts",
            "judge_quality",
            "figures",
            "winrate.csv",
            "cost.csv",
            "winrate_vs_cost.csv",
            "score_comparison.csv",
            "report.html",
            "report_excerpt.html",
            "answer.txt",
        ),
        *("logs", "benchmarks"),
    }
    assert not finished.files(".snakemake/locks") and not finished.files(".snakemake/incomplete")


def test_each_job_has_a_log_and_a_benchmark(finished):
    logs = {path.removesuffix(".log") for path in finished.files("results/logs")}
    benchmarks = {path.removesuffix(".tsv") for path in finished.files("results/benchmarks")}
    assert {path for path in logs if not path.startswith("write_")} == benchmarks
    assert f"train_policy/small/tiny/{BASELINE}/seed1" in logs


def test_a_second_run_has_nothing_to_do(finished):
    assert finished.plan() == set()
    assert "Nothing to be done" in finished.snakemake()


@pytest.fixture(scope="module")
def snakemake_report(finished, tmp_path_factory):
    workflow = finished.copy(tmp_path_factory.mktemp("report") / "copied")
    workflow.snakemake("--report", "report.html")
    return workflow.folder / "report.html"


def results_of(report):
    """What Snakemake's report shows, by path."""
    return json.loads(re.search(r"var results = (\{.*\});$", report.read_text(encoding="utf-8"), re.MULTILINE)[1])


def test_snakemake_reports_tables_and_figures_with_their_captions(finished, snakemake_report):
    results, text = results_of(snakemake_report), snakemake_report.read_text(encoding="utf-8")
    judge = "results/judge_quality/small/gold/eval.csv"
    tables = ["results/winrate.csv", "results/cost.csv", "results/score_comparison.csv", judge]
    tables.append("results/winrate_vs_cost.csv")
    splits = [f"results/calibration/small/tiny/{split}" for split in ("train", "eval")]
    calibration = {f"{split}/{name}.svg" for split in splits for name in CALIBRATION_FIGURES}
    numbers = {*(f"{split}.json" for split in splits), "results/data/small/card.json"}
    figures = {*(f"results/figures/{name}.svg" for name in (*FIGURES, "agreement_vs_kl", "winrate_vs_cost"))}
    figures |= calibration
    page = "results/report.html"
    assert set(results) == {*tables, *figures, *numbers, page}
    for path, entry in results.items():
        assert set(entry["labels"]) == {"what", "form"}, path
        assert entry["labels"]["form"] == (
            "table" if path in tables else "JSON" if path in numbers else "page" if path == page else "figure"
        )
        assert "Config <strong>small</strong>: dataset small; model tiny; runs sft, " in entry["caption"]
        assert "Judged on the eval split by gold" in entry["caption"] and len(entry["caption"]) > 400
        content = base64.b64decode(entry["data_uri"].split("base64,")[1])
        assert content == (finished.folder / path).read_bytes()
    assert "opponent" in results["results/winrate.csv"]["caption"]
    assert "No other run costs less" in (front := results["results/figures/winrate_vs_cost.svg"]["caption"]) or (
        "On the Pareto front of win rate against device time: " in front
    )
    for path, entry in results.items():
        rests = path.startswith(("results/winrate", "results/figures/winrate", "results/figures/rating", page))
        assert ("one-seed (all runs): one seed" in entry["caption"]) == rests, path
    what = results["results/calibration/small/tiny/eval/reliability.svg"]["labels"]["what"]
    assert what == "reliability: small, tiny, eval"
    categories = json.loads(re.search(r"var categories = (\{.*\});$", text, re.MULTILINE)[1])
    answer = html.unescape(json.loads(re.search(r"var workflow_desc = (\".*\");?$", text, re.MULTILINE)[1]))
    lead, headline = (finished.folder / "results/answer.txt").read_text().strip().split("\n\n")
    assert re.sub("<[^>]*>", "", answer).strip().startswith(lead) and headline in " ".join(answer.split())
    members = {name: {path for paths in group.values() for path in paths} for name, group in categories.items()}
    assert members == {
        "Win rates": {
            *("results/winrate.csv", "results/winrate_vs_cost.csv", "results/figures/winrate_vs_cost.svg"),
            *(f"results/figures/{name}.svg" for name in ("winrate", "rating", "winrate_vs_kl", "winrate_vs_length")),
        },
        "Cost": {"results/cost.csv", "results/figures/cost.svg"},
        "Rewards": {
            *("results/figures/reward.svg", "results/figures/agreement_vs_kl.svg", "results/score_comparison.csv"),
        },
        "Calibration": calibration | {f"{split}.json" for split in splits},
        "Judge": {judge},
        "Data": {"results/data/small/card.json"},
        "Report": {page},
        "Training": {"results/figures/learning_curves.svg"},
    }


def test_the_page_opens_in_snakemakes_report(snakemake_report):
    browser = open_browser()
    try:
        browser.get(snakemake_report.as_uri())
        links = "[...document.querySelectorAll('a')]"
        wait(browser, f"{links}.some((link) => link.innerText.trim() === 'Report')")
        browser.execute_script(f"{links}.filter((link) => link.innerText.trim() === 'Report').at(-1).click()")
        row = "[...document.querySelectorAll('tr')].find((row) => row.innerText.includes('the whole report'))"
        wait(browser, row)
        browser.execute_script(f"{row}.querySelector('a').click()")
        wait(browser, "document.querySelector('iframe')")
        browser.switch_to.frame(0)
        wait(browser, "document.documentElement.dataset.charts === 'drawn'")
        wait(browser, "document.getElementById('responses').dataset.state === 'ready'")
        assert browser.execute_script("return document.querySelector('.lead').textContent")
    finally:
        browser.quit()


def test_of_a_page_that_is_too_large_snakemake_reports_an_excerpt_too(finished, tmp_path):
    workflow = finished.copy(tmp_path / "copied")
    with (workflow.folder / "results/report.html").open("a", encoding="utf-8") as page:
        page.write(f"<!-- {'large ' * 300_000}-->")
    workflow.snakemake("--report", "report.html")
    results = results_of(workflow.folder / "report.html")
    labels = {path: entry["labels"]["what"] for path, entry in results.items() if entry["labels"]["form"] == "page"}
    assert labels == {
        "results/report.html": "the whole report",
        "results/report_excerpt.html": "the report without its largest parts",
    }
