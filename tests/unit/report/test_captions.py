"""Captions of figures and tables in Snakemake's report."""

from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest

from pipeline.config.settings import Settings
from pipeline.config.summary import summary
from pipeline.figures.calibration import FIGURES as CALIBRATION_FIGURES
from pipeline.figures.winrates import FIGURES

CAPTIONS = sorted((Path(__file__).resolve().parents[3] / "rules" / "captions").glob("*.rst"))


@pytest.mark.parametrize("path", CAPTIONS, ids=lambda path: path.stem)
def test_captions_say_what_was_run(path):
    docutils = pytest.importorskip("docutils.core", reason="Snakemake brings docutils")
    tasks = [{"method": "dpo", "beta": [0.1]}, {"method": "dpr", "g": [0.3], "gamma": [0.0, 0.3]}]
    written = {"tag": "my_world", "datasets": ["world"], "models": ["W1M"], "seeds": [1, 2], "tasks": tasks}
    config = {"summary": summary(Settings.from_config(written)), "caveats": "", "front": "", "answer": ""}
    template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(path.read_text())
    text = template.render(snakemake=SimpleNamespace(config=config))
    body = docutils.publish_parts(text, writer="html", settings_overrides={"halt_level": 2})["body"]
    words = " ".join(body.split())
    assert "<strong>my_world</strong>: dataset world; model W1M; runs dpo-beta0.1, dpr-" in words
    assert "-g0.3-gamma0.3; seeds 1, 2. Judged on the eval split by gold; baseline run dpo-beta0.1." in words


def test_sets_of_prompts_are_named():
    written = {"tag": "t", "datasets": ["world"], "models": ["W1M"], "seeds": [1], "tasks": [{"method": "dpo"}]}
    text = summary(Settings.from_config(written | {"prompts": ["mt_bench", "alpaca_eval"], "judge": "reward"}))
    assert text.endswith("Besides, sets mt\\_bench, alpaca\\_eval of prompts, judged against dpo or references.")


def test_a_large_sweep_is_counted():
    tasks = [{"method": "dpo", "beta": [i / 100 for i in range(1, 31)]}, {"method": "ddp", "r": [0.3]}]
    written = {"tag": "t", "datasets": ["world", "U10"], "models": ["W1M"], "seeds": [1], "tasks": tasks}
    text = summary(Settings.from_config(written | {"baseline": "dpo-beta0.01"}))
    assert "runs 30 of dpo, 1 of ddp; seed 1. Judged on the eval split by gold (world), U (U10); baseline" in text


def test_each_figure_and_table_has_a_caption():
    assert {path.stem for path in CAPTIONS} >= {
        *FIGURES,
        *CALIBRATION_FIGURES,
        "agreement_vs_kl",
        "winrate_table",
        "cost_table",
        "winrate_vs_cost",
        "winrate_vs_cost_table",
        "score_comparison",
        "judge_quality",
        "calibration",
        "data_card",
    }
