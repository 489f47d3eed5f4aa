"""What only some datasets and judges have: unlabelled rows, kinds of questions, and parts of verdicts."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.config.judges import gives_parts, read_judge
from pipeline.config.settings import ConfigError
from pipeline.plan.budgets import budget_runs
from pipeline.plan.unlabelled import (
    budget_unlabelled,
    file_arguments,
    partly_labelled,
    sft_unlabelled,
    unlabelled_files,
)

WORLD = {"source": "world", "size": 160, "eval_size": 32, "selection_size": 16, "reward_model": "tiny", "judge": "gold"}
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def world(small):
    """A function from changed keys of the small config's dataset to the plan."""

    def make(entry, **changed):
        definitions = small().settings.config["definitions"]
        given = {"models": definitions["models"], "reward_models": {"tiny": {"train": {"model": "tiny"}}}}
        return small(definitions={**given, "datasets": {"small": WORLD | entry}}, **changed)

    return make


def names(run):
    return SimpleNamespace(dataset="small", model="tiny", run=run, seed="1")


def test_unlabelled_rows_are_ddps_alone(world):
    plan = world({"unlabelled": 0.5})
    assert partly_labelled(plan) == ["small"] and partly_labelled(world({})) == []
    given = {}
    for run in plan.settings.task_runs:
        given[run] = unlabelled_files(plan, names(run))
        assert ("unlabelled" in plan.settings.policy_spec("small", "tiny", run)) == bool(given[run])
    assert {run.split("-")[0] for run, files in given.items() if files} == {"ddp", "mix"}
    ddp = names("ddp-beta0.1-r0.4-rho0.2")
    files = ["results/data/small/unlabelled.parquet", "results/reference/small/tiny/unlabelled.parquet"]
    assert list(unlabelled_files(plan, ddp).values()) == files
    assert file_arguments(unlabelled_files(plan, ddp)) == [
        "--unlabelled",
        files[0],
        "--unlabelled-reference",
        files[1],
    ]
    # a budget's job measures the run and the one whose seconds are meant
    tasks = [*plan.settings.config["tasks"], {"method": "dpo", "seconds_like": ddp.run}]
    tasks += [{"method": "ddp", "budget": {"seconds": 60}}, {"method": "dpo", "budget": {"seconds": 60}}]
    budgeted = world({"unlabelled": 0.5}, tasks=tasks, baseline="dpo-beta0.1")
    found = {run: budget_unlabelled(budgeted, names(run)) for run in budget_runs(budgeted)}
    assert len(found) == 3
    for run, its in found.items():
        assert list(its.values()) == ([] if run.startswith("dpo-budget") else files), run
    assert plan.settings.data_spec("small")["unlabelled"] == 0.5
    assert sft_unlabelled(plan, "small") == {}
    every = {"sft": {"responses": "all"}}
    assert sft_unlabelled(world({"unlabelled": 0.5}, **every), "small") == {"unlabelled": files[0]}
    before = world({}, **every)
    assert unlabelled_files(before, ddp) == sft_unlabelled(before, "small") == {}
    assert "unlabelled" not in before.settings.data_spec("small")


def test_the_second_edition_knows_kinds_of_questions_and_its_judge_parts(world):
    first, second = world({}), world({"edition": 2, "judge": "fair-gold"})
    assert first.parts_table() == first.source_table() == [] and "edition" not in first.settings.judge_spec("gold")
    assert second.parts_table() == ["results/parts.csv"]
    assert second.source_table() == ["results/winrate_by_source.csv"]
    assert second.mixes("eval") == {"small": "results/data/small/eval.parquet"} and second.mixed("small") == []
    for edition, judge in ((1, "fair-gold"), (2, "gold")):
        with pytest.raises(ConfigError, match=f"the dataset small is of edition {edition}"):
            world(({"edition": 2} if edition == 2 else {}) | {"judge": judge})


def test_judges_that_give_parts():
    spec, _ = read_judge("U", REPOSITORY, [])
    assert not gives_parts(spec) and gives_parts(spec | {"parts": ["facts"]})
    assert gives_parts(read_judge("fair-gold", REPOSITORY, [])[0])
    assert not gives_parts(read_judge("gold", REPOSITORY, [])[0])


def test_more_prompts_than_the_second_edition_has_are_refused(world):
    with pytest.raises(ConfigError, match="size: 2753; edition 2 has 2752 prompts where eval_size is 32"):
        world({"edition": 2, "judge": "fair-gold", "size": 2753})
