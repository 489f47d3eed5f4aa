"""Losses by their names, and what the methods of TRL refuse and ask."""

from fixtures_config import MINIMAL, settings, with_task

from pipeline.config.named_losses import LOSSES


def test_a_named_loss_is_its_method_with_that_loss_under_its_own_name():
    tasks = [*MINIMAL["tasks"], {"method": "ipo"}, {"method": "simpo", "beta": [2.0, 2.5], "control_of": "ipo"}]
    config = settings(tasks=tasks, baseline="ipo", policy={"beta": 0.2})
    runs = config.task_runs
    assert list(runs)[-3:] == ["ipo-beta0.2", "simpo-beta2", "simpo-beta2.5"]
    assert (runs["ipo-beta0.2"].method, runs["ipo-beta0.2"].hyperparameters["loss_type"]) == ("dpo", "ipo")
    simpo = config.policy_spec("world", "W1M", "simpo-beta2")
    assert (simpo["method"], simpo["hyperparameters"]["cpo_alpha"]) == ("cpo", 0) and "reward_model" not in simpo
    assert config.baseline_run("world", "W1M") == "ipo-beta0.2"
    assert config.controls == {"ipo-beta0.2": ["simpo-beta2", "simpo-beta2.5"]}


def test_the_same_run_by_either_name_is_one():
    tasks = [{"method": "dpo"}, {"method": "ipo"}, {"method": "dpo", "loss_type": "ipo"}]
    assert list(settings(tasks=tasks).task_runs) == ["dpo", "ipo"]


def test_a_named_loss_takes_no_other_loss():
    assert "tasks[2].loss_type: unknown key; with method ipo" in with_task(method="ipo", loss_type="sigmoid")
    assert "the loss exo_pair needs it to be above 0" in with_task(method="exo")
    assert all({"method", "loss_type"} <= set(fixed) for fixed in LOSSES.values())


def test_methods_that_learn_from_rewards_ask_the_reward_model():
    tasks = [{"method": name} for name in ("dpo", "kto", "online_dpo", "grpo", "rloo")]
    config = settings(tasks=tasks)
    asked = {run: config.policy_spec("world", "W1M", run).get("reward_model") for run in config.task_runs}
    assert asked == {"dpo": None, "kto": None, **dict.fromkeys(("online_dpo", "grpo", "rloo"), "world")}


def test_sizes_of_groups_have_to_fit():
    text = with_task(method="grpo", global_batch_size=12)
    assert "global_batch_size: 12 in run grpo" in text and "a multiple of num_generations, 8" in text
    text = with_task(method="rloo", global_batch_size=8, generation_batch_size=12)
    assert "generation_batch_size: 12 in run rloo" in text and "a multiple of global_batch_size, 8" in text


def test_a_loss_that_all_share_is_that_of_the_methods_that_know_it():
    runs = settings(tasks=[{"method": "dpo"}, {"method": "kto"}], policy={"loss_type": "hinge"}).task_runs
    assert [run.hyperparameters["loss_type"] for run in runs.values()] == ["hinge", "kto"]


def test_what_a_loss_does_not_read_is_refused():
    assert "simpo has" in with_task(method="cpo", simpo_gamma=0.7)
    assert "the loss hinge does not know it; sigmoid, simpo do" in with_task(
        method="cpo", loss_type="hinge", label_smoothing=0.1
    )
