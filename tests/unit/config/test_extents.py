"""How long runs train: budgets, as many steps or seconds as another run, and controls."""

import pytest
from fixtures_config import refusal, settings, shown

from pipeline.config.extents import budget_spec, extent_of
from pipeline.config.sweep import METHODS, method_defaults

DPO, DPR = {"method": "dpo"}, {"method": "dpr", "g": 0.6, "gamma": 0.0}
PLAIN = {"dpo": "dpo", "dpr": "dpr-g0.6-gamma0"}


def made(*tasks, **changes):
    """The settings, and each run's extent by its name."""
    found = settings(tasks=list(tasks), **changes)
    return found, {run.name: extent_of(found, run) for run in found.task_runs.values() if run.trained}


def test_each_kind_of_budget_names_its_run_and_is_its_extent():
    budgets = [{"steps": 30}, {"tokens": "2e6"}, {"seconds": 600}, {"relative": 1.5}]
    _, extents = made(DPO, DPR | {"budget": budgets}, baseline="dpo")
    tokens, seconds, relative = (
        f"dpr-budget_{end}-g0.6-gamma0" for end in ("tokens2000000", "seconds600", "relative1.5")
    )
    assert extents == {
        "dpo": {"epochs": 1.0, "global_batch_size": 32},
        "dpr-max_steps30-g0.6-gamma0": {"max_steps": 30},
        tokens: {"budget": {"tokens": 2e6}, "run": tokens},
        seconds: {"budget": {"seconds": 600.0}, "run": seconds},
        relative: {"budget": {"relative": 1.5}, "run": relative, "of": "dpo"},
    }


def test_a_budget_of_steps_is_the_run_of_these_max_steps():
    found, _ = made(DPO, DPO | {"budget": {"steps": 30}}, DPO | {"max_steps": 30}, baseline="dpo")
    assert list(found.task_runs) == ["dpo", "dpo-max_steps30"]


def test_rounds_that_each_have_all_prompts_have_as_many_epochs_each():
    rounds = {"method": "iterated_dpo", "epochs": 2}
    _, extents = made(DPO, rounds, rounds | {"rounds": 4, "round_prompts": "all"}, baseline="dpo")
    assert extents["iterated_dpo-epochs2"] == {"epochs": 2.0, "global_batch_size": 32}
    assert extents["iterated_dpo-epochs2-rounds4-round_prompts_all"]["epochs"] == 8.0


def test_steps_like_follows_the_other_run_as_far_as_its_spec_says_it():
    like = DPO | {"steps_like": "dpr"}
    for changes, extent in (
        ({}, {"epochs": 1 / (1 - 0.6), "global_batch_size": 32}),
        ({"epochs": 3, "global_batch_size": 8}, {"epochs": 3 / (1 - 0.6), "global_batch_size": 8}),
        ({"max_steps": 70}, {"max_steps": 70}),
    ):
        found, extents = made(DPO, like, DPR | changes, baseline="dpo")
        assert extents["dpo-steps_like_dpr"] == extent
        assert found.policy_spec("world", "W1M", "dpo-steps_like_dpr")["extent"] == extent
    found, extents = made(DPO, like, DPR | {"budget": {"tokens": 5}}, baseline="dpo")
    other = "dpr-budget_tokens5-g0.6-gamma0"
    assert extents["dpo-steps_like_dpr"] == {"budget": {"tokens": 5.0}, "run": other}
    # a change of the other run may change its steps, so it is in the spec
    spec = found.policy_spec("world", "W1M", "dpo-steps_like_dpr")["extent"]
    assert spec["hyperparameters"] == found.task_runs[other].hyperparameters


def test_a_method_that_does_not_count_by_pairs_tells_its_steps_in_its_record(monkeypatch):
    found, _ = made(DPO, DPO | {"steps_like": "dpr"}, DPR, baseline="dpo")
    monkeypatch.delattr("pipeline.methods.dpr.description.BY_PAIRS")
    assert extent_of(found, found.task_runs["dpo-steps_like_dpr"]) == {"run": PLAIN["dpr"]}


def test_as_many_seconds_as_another_run():
    found, extents = made(DPO, DPO | {"seconds_like": "dpr"}, DPR | {"epochs": 2}, baseline="dpo")
    name = "dpo-seconds_like_dpr"
    assert extents[name] == {"budget": {"relative": 1.0}, "run": name, "of": "dpr-epochs2-g0.6-gamma0"}
    spec = budget_spec(found, "world", "W1M", name)
    assert spec["budget"] == {"relative": 1.0} and spec["extent"]["epochs"] == 2 / (1 - 0.6)
    assert (spec["run"]["method"], spec["other"]["method"]) == ("dpo", "dpr")
    for part in ("run", "other"):
        assert not {"epochs", "max_steps", "seconds_like"} & set(spec[part]["hyperparameters"])
    assert spec["other"]["reward_model"] == "world"


def test_a_budget_of_all_tasks_gives_way_to_a_task_s_own_extent():
    tasks = [DPO, DPO | {"epochs": 2}, DPO | {"steps_like": "dpo-epochs2"}, DPO | {"budget": {"tokens": 7}}]
    _, extents = made(*tasks, policy={"budget": {"seconds": 600}}, baseline="dpo")
    assert [next(iter(extent)) for extent in extents.values()] == ["budget", "epochs", "epochs", "budget"]
    assert extents["dpo"]["budget"] == {"seconds": 600.0} and extents["dpo-budget_tokens7"]["budget"] == {"tokens": 7.0}


def test_what_is_left_out_is_in_no_spec():
    found, _ = made(DPO, DPR)
    hyperparameters = found.policy_spec("world", "W1M", PLAIN["dpr"])["hyperparameters"]
    assert not [key for key in hyperparameters if key.startswith(("budget", "steps_like", "seconds_like"))]
    assert "rollout_policy" not in hyperparameters and "extent" not in found.policy_spec("world", "W1M", "dpo")
    assert all("budget" not in method_defaults(method) for method in METHODS)


@pytest.mark.parametrize(
    ("tasks", "text"),
    [
        ([DPO | {"budget": {"steps": 3}, "epochs": 1}], "tasks[0].budget: it stands beside epochs"),
        ([DPO | {"budget": {"steps": 3}, "max_steps": 3}], "tasks[0].budget: it stands beside max_steps"),
        ([DPO | {"steps_like": "dpr", "epochs": [1, 2]}, DPR], "tasks[0].steps_like: it stands beside epochs"),
        ([DPO | {"budget": {"seconds": 3}, "seconds_like": "dpr"}, DPR], "it stands beside seconds_like"),
        ([DPO | {"budget": {"steps": 3, "tokens": 4}}], "it must have exactly one of steps, tokens, seconds, relative"),
        ([DPO | {"budget": {"minutes": 3}}], "it must have exactly one of steps, tokens, seconds, relative"),
        ([DPO | {"budget": {"seconds": 0}}], "tasks[0].budget.seconds: it must be a number greater than 0"),
        ([DPO | {"budget": {"relative": 1}}], "relative to the baseline, but dpo-budget_relative1 is the baseline"),
        ([DPO | {"steps_like": "dpr"}], "tasks[0].steps_like: there is no run or method with a run 'dpr'"),
        ([DPO | {"steps_like": "dpo"}], "tasks[0]: the steps of each of these follow from the next"),
        ([DPO | {"seconds_like": "dpr"}, DPR | {"steps_like": "dpo"}], "follow from the next: dpo-seconds_like_dpr → "),
        ([{"method": "sft"}, DPO | {"steps_like": "sft"}], "tasks[1].steps_like: sft is not trained"),
        ([DPO, DPR | {"rollout_policy": "start", "max_age": 3}], "with rollout_policy start a pair never grows old"),
        ([DPO, DPR | {"rollout_policy": "start", "revkl": 0.1}], "the current policy's responses"),
        ([DPO | {"rollout_policy": "start"}], "tasks[0].rollout_policy: unknown key"),
        ([DPO, DPR | {"control_of": "dpp"}], "tasks[1].control_of: there is no run or method with a run 'dpp'"),
        ([DPO, DPR | {"control_of": "dpr"}], "dpr-g0.6-gamma0 cannot be a control of itself"),
    ],
)
def test_what_says_twice_or_nothing_is_refused(tasks, text):
    assert text in refusal(tasks=tasks)


def test_policy_refuses_two_extents_and_takes_no_other_run():
    assert "policy.budget: it stands beside epochs" in refusal(policy={"budget": {"steps": 3}, "epochs": 1})
    assert "policy.steps_like: unknown key" in refusal(policy={"steps_like": "dpr"})
    assert shown(refusal(tasks=[DPO | {"budget": {"relative": 1}}])) == {
        "tasks": [{"method": "dpo", "budget": {"seconds": 600}}]
    }


def test_controls_belong_to_the_run_that_they_name():
    tasks = [DPO, DPO | {"steps_like": "dpr", "control_of": ["dpr", "dpp"]}, DPR, {"method": "dpp"}]
    tasks.append(DPR | {"rollout_policy": "start", "control_of": "dpr"})
    found, extents = made(*tasks)  # with the default baseline, dpo: a control does not make it ambiguous
    like, start = "dpo-steps_like_dpr", "dpr-rollout_policy_start-g0.6-gamma0"
    assert (
        found.controls == {PLAIN["dpr"]: [like, start], "dpp": [like]} and found.baseline_run("world", "W1M") == "dpo"
    )
    assert extents[like]["epochs"] == extents[start]["epochs"] == 1 / (1 - 0.6)
    assert "control_of" not in found.policy_spec("world", "W1M", like)["hyperparameters"]


def test_the_seeds_of_sft_are_the_runs_with_seed_scope_all():
    assert settings(seed_scope="all").config["seed_scope"] == "all" and settings().config["seed_scope"] == "policy"
    assert "sft.seed: 3 would change nothing" in refusal(seed_scope="all", sft={"seed": 3})
