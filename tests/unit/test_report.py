"""The report: the answer in words, text shown inert, one file without requests, same bytes twice."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import jinja2
import numpy as np
import pandas as pd
import pytest
from fixtures_data import plain, row, write_jsonl
from fixtures_results import DPO, DPR, build_results, pair_scores
from pipeline.report.samples import plain_text
from pipeline.report.svg import inline_svg

import compare_scores
import compute_cost
import compute_winrate
import measure_calibration
import plot_figures
import render_report
from pipeline.data import preparation
from pipeline.io import InputError, write_json
from pipeline.judge_quality import judge_quality
from pipeline.report import FIGURES, interval, number
from pipeline.report.calibration import FIGURES as CALIBRATION_FIGURES
from pipeline.report.calibration import read_calibration
from pipeline.report.cards import card_view
from pipeline.report.findings import caveats, group_findings
from pipeline.run_table import read_run_table
from pipeline.score_comparison import read_comparison
from pipeline.tables import read_table, winrate_table

CAPTIONS = sorted((Path(__file__).resolve().parents[2] / "rules" / "captions").glob("*.rst"))
REWARDS = ("--scores", "scores.csv", "--calibration", "train.json", "eval.json")
EVIL = "<script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)> **bold** 😀 \u202eabc\x00"
CARD = {
    "dataset": "world",
    "rows_in": 10,
    "rows_out": 8,
    "dropped": {"equal responses": 2},
    "splits": {"train": 6, "eval": 2},
    "samples": [{"prompt": "<b>hello</b>", "chosen": "yes", "rejected": "\ud800 no"}],
    "histogram": {"bins": list(range(60)), "unknown": None},
}


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


def build(tmp_path, card=CARD, **options):
    """All the steps from a run table to the report; its path."""
    path = str(build_results(tmp_path, **options))
    places = {name: str(tmp_path / name) for name in ("winrate.csv", "cost.csv", "figures", "card.json", "report.html")}
    (tmp_path / "card.json").write_text(json.dumps(card))
    compute_winrate.main(["--runs", path, "--output", places["winrate.csv"], "--resamples", "200"])
    compute_cost.main(["--runs", path, "--output", places["cost.csv"]])
    plot_figures.main(["--runs", path, "--winrate", places["winrate.csv"], "--output-dir", places["figures"]])
    scored = pair_scores(tmp_path / "scored.parquet", options.get("prompts", 40))
    compare_scores.main(["--runs", path, "--pairs", f"world={scored}", "--output", str(tmp_path / "scores.csv")])
    for split in ("train", "eval"):
        names = ["--dataset", "world", "--reward-model", "rm", "--split", split, "--resamples", "50"]
        written = ["--output", str(tmp_path / f"{split}.json"), "--figures", str(tmp_path / split)]
        measure_calibration.main(["--scored", str(scored), *names, *written])
    return render(tmp_path)


def render(
    tmp_path, name="report.html", rewards=("--scores", "scores.csv", "--calibration", "train.json", "eval.json")
):
    arguments = ["--runs", "runs.yaml", "--winrate", "winrate.csv", "--cost", "cost.csv", "--figures", "figures"]
    arguments += ["--cards", "card.json", *rewards, "--output", name]
    render_report.main([part if part.startswith("--") else str(tmp_path / part) for part in arguments])
    return tmp_path / name


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
    section = render(place, rewards=(*REWARDS, "--judges", "judge.json")).read_text().split('id="judges"')[1]
    section = section.split("</section>")[0]
    assert "&lt;script&gt;" in section and "<script" not in section
    # agreement of the two pairs, kappa, the flip on swap
    assert re.findall(r'<td class="n">([\d.]+)<small>', section)[:3] == ["75.0", "0.50", "50.0"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of a finished report."""
    return build(tmp_path_factory.mktemp("built"), prompts=30).parent


def test_the_page_holds_everything_and_asks_for_nothing(built):
    content = (built / "report.html").read_text()
    page = Page(content)
    text = " ".join(" ".join(page.text).split())
    assert f"{DPR} beats {DPO}: it wins" in text
    assert "Responses side by side" in text and f"{DPR} answers 0." in text and "Question 29?" not in text
    assert "equal responses" in text and "and 10 more" in text
    tags = [tag for tag, _ in page.tags]
    assert tags.count("svg") == len(FIGURES) + 2 * len(CALIBRATION_FIGURES) == 10
    assert not {"script", "link", "iframe", "img", "object", "form"} & set(tags)
    for _, attributes in page.tags:
        for key in ("href", "xlink:href", "src"):
            assert attributes.get(key, "#").startswith("#")
    assert not re.findall(r"url\((?!#)|@import", content)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = set(re.findall(r"url\(#([^)]+)\)", content)) | set(re.findall(r'href="#([^"]+)"', content))
    assert used <= set(ids)
    assert "prefers-color-scheme: dark" in content


def test_the_page_has_a_section_per_scored_split(built):
    content = (built / "report.html").read_text()
    section = content.split('id="rewards"')[1].split('<section id="cost">')[0]
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


def test_without_scored_splits_the_page_has_no_such_section(built, tmp_path):
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    content = render(tmp_path, "plain.html", rewards=()).read_text()
    assert 'id="rewards"' not in content and '#rewards"' not in content and 'id="cost"' in content


def test_a_faulty_calibration_is_named(built, tmp_path):
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    measured = json.loads((tmp_path / "eval.json").read_text())
    (tmp_path / "eval/margins.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>")
    with pytest.raises(InputError, match=r"margins\.svg: holds active content"):
        read_calibration(tmp_path / "eval.json")
    write_json({key: value for key, value in measured.items() if key != "ece"}, tmp_path / "eval.json")
    with pytest.raises(InputError, match=r"eval\.json: no key 'ece'"):
        read_calibration(tmp_path / "eval.json")


def test_the_report_has_the_same_bytes_twice(built):
    assert (built / "report.html").read_bytes() == render(built, "again.html").read_bytes()


def test_text_of_models_and_cards_is_inert(tmp_path):
    card = CARD | {"dataset": EVIL, EVIL: EVIL}
    content = build(tmp_path, card, prompts=3, text=lambda run, i: EVIL if i else "x" * 100_000).read_text()
    page = Page(content)
    assert not {"script", "img", "b"} & {tag for tag, _ in page.tags}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in content and "&lt;b&gt;hello&lt;/b&gt;" in content
    assert "\x00" not in content and "\ufffd" in content and "😀" in content
    assert len(content) < 400_000 and "and 96000 more characters" in " ".join("".join(page.text).split())
    assert "default-src 'none'" in content


def test_histograms_of_a_card_are_bars_and_the_rest_is_as_it_is(tmp_path):
    path = write_jsonl(tmp_path / "rows.jsonl", [row(number) | {"chosen": "x" * (number + 1)} for number in range(100)])
    card = preparation.prepare(plain(path), tmp_path / "data")
    view = card_view(card)
    assert view.name == "mine" and view.rest == {key: value for key, value in card.items() if key != "histograms"}
    lengths, margin = view.histograms
    assert (lengths.title, lengths.series, margin.note) == (
        "Characters of a response",
        ["chosen", "rejected"],
        "characters, chosen minus rejected",
    )
    assert [sum(bin[1][i][0] for bin in lengths.bins) for i in (0, 1)] == [100, 100]
    assert max(share for _, counts in lengths.bins for _, share in counts) == 100
    assert lengths.bins[0][0].startswith("below ") and lengths.bins[-1][0].startswith("from ")
    content = build(tmp_path, card, prompts=3).read_text()
    page = Page(content)
    bars = [attributes for tag, attributes in page.tags if attributes.get("class") == "bar"]
    assert len(bars) == 2 * len(lengths.bins) + len(margin.bins) and "Margin of a pair" in page.text


@pytest.mark.parametrize(
    "histograms", [None, [], {}, {"x": 1}, {"x": {"edges": [1, 2], "y": [1, 2]}}, {"x": {"edges": [], "y": []}}]
)
def test_a_card_of_another_make_is_shown_as_it_is(histograms):
    card = {"rows": 1, "histograms": histograms}
    assert (card_view(card).rest, card_view(card).histograms) == (card, [])


def rows(tmp_path, shifts, seeds=(1, 2, 3), prompts=10):
    table = read_run_table(build_results(tmp_path, seeds=seeds, prompts=prompts))
    frame = winrate_table(table, resamples=50)
    for (run, baseline), values in shifts.items():
        chosen = (frame["run"] == run) & (frame["baseline"] == baseline)
        frame.loc[chosen, list(values)] = list(values.values())
    return table, frame


def rate(middle, width, column="win_rate"):
    return {column: middle, f"{column}_low": middle - width, f"{column}_high": middle + width}


@pytest.mark.parametrize(
    ("direct", "difference", "verdict", "words"),
    [
        (rate(60, 5), rate(12, 3, "difference"), "better", "12.0 percentage points above that of dpo-beta0.1"),
        (rate(52, 5), rate(1, 3, "difference"), "no clear difference", "No clear difference between dpr"),
        (rate(40, 5), rate(-9, 3, "difference"), "worse", "loses to dpo-beta0.1: it wins 40.0% (95% interval 35.0%"),
        (rate(60, 5), rate(-9, 3, "difference"), "better", "contradict each other"),
        (rate(55, 5), rate(-1, 3, "difference"), "no clear difference", "−1.0 percentage points"),
    ],
)
def test_the_answer_follows_the_interval(tmp_path, direct, difference, verdict, words):
    table, frame = rows(tmp_path, {(DPR, DPO): direct, (DPR, "chosen"): difference})
    answer = group_findings(table, frame, ("world", "W1M"))
    finding = answer.runs[-1]
    assert finding.run == DPR and finding.verdict == verdict and words in finding.text
    assert answer.headline == finding.text
    assert [found.run for found in answer.runs] == ["sft", DPO, DPR]


def test_without_direct_verdicts_the_difference_decides(tmp_path):
    table, frame = rows(tmp_path, {(DPR, "chosen"): rate(12, 3, "difference")})
    frame = frame[(frame["run"] != DPR) | (frame["baseline"] == "chosen")]
    finding = group_findings(table, frame, ("world", "W1M")).runs[-1]
    assert finding.verdict == "better" and f"the win rate of {DPR} is" in finding.text


def test_a_missing_interval_is_no_clear_difference(tmp_path):
    table, frame = rows(tmp_path, {}, seeds=(1,), prompts=1)
    finding = group_findings(table, frame, ("world", "W1M")).runs[-1]
    assert finding.verdict == "no clear difference" and "too few prompts for an interval" in finding.text


def test_caveats_name_few_seeds_and_unparsed_verdicts(tmp_path):
    table, frame = rows(tmp_path, {(DPR, DPO): {"unparsed": 4}}, seeds=(1,), prompts=10)
    notes = " ".join(caveats(table, frame))
    assert "single seed" in notes and "4 of 54 verdicts were not parsed" in notes
    assert caveats(*rows(tmp_path / "five", {}, seeds=(1, 2, 3, 4, 5))) == []


def test_numbers_for_readers():
    assert number(1.25, 1) == "1.2" and number(-3.14159, 2) == "−3.14" and number(2, 1, True) == "+2.0"
    assert number(-0.01, 1) == "0.0" and number(np.nan) == "–" and number("") == "–"
    assert interval({"x_low": -1.0, "x_high": 2.0}, "x") == "−1.0 to 2.0"
    assert interval({"x_low": np.nan, "x_high": np.nan}, "x") == ""


def test_dialogues_are_shown_with_their_roles():
    messages = np.array([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}], dtype=object)
    assert plain_text(messages) == "user: Hi\n\nassistant: Yes?"
    assert plain_text(None) == "" and plain_text(float("nan")) == ""


@pytest.mark.parametrize(
    "inner",
    ["<script>1</script>", '<a href="#x">x</a>', '<rect onclick="x()"/>', '<use href="http://evil.example/x"/>', "<g>"],
)
def test_a_drawing_that_acts_is_refused(tmp_path, inner):
    path = tmp_path / "winrate.svg"
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg">{inner}</svg>')
    with pytest.raises(InputError, match=r"winrate\.svg"):
        inline_svg(path, "winrate", "Win rates")


def test_faults_are_named(built, tmp_path):
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    (tmp_path / "card.json").write_text("[1]")
    with pytest.raises(InputError, match="a data card must be a JSON object, not list"):
        render(tmp_path, "other.html")
    write_json(CARD | {"samples": []}, tmp_path / "card.json")
    (tmp_path / "figures" / "reward.svg").unlink()
    with pytest.raises(InputError, match=r"reward\.svg: cannot be read"):
        render(tmp_path, "other.html")
    assert not (tmp_path / "other.html").exists()
    assert not read_table(tmp_path / "cost.csv").empty


@pytest.mark.parametrize("path", CAPTIONS, ids=lambda path: path.stem)
def test_captions_say_what_was_run(path):
    docutils = pytest.importorskip("docutils.core", reason="Snakemake brings docutils")
    config = {"tag": "world", "seeds": [1, 2], "tasks": [{"method": "dpo"}, {"method": "dpr"}]}
    template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(path.read_text())
    text = template.render(snakemake=SimpleNamespace(config=config))
    body = docutils.publish_parts(text, writer="html", settings_overrides={"halt_level": 2})["body"]
    assert "<strong>world</strong>, seeds 1, 2; methods: dpo, dpr." in body


def test_each_figure_and_table_has_a_caption():
    assert {path.stem for path in CAPTIONS} >= {
        *FIGURES,
        *CALIBRATION_FIGURES,
        "winrate_table",
        "cost_table",
        "score_comparison",
    }
