"""The workflow with sets of prompts: the plan of the shipped ones, a whole run with two of this test's own."""

import json
from collections import Counter

import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.columns.responses import RESPONSE_COLUMNS
from workflow.conftest import LIBRARIES
from workflow.forks import Forks
from workflow.snakemake_copy import variables

CHECK = "def short(response, row):\n    return 1 / 0 if row['n'] == 0 else len(response) < row['n']\n"


def test_the_plan_has_the_jobs_of_the_shipped_sets_and_those_of_the_eval_split_as_before(fresh):
    before = fresh.plan("--config", "judge=reward")
    sets = ["alpaca_eval", "mt_bench", "arena_hard"]
    fresh.configure(lambda config: config.update(prompts=sets, judge="reward"))
    plan = fresh.plan()
    assert {job for job in before if job.rule != "write_spec"} <= plan
    counted = Counter(job.rule for job in plan - before)
    assert counted.pop("write_spec") == 6 and counted.pop("measure_contamination") == 1
    # six runs; against the baseline run five of them, and all against AlpacaEval's references
    assert counted == {"prepare_prompts": 3, "answer_prompts": 18, "judge_prompts": 21}


def with_sets(config, folder):
    """Two runs of the small config under two decodings, and two sets: questions of its world with references, which are
    answered under both, and two turns that are checked, under the first.
    """
    pairs = pd.read_parquet(folder / "results/data/small/eval.parquet").head(6)
    rows = [
        {"q": row.prompt, "a": row.chosen, "kind": ["even", "odd"][i % 2]} for i, row in enumerate(pairs.itertuples())
    ]
    turns = [{"prompt": [row["q"], "And then?"], "n": 10 * i} for i, row in enumerate(rows)]
    for name, content in (("world", rows), ("turns", turns)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    (folder / "config/judges/short").mkdir()
    (folder / "config/judges/short/judge.yaml").write_text(
        "kind: check\nfunction: check.py:short\nmax_failed_share: 0.5\n"
    )
    (folder / "config/judges/short/check.py").write_text(CHECK)
    columns = {"prompt": "q", "reference": "a", "category": "kind"}
    config["definitions"]["prompts"] = {
        "worldly": {"path": "world.jsonl", "columns": columns, "judge": "gold", "decodings": "all"},
        "turns": {"path": "turns.jsonl", "judge": "short"},
    }
    config["prompts"] = ["worldly", "turns"]
    config["tasks"], config["decoding"] = config["tasks"][:2], ["short", "greedy"]


@pytest.mark.slow
def test_a_run_answers_and_is_judged_on_sets(copied):
    results = copied.folder / "results"
    made = {path: path.read_bytes() for path in results.glob("verdicts/**/eval-vs-*.parquet")}
    copied.configure(lambda config: with_sets(config, copied.folder))
    with Forks(LIBRARIES, variables() | {"OMP_WAIT_POLICY": "passive"}) as forks:
        copied.snakemake(python=forks.as_python())
        assert copied.plan() == set()
        copied.edit("config/judges/short/check.py", "<", "<=")
        assert {job.rule for job in copied.plan()} >= {"judge_prompts", "compute_winrate"}
        assert {job.wildcards[-2] for job in copied.plan() if job.rule == "judge_prompts"} == {"turns"}
    assert made and all(path.read_bytes() == content for path, content in made.items())
    place = results / "responses/small/tiny/dpo-beta0.1/seed1/prompts"
    answers = pq.read_table(place / "turns.parquet").to_pylist()
    assert list(answers[0]) == [*RESPONSE_COLUMNS, "category"]
    assert [turn["role"] for turn in answers[0]["prompt"]] == ["user", "assistant", "user"]
    assert answers[0]["prompt"][2]["content"] == "And then?"
    rates = pd.read_csv(results / "winrate.csv")
    assert list(dict.fromkeys(rates["set"])) == ["eval", "worldly", "turns", "all"]
    assert set(rates.loc[rates["decoding"] == "greedy", "set"]) == {"eval", "worldly"}
    greedy = results / "responses/small/tiny/dpo-beta0.1/seed1/greedy/prompts/worldly.parquet"
    assert pq.read_table(greedy)["response"] != pq.read_table(place / "worldly.parquet")["response"]
    rows = rates[rates["decoding"] == "short"].set_index(["set", "run", "baseline"])
    checked = rows.loc["turns", "dpo-beta0.1", "check"]
    lengths = [(len(turns["prompt"][1]["content"]), len(turns["response"])) for turns in answers]
    right = [sum(length < 10 * i for length in both) / 2 for i, both in enumerate(lengths)][1:]
    assert checked["win_rate"] == pytest.approx(100 * sum(right) / 5)
    assert (checked["n"], checked["unparsed"]) == (10, 2)  # the first prompt's turns divide by zero
    over = rows.loc["all", "sft", "dpo-beta0.1"]["win_rate"]
    each = [rows.loc[name, "sft", "dpo-beta0.1"]["win_rate"] for name in ("worldly", "turns")]
    assert over == pytest.approx(sum(each) / 2, abs=1e-3)  # of six digits
    kinds = pd.read_csv(results / "winrate_by_category.csv")
    assert set(kinds["category"]) == {"even", "odd"} and set(kinds["set"]) == {"worldly"}
    found = json.loads((results / "contamination/small.json").read_text())
    assert set(found) == {"worldly", "turns"}
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "worldly" in page and "On which prompts" in page
