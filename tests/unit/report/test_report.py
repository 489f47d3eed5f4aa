"""The report: text shown inert, one file without requests, same bytes twice."""

import base64
import contextlib
import hashlib
import json
import re
import shutil
import sqlite3
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from fixtures_data import plain, prepare_rows, row, write_jsonl
from fixtures_report import CARD, EVIL, build_report, render
from fixtures_results import DPO, DPR, put_checkpoints
from pages import embedded, unpacked

import compute_overoptimisation
from pipeline.data import preparation
from pipeline.figures.calibration import FIGURES as CALIBRATION_FIGURES
from pipeline.figures.winrates import FIGURES
from pipeline.jobs.io import InputError, write_json, write_parquet
from pipeline.metrics.judge_quality import judge_quality
from pipeline.report.calibration import read_calibration
from pipeline.report.cards import card_view
from pipeline.report.charts import page_script
from pipeline.report.embedding import Chunks, json_element
from pipeline.report.judgements import read_judgements
from pipeline.report.numbers import number
from pipeline.report.texts import plain_text, response_text
from pipeline.results.score_comparison import read_comparison
from pipeline.results.tables import read_table


class Page(HTMLParser):
    """Tags, their attributes and the text of a page."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)


def test_the_judges_stand_in_the_report_where_they_were_measured(built, tmp_path):
    assert 'id="judges"' not in (built / "report.html").read_text()
    shutil.copytree(built, tmp_path / "copy")
    place = tmp_path / "copy"
    verdicts = {
        **{"prompt_id": ["a", "a", "b", "b"], "run": "chosen", "seed": 0, "baseline": "rejected"},
        **{"order": ["ab", "ba"] * 2, "preference": [1.0, 1.0, 1.0, 0.0], "score_run": 1.0, "score_baseline": 0.0},
        **{"len_run": [5, 5, 1, 1], "len_baseline": 3, "judge": EVIL, "judge_model": "m", "request_key": ""},
    }
    measured = judge_quality(pd.DataFrame(verdicts).assign(status="parsed"), resamples=50)
    names = {"dataset": "world", "split": "eval", "judge": EVIL, "kind": "openai", "model": "m"}
    write_json(names | measured, place / "judge.json")
    section = render(place, extra=("--judges", str(place / "judge.json"))).read_text().split('id="judges"')[1]
    section = section.split("</section>")[0]
    assert "&lt;script&gt;" in section and "<script" not in section
    # agreement of the two pairs, kappa, the flip on swap
    assert re.findall(r'<td class="n">([\d.]+)<small>', section)[:3] == ["75.0", "0.50", "50.0"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of a finished report."""
    return build_report(tmp_path_factory.mktemp("built"), prompts=30).parent


def test_rewards_against_kl_stand_in_the_report_where_checkpoints_were_measured(built, tmp_path):
    assert 'id="overoptimisation"' not in (built / "report.html").read_text()
    place = shutil.copytree(built, tmp_path / "copy")
    put_checkpoints(place, place / "runs.yaml")
    csv = place / "over.csv"
    options = ["--output", str(csv), "--figure", str(place / "over.svg"), "--resamples", "20"]
    compute_overoptimisation.main(["--runs", str(place / "runs.yaml"), *options])
    page = render(place, extra=["--overoptimisation", str(csv)]).read_text(encoding="utf-8")
    assert "Reward against KL" in page and "chart-overoptimisation-0-1" in page


def test_the_page_holds_everything_and_asks_for_nothing(built):
    content = (built / "report.html").read_text()
    page = Page(content)
    text = " ".join(" ".join(page.text).split())
    few = "on fewer than 100 prompts: it wins"
    assert f"{DPR} beats {DPO} {few}" in text and f"DPR beats DPO {few}" in text
    assert "equal responses" in text and "and 10 more" in text
    specifications = embedded(content, "chart-specifications")
    places = [attributes["id"] for tag, attributes in page.tags if attributes.get("class") == "chart"]
    assert sorted(places) == sorted(specifications)
    names = {place.removeprefix("chart-").rsplit("-", 2)[0] for place in places}
    splits = {f"calibration-world-rm-{split}-{name}" for split in ("train", "eval") for name in CALIBRATION_FIGURES}
    assert names == {*FIGURES, "agreement_vs_kl"} | splits
    tags = [tag for tag, _ in page.tags]
    assert not {"iframe", "img", "object", "form"} & set(tags)
    for tag, attributes in page.tags:
        for key in ("href", "xlink:href", "src"):
            assert attributes.get(key, "#").startswith("#") or (tag == "link" and attributes[key] == "data:,")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'<a href="#([^"?]+)', content)) <= set(ids)
    assert "prefers-color-scheme: dark" in content and "@media print" in content
    index = embedded(content, "responses-index")
    assert index["groups"][0]["prompts"] == 30 and len(index["groups"][0]["columns"]) == 2 + 3 * 3


def test_only_the_scripts_of_the_page_itself_may_run(built):
    content = (built / "report.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', content)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "connect" not in policy
    assert "unsafe-eval" not in policy and "unsafe-inline" not in policy.split("style-src")[0]
    scripts = [unpacked(content, f"script-{name}") for name in ("charts", "page", "reading")]
    for script in (re.search("<script>(.*?)</script>", content, re.S)[1], *scripts):
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    assert policy.count("sha256-") == 4 and scripts[1] == page_script()
    assert not re.search(r"^(import|export) ", page_script(), re.MULTILINE)
    assert "BSD 3-Clause" in scripts[0] and "ISC License" in scripts[0] and "Temml 0.13.5: MIT License" in scripts[2]


def test_the_page_has_a_section_per_scored_split(built):
    content = (built / "report.html").read_text()
    section = content.split('id="rewards"')[1].split('<section id="training">')[0]
    text = " ".join(" ".join(Page(section).text).split())
    for split in ("train", "eval"):
        assert f"world, rm, split {split}" in text
        measured = json.loads((built / f"{split}.json").read_text())
        accuracy, brier = measured["accuracy"], measured["brier"]
        assert f"{100 * accuracy['value']:.1f} {100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f}" in text
        assert f"{brier['value']:.3f}" in text and f"{measured['ece']:.3f}" in text
        for name in CALIBRATION_FIGURES:
            assert f'id="figure-calibration-world-rm-{split}-{name}"' in section
    scores = read_comparison(built / "scores.csv")
    assert [score["run"] for score in scores] == ["sft", DPO, DPR]
    for score in scores:
        cells = [score[name] for name in ("response_score", "chosen_score", "rejected_score")]
        assert re.search(rf"{re.escape(score['run'])} 30 " + ".* ".join(number(cell, 2) for cell in cells), text)


def test_without_scored_splits_the_page_says_nothing_of_them(built, tmp_path):
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    content = render(tmp_path, "plain.html", rewards=()).read_text()
    assert "Calibration on the dataset" not in content and 'id="cost"' in content
    columns = embedded(content, "responses-index")["groups"][0]["columns"]
    assert "rejected" not in [column["run"] for column in columns]


def test_the_page_has_all_of_a_data_card(built, tmp_path):
    rows = [
        {"prompt": f"Is {number} or {number + 1} the larger?", "chosen": f"{number + 1}.", "rejected": "Both."}
        for number in range(60)
    ]
    rows += [rows[0], {"prompt": "Why?", "chosen": "So.", "rejected": "So."}]
    _, card = prepare_rows(tmp_path, rows, near_duplicates=0.8, limit=50)
    assert card["dropped"]["duplicate"] == card["dropped"]["equal_responses"] == 1 and len(card["samples"]) == 5
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    write_json(card, tmp_path / "card.json")
    section = render(tmp_path).read_text().split('<section id="data">')[1].split("</section>")[0]
    text = " ".join(" ".join(Page(section).text).split())
    assert f"rows_in {card['rows_in']} rows_out {card['rows_out']}" in text
    for reason, count in card["dropped"].items():
        assert f" {reason} {count} " in text
    overlap = card["contamination"]
    shown = [f"{name} {overlap[name]}" for name in ("words", "eval_prompts", "shared", "share")]
    assert f"contamination {' '.join(shown)}" in text and "near_duplicates threshold 0.8" in text
    for sample in card["samples"]:
        assert f"{sample['prompt']} {sample['chosen']} {sample['rejected']}" in text
    for title in ("Characters of a response", "Margin of a pair"):
        assert title in text
    for histogram, series in (("response_characters", ("chosen", "rejected")), ("margin", ("pairs",))):
        for name in series:
            assert sum(card["histograms"][histogram][name]) == card["rows_out"]
    assert section.count('class="histogram"') == 2


def test_a_faulty_calibration_is_named(built, tmp_path):
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    measured = json.loads((tmp_path / "eval.json").read_text())
    write_json({key: value for key, value in measured.items() if key != "ece"}, tmp_path / "eval.json")
    with pytest.raises(InputError, match=r"eval\.json: no key 'ece'"):
        read_calibration(tmp_path / "eval.json")


def test_the_report_has_the_same_bytes_twice(built):
    assert (built / "report.html").read_bytes() == render(built, "again.html").read_bytes()


def test_text_of_models_and_cards_is_inert(tmp_path):
    card = CARD | {"dataset": EVIL, EVIL: EVIL}
    path = build_report(tmp_path, card, prompts=3, text=lambda run, i: EVIL if i else "x" * 100_000)
    content = path.read_text()
    page = Page(content)
    assert not {"img", "b"} & {tag for tag, _ in page.tags}
    kinds = [attributes.get("type") for tag, attributes in page.tags if tag == "script"]
    assert kinds.count(None) == 1 and set(kinds) == {None, "application/gzip"}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in content and "&lt;b&gt;hello&lt;/b&gt;" in content
    assert "\x00" not in content and "\ufffd" in content and "😀" in content
    assert len(content) < 800_000, "a hundred kilobytes of one letter take next to no room"


def test_json_and_chunks_hold_no_markup():
    assert embedded(str(json_element("x", {"a": "</script>\u2028"})), "x") == {"a": "</script>\u2028"}
    chunks = Chunks()
    assert [chunks.add("</script>"), chunks.add_texts(["a", None, "b\x1ec"])] == [0, 1]
    assert chunks.add_columns([["a", None], ["b", "c"]]) == [[2, 0, 2], [2, 1, 2]]
    assert chunks.add_columns([["x" * 1_500_000, "y"], ["z", None]]) == [3, 4]
    page = str(chunks.markup())
    assert [unpacked(page, f"chunk-{i}") for i in (0, 2, 4)] == ["</script>", "a\x1eb\x1e\x1f\x1ec", "z\x1e\x1f"]
    assert re.fullmatch("[A-Za-z0-9+/=]+", "".join(chunks.contents))
    with pytest.raises(ValueError, match="Out of range float"):
        chunks.add_json([float("nan")])


def test_histograms_of_a_card_are_bars_and_the_rest_is_as_it_is(built, tmp_path):
    path = write_jsonl(tmp_path / "rows.jsonl", [row(number) | {"chosen": "x" * (number + 1)} for number in range(100)])
    card = preparation.prepare(plain(path), tmp_path / "data")
    view = card_view(card)
    assert view["name"] == "mine" and view["rest"] == {key: value for key, value in card.items() if key != "histograms"}
    lengths, margin = view["histograms"]
    assert (lengths["title"], lengths["series"], margin["note"]) == (
        "Characters of a response",
        ["chosen", "rejected"],
        "characters, chosen minus rejected",
    )
    assert [sum(bin[1][i][0] for bin in lengths["bins"]) for i in (0, 1)] == [100, 100]
    assert max(share for _, counts in lengths["bins"] for _, share in counts) == 100
    assert lengths["bins"][0][0].startswith("below ") and lengths["bins"][-1][0].startswith("from ")
    shutil.copytree(built, tmp_path / "built")
    write_json(card, tmp_path / "built" / "card.json")
    page = Page(render(tmp_path / "built").read_text())
    bars = [attributes for tag, attributes in page.tags if attributes.get("class") == "bar"]
    assert len(bars) == 2 * len(lengths["bins"]) + len(margin["bins"]) and "Margin of a pair" in page.text


@pytest.mark.parametrize(
    "histograms", [None, [], {}, {"x": 1}, {"x": {"edges": [1, 2], "y": [1, 2]}}, {"x": {"edges": [], "y": []}}]
)
def test_a_card_of_another_make_is_shown_as_it_is(histograms):
    card = {"rows": 1, "histograms": histograms}
    assert (card_view(card)["rest"], card_view(card)["histograms"]) == (card, [])


def test_replies_of_judges_are_read_from_their_stores(tmp_path):
    assert read_judgements(tmp_path / "none") == {}
    with contextlib.closing(sqlite3.connect(tmp_path / "pp.sqlite")) as store:
        store.execute("create table replies (key, attempt, content, refusal, body)")
        replies = [("a", 1, "first", None, "{}"), ("a", 2, "second", None, "{}"), ("b", 1, None, "I will not", "{}")]
        store.executemany("insert into replies values (?, ?, ?, ?, ?)", [*replies, ("c", 1, None, None, "{x")])
        store.commit()
    expected = {"a": "second", "b": "I will not", "c": "{x"}
    assert read_judgements(tmp_path) == read_judgements(tmp_path / "pp.sqlite") == expected
    (tmp_path / "um.sqlite").write_text("no store")
    with pytest.raises(InputError, match=r"um\.sqlite: not a store of a judge's replies"):
        read_judgements(tmp_path)


def test_the_table_of_results_has_a_row_per_run_opponent_and_seed(built):
    content = embedded((built / "report.html").read_text(), "results-table")
    frame = read_table(built / "winrate.csv")
    runs = [line for line in content["rows"] if not line["seeded"]]
    seeds = [line for line in content["rows"] if line["seeded"]]
    assert len(runs) == len(frame) == 5 and len(seeds) == 15 and not content["selected"]
    for line, (_, expected) in zip(runs, frame.iterrows(), strict=True):
        assert (line["run"], line["against"], line["seed"]) == (expected["run"], expected["baseline"], "1 2 3")
        assert line["win_rate"] == expected["win_rate"] and line["tag"] == "test"
        of_run = [one for one in seeds if (one["run"], one["against"]) == (line["run"], line["against"])]
        assert np.mean([one["win_rate"] for one in of_run]) == pytest.approx(line["win_rate"], rel=1e-5)
    assert "training_seconds" in runs[-1] and content["hyper"] == []


def test_dialogues_are_shown_with_their_roles():
    messages = np.array([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}], dtype=object)
    assert plain_text(messages) == "user: Hi\n\nassistant: Yes?"
    assert plain_text(None) == "" and plain_text(float("nan")) == ""
    assert response_text(messages[1:]) == "Yes?" and response_text(messages).startswith("user: Hi")


def test_faults_are_named(built, tmp_path, capsys):
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    (tmp_path / "card.json").write_text("[1]")
    with pytest.raises(InputError, match="a data card must be a JSON object, not list"):
        render(tmp_path, "other.html")
    write_json(CARD | {"samples": []}, tmp_path / "card.json")
    with pytest.raises(SystemExit):
        render(tmp_path, "other.html", extra=["--pairs", "scored.parquet"])
    assert "argument --pairs: 'scored.parquet' is not DATASET=FILE" in capsys.readouterr().err
    write_parquet(pd.DataFrame({"request_key": ["a"], "reply": [1]}), tmp_path / "replies.parquet")
    with pytest.raises(InputError, match=r"replies.parquet: row 0: reply is 1; it must be text"):
        read_judgements(tmp_path / "replies.parquet")
    assert not (tmp_path / "other.html").exists()
    assert not read_table(tmp_path / "cost.csv").empty
