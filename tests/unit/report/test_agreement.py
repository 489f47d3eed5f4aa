"""Where judge, reward model and labels disagree: shares by hand, the chart against KL, the filters of the pairs."""

import numpy as np
import pandas as pd
import pytest
from chromium import choose, complaints, detail, open_browser, open_page, set_value, settle, status
from fixtures_report import build_report, render
from fixtures_results import DPO, DPR

from pipeline.jobs.io import InputError, read_yaml, write_parquet
from pipeline.report.agreement import agreement_section
from pipeline.report.bad_answers import find_faults
from pipeline.report.charts import Charts
from pipeline.report.human_labels import find_labels, read_labels
from pipeline.report.labelled_pairs import labelled_agreement, read_labelled_agreement
from pipeline.results.agreement import find_agreement
from pipeline.results.run_table import read_run_table
from pipeline.results.seed_table import seed_table

COLUMNS = ["prompt_id", "response_a", "response_b", "preferred"]
HEAD = ",".join(COLUMNS)
# Whom people prefer: judge and reward model decide 1 to 19, the judge for DPR from 10 on, the reward model up to 14.
PEOPLE = {0: "run", 3: "other", 4: "run", 5: "tie", 11: "run", 16: "run"}
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


@pytest.fixture(scope="module")
def labels(folder):
    """People's verdicts as a CSV file, every second one with the answers in the other order, and white space apart."""
    rows = []
    for number, (i, preferred) in enumerate(PEOPLE.items()):
        texts = {"run": f" {DPR}  answers {i}.\n", "other": f"{DPO} answers {i}."}
        order = ["run", "other"] if number % 2 else ["other", "run"]
        said = preferred if preferred == "tie" else "ab"[order.index(preferred)]
        rows.append([f"p{i:03d}", *(texts[name] for name in order), said])
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / "labels.csv", index=False)
    return folder / "labels.csv"


def row_of(rows, run, opponent):
    return {(row["run"], row["opponent"]): row for row in rows}[run, opponent]


def test_agreement_is_of_the_pairs_that_both_decide(folder):
    table = read_run_table(folder / "runs.yaml")
    rows = find_agreement(table, {})
    row = row_of(rows, DPR, DPO)
    # 19 prompts a seed: both for the run on 10 to 14, apart on the other 14
    assert row["pairs"] == 38 and row["labelled"] == 0
    assert row["agreement"] == pytest.approx(100 * 5 / 19) and row["judge"] == pytest.approx(100 * 10 / 19)
    assert row["reward"] == pytest.approx(100 * 14 / 19)
    assert row["chance"] == pytest.approx(100 * (10 * 14 + 9 * 5) / 19**2)
    assert row["agreement_low"] < row["agreement"] < row["agreement_high"]
    assert row["apart"] == {1: 9, 2: 9}
    # the chosen responses have scores only in a scored split
    assert {row["opponent"] for row in rows} == {DPO}
    scored = find_agreement(table, {"world": folder / "scored.parquet"})
    assert "chosen" in {row["opponent"] for row in scored}
    # without scores, and without labelled pairs, there is nothing to tell
    assert agreement_section(table, [], seed_table(table), [], Charts()) is None


def test_agreement_is_drawn_against_kl(folder):
    table = read_run_table(folder / "runs.yaml")
    rows, seeds, charts = find_agreement(table, {}), seed_table(table), Charts()
    figure = agreement_section(table, rows, seeds, [], charts).values["figure"]
    assert [panel["title"] for row in figure["rows"] for panel in row] == [f"against {DPO}"]
    [drawn] = charts.specifications.values()
    points = [point for layer in drawn["layer"] for point in layer["data"]["values"] if point["run"] == DPR]
    kl = seeds[(seeds["run"] == DPR) & (seeds["baseline"] == DPO)].set_index("seed")["kl"]
    single = {point["seed"]: point for point in points if "seed" in point}
    assert {seed: point["kl"] for seed, point in single.items()} == kl.to_dict()
    assert [point["agreement"] for point in single.values()] == pytest.approx([100 * 5 / 19] * 2)
    assert [point["kl"] for point in points if "seed" not in point] == pytest.approx([kl.mean()] * 2)


def test_labels_of_people_say_who_is_right(folder, labels):
    table = read_run_table(folder / "runs.yaml")
    found = find_labels(table, find_faults(table), {"world": folder / "scored.parquet"}, read_labels(labels))
    assert {(run.run, seed, opponent) for run, seed, opponent in found} == {(DPR, 1, DPO), (DPR, 2, DPO)}
    row = row_of(find_agreement(table, {}, labels=found), DPR, DPO)
    # 3, 4, 11 and 16: the tie, and the one that the judge does not decide, are left out
    assert row["labelled"] == 8 and row["judge_right"] == 75 and row["reward_right"] == 50
    assert row["judge_apart"] == pytest.approx(100 * 2 / 3)


def test_the_dataset_labels_its_own_two_responses(folder):
    table = read_run_table(folder / "runs.yaml")
    pairs = pd.read_parquet(folder / "scored.parquet").set_index("prompt_id")
    faults = {key: frame.copy() for key, frame in find_faults(table).items()}
    for (run, seed), frame in faults.items():
        if seed == 1:
            frame.loc["p002", "text"] = pairs.loc["p002", "rejected" if run.run == DPR else "chosen"]
    found = find_labels(table, faults, {"world": folder / "scored.parquet"}, {})
    told = {(run.run, seed, opponent): labels.to_dict() for (run, seed, opponent), labels in found.items()}
    assert told == {(DPR, 1, "chosen"): {"p002": 0.0}, (DPR, 1, DPO): {"p002": 0.0}}


def test_labels_are_read_from_any_table_and_several_people_are_averaged(tmp_path):
    frame = pd.DataFrame([["p", "x", "y", "a"], ["p", "y", "x", "a"], ["p", "x", "y", "tie"]], columns=COLUMNS)
    frame.to_csv(tmp_path / "1.csv", index=False)
    frame.to_json(tmp_path / "1.jsonl", orient="records", lines=True)
    write_parquet(frame, tmp_path / "1.parquet")
    for name in ("1.csv", "1.jsonl", "1.parquet"):
        assert read_labels(tmp_path / name) == {("p", "x", "y"): 0.5, ("p", "y", "x"): 0.5}, name


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "prompt_id,response_a,response_b\n", "no column 'preferred'"),
        ("x.csv", f"{HEAD}\np,x,y,a\np,x,y,first\n", "row 1: preferred is 'first'; it must be a, tie, b"),
        ("x.jsonl", '{"prompt_id": 1, "response_a": "", "response_b": "", "preferred": "a"}', "row 0: .* must be text"),
        ("x.jsonl", "{", "not a readable file of JSON lines"),
        ("x.txt", "", "a table: .csv, .jsonl or .parquet"),
    ],
)
def test_labels_that_are_none_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read_labels(tmp_path / name)


def test_on_labelled_pairs_the_label_says_who_is_right(tmp_path):
    ids = [f"p{i}" for i in range(7)]
    verdicts = pd.DataFrame({"prompt_id": ids[:6], "preference": [1, 0.9, 0, 0.2, 0.5, np.nan]})
    margins = np.array([2.0, -1, 1, -3, 1, 1, 1])
    scored = pd.DataFrame({"prompt_id": ids, "chosen_score": margins, "rejected_score": 0.0})
    row = labelled_agreement("world", "mine", verdicts, scored)
    assert (row["dataset"], row["judge"], row["pairs"]) == ("world", "mine", 4)
    assert row["judge_right"] == row["reward_right"] == row["agreement"] == 50
    assert [row[name] for name in ("both", "judge_only", "reward_only", "neither")] == [25] * 4
    assert row["judge_right_low"] < 50 < row["judge_right_high"]
    assert labelled_agreement("world", "mine", verdicts.tail(2), scored) is None
    more = {"run": "chosen", "baseline": "rejected", "len_run": 1, "len_baseline": 1}
    write_parquet(verdicts.assign(**more), tmp_path / "judged.parquet")
    write_parquet(scored, tmp_path / "scored.parquet")
    judges, files = [{"dataset": "world", "judge": "mine"}], [str(tmp_path / "judged.parquet")]
    assert read_labelled_agreement(judges, files, {"world": tmp_path / "scored.parquet"}) == [row]
    assert read_labelled_agreement(judges, [], {"world": tmp_path / "scored.parquet"}) == []
    with pytest.raises(InputError, match="1 measured judges and 2 files"):
        read_labelled_agreement(judges, files * 2, {})


def test_the_filters_show_the_pairs_and_one_order_contradicts_none(folder, labels):
    page = open_browser()
    try:
        open_page(page, render(folder, extra=["--labels", str(labels)]))
        page.execute_script(f"document.querySelector(\"#agreement a[title='{DPR} against {DPO}, seed 2']\").click()")
        settle(page)
        assert status(page) == "9 of 20 prompts"
        assert "flipped" not in page.execute_script(FILTERS)
        set_value(page, "[data-part=filter]", "labelled")
        settle(page)
        assert status(page) == "6 of 20 prompts"
        set_value(page, "[data-part=filter]", "label-not-judge")
        settle(page)
        assert status(page) == "1 of 20 prompts" and f"{DPR} by the label" in detail(page)
        page.execute_script("document.querySelector('[data-part=swap]').click()")
        choose(page, "left", f"{DPO}, seed 2")
        assert "reward-not-judge-right" in page.execute_script(FILTERS)
        choose(page, "right", f"{DPR}, seed 1")  # no judge compared these
        assert "reward-not-judge" not in page.execute_script(FILTERS)
        assert complaints(page) == []
    finally:
        page.quit()
