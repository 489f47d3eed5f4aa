"""Where judge and reward model disagree: shares by hand, and the filter that shows the pairs."""

import numpy as np
import pandas as pd
import pytest
from chromium import choose, complaints, open_browser, open_page, settle, status
from fixtures_report import build_report, render
from fixtures_results import DPO, DPR

from pipeline.jobs.io import read_yaml, write_parquet
from pipeline.report.agreement import agreement_section
from pipeline.results.run_table import read_run_table, read_verdict_details

FILTERS = "return [...document.querySelector('[data-part=filter]').options].map((option) => option.value)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """DPR's scores are above DPO's on the first 15 of 20 prompts; the judge prefers it on the last 10, ties on one."""
    place = tmp_path_factory.mktemp("agreement")
    build_report(place, prompts=20, seeds=(1, 2), render_it=False)
    runs = {run["run"]: run["seeds"] for run in read_yaml(place / "runs.yaml")["runs"]}
    ids = [f"p{i:03d}" for i in range(20)]
    for seed, files in runs[DPR].items():
        above = np.where(np.arange(20) < 15, 1.0, -1.0)
        write_parquet(pd.DataFrame({"prompt_id": ids, "response_score": above}), files["scores"])
        write_parquet(pd.DataFrame({"prompt_id": ids, "response_score": 0.0}), runs[DPO][seed]["scores"])
        frame = pd.read_parquet(files["verdicts"][DPO])
        preference = np.where(np.arange(20) < 10, 0.0, 1.0)
        preference[0] = 0.5
        write_parquet(frame.assign(preference=preference), files["verdicts"][DPO])
    return place


def test_agreement_is_of_the_pairs_that_both_decide(folder):
    table = read_run_table(folder / "runs.yaml")
    rows = agreement_section(table, {}, read_verdict_details).values["boards"][0]["rows"]
    row = {(row["run"], row["opponent"]): row for row in rows}[DPR, DPO]
    # 19 prompts a seed: both for the run on 10 to 14, apart on the other 14
    assert row["pairs"] == 38
    assert row["agreement"] == pytest.approx(100 * 5 / 19) and row["judge"] == pytest.approx(100 * 10 / 19)
    assert row["reward"] == pytest.approx(100 * 14 / 19)
    assert row["agreement_low"] < row["agreement"] < row["agreement_high"]
    assert [(link["seed"], link["count"]) for link in row["links"]] == [(1, 9), (2, 9)]
    # the chosen responses have scores only in a scored split
    assert {row["opponent"] for row in rows} == {DPO}
    scored = agreement_section(table, {"world": folder / "scored.parquet"}, read_verdict_details)
    assert "chosen" in {row["opponent"] for row in scored.values["boards"][0]["rows"]}


def test_the_filter_shows_the_pairs_and_one_order_contradicts_none(folder):
    page = open_browser()
    try:
        open_page(page, render(folder))
        page.execute_script(f"document.querySelector(\"#agreement a[title='{DPR} against {DPO}, seed 2']\").click()")
        settle(page)
        assert status(page) == "9 of 20 prompts"
        assert "flipped" not in page.execute_script(FILTERS)
        page.execute_script("document.querySelector('[data-part=swap]').click()")
        choose(page, "left", f"{DPO}, seed 2")
        assert "reward-not-judge-right" in page.execute_script(FILTERS)
        choose(page, "right", f"{DPR}, seed 1")  # no judge compared these
        assert "reward-not-judge" not in page.execute_script(FILTERS)
        assert complaints(page) == []
    finally:
        page.quit()
