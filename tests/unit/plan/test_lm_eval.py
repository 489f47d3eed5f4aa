"""Benchmarks of lm-eval in a config: specs, files, what is refused."""

import re

import pytest
from fixtures_config import refusal, settings

from pipeline.config.lm_eval import VERSION
from pipeline.config.settings import ROOT
from pipeline.jobs.forecast import PlannedJob
from pipeline.jobs.io import InputError
from pipeline.plan.files import Plan
from pipeline.plan.forecast import Forecast
from pipeline.plan.lm_eval import alignment_tax_table, local_task_files
from pipeline.plan.specs import specs

OPTIONS = {"apply_chat_template": False, "confirm_run_unsafe_code": False}


def test_without_it_nothing_is_there(small):
    plan = small()
    assert alignment_tax_table(plan.settings) == local_task_files(plan.settings) == plan.files("lm_eval") == []
    assert not [name for name in specs(plan, {}) if name.startswith("lm_eval")]


def test_a_task_is_a_name_or_a_mapping_and_both_are_in_the_spec():
    given = {"task": "mmlu", "num_fewshot": 5, "limit": "0.1", "apply_chat_template": True}
    plan = Plan(settings(lm_eval=["gsm8k", given]))
    assert specs(plan, {})["lm_eval/W1M"]() == {
        "model": plan.settings.generation_spec("W1M")["model"],
        "lm_eval": VERSION,
        "tasks": [{"task": "gsm8k", **OPTIONS}, {"task": "mmlu", **OPTIONS, **given, "limit": 0.1}],
    }


def test_each_policy_is_measured_and_the_start_once(small):
    plan = small(lm_eval=["gsm8k"], seeds=[1, 2])
    sft, dpo, *_ = plan.settings.runs
    start = "results/lm_eval/starts/small/tiny.json"
    own = plan.run_files(dpo, 2, "eval")
    assert (own["lm_eval"], own["lm_eval_start"]) == (
        "results/lm_eval/policies/small/tiny/dpo-beta0.1/seed2.json",
        start,
    )
    assert plan.run_files(sft, 2, "eval")["lm_eval"] == start
    assert len(plan.files("lm_eval")) == 1 + 5 * 2 and plan.files("lm_eval_start") == [start]
    assert alignment_tax_table(plan.settings) == ["results/alignment_tax.csv"]


def test_each_seed_has_its_own_start_where_seeds_reach_it(small):
    plan = small(lm_eval=["gsm8k"], seeds=[1, 2], seed_scope="all")
    assert plan.files("lm_eval_start") == [f"results/lm_eval/starts/small/tiny/seed{seed}.json" for seed in (1, 2)]


def test_nobody_knows_what_it_takes(small, tmp_path):
    """Its tasks may be a hundred questions or the whole of mmlu."""
    plan = small(lm_eval=["gsm8k"])
    forecast = Forecast(plan, specs(plan, {}), [], tmp_path)
    start, run = {"dataset": "small", "model": "tiny"}, {"run": "dpo-beta0.1", "seed": "1"}
    times = str(tmp_path / "benchmarks/a.tsv")
    jobs = [PlannedJob("run_lm_eval_start", times, names=start), PlannedJob("run_lm_eval", times, names=start | run)]
    assert forecast.seconds(jobs) == [None, None]


@pytest.mark.parametrize(
    ("tasks", "told"),
    [
        ([], r"lm_eval: it must be a list of at least 1"),
        (["gsm8k", "gsm8k"], r"lm_eval: .*distinct"),
        ([{"task": "gsm8k", "limit": 0}], r"lm_eval\[0\].limit: it must be a number greater than 0"),
        ([{"task": "gsm8k", "num_fewshots": 5}], r"lm_eval\[0\].num_fewshots: .*did you mean 'num_fewshot'"),
        ([{"limit": 5}], r"lm_eval\[0\].task: missing"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(tasks, told):
    assert re.search(told, refusal(lm_eval=tasks))


def test_local_tasks_are_all_files_of_their_folder(tmp_path):
    made = settings(lm_eval=["gsm8k", {"task": "mine", "include_path": str(tmp_path / "tasks")}])
    with pytest.raises(
        InputError, match=r"config: lm_eval\[1\].include_path: .*tasks must be a local folder that has YAML"
    ):
        local_task_files(made)
    for name in ("mine.yaml", "deep/rows.jsonl", ".hidden", "utils.py", "__pycache__/utils.pyc"):
        (tmp_path / "tasks" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tasks" / name).touch()
    names = [path.removeprefix(f"{tmp_path}/tasks/") for path in local_task_files(made)]
    assert names == ["deep/rows.jsonl", "mine.yaml", "utils.py"]


def test_the_version_is_that_of_the_requirements():
    lines = (ROOT / "envs/requirements-lm-eval.txt").read_text().splitlines()
    assert f"lm_eval=={VERSION}" in lines
    packages = [line.partition("==")[0].lower() for line in lines if "==" in line]
    lock = (ROOT / "envs/requirements.lock").read_text().lower().replace("_", "-").splitlines()
    assert not {name.replace("_", "-") for name in packages} & {line.partition("==")[0] for line in lock}
    assert len(packages) == len(set(packages)) > 20
