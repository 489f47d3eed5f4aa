"""Hyperparameters that a run does not read, and the names of runs whose hyperparameters stand in different places."""

import inspect
import re

import pytest
from fixtures_config import refusal
from trl import DPOTrainer

from pipeline.config.errors import ConfigError
from pipeline.config.hyperparameters import LOSSES
from pipeline.config.sweep import expand
from pipeline.config.unread import SMOOTHED, WITHOUT_BETA


def runs(*tasks, **policy):
    return {run.name: run.hyperparameters for run in expand(list(tasks), policy, "config")}


def refused(*tasks, **policy):
    with pytest.raises(ConfigError) as caught:
        runs(*tasks, **policy)
    return str(caught.value)


def branches():
    """The lines of TRL's loss for each loss type."""
    source = inspect.getsource(DPOTrainer._compute_loss)
    parts = re.split(r'(?:el)?if loss_type == "(\w+)":', source.split("else:\n                raise ValueError")[0])
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_losses_read_what_trl_s_trainer_reads():
    found = branches()
    assert set(found) == set(LOSSES)
    assert {loss for loss, lines in found.items() if "self.label_smoothing" in lines} == set(SMOOTHED)
    last = LOSSES[-1]  # behind its branch stands the code that all losses share
    assert {loss for loss, lines in found.items() if "self.beta" not in lines} == set(WITHOUT_BETA) and last != "sft"


@pytest.mark.parametrize(
    ("task", "key", "why"),
    [
        (
            {"method": "dpo", "label_smoothing": [0.0, 0.1]},
            "label_smoothing",
            "the loss sigmoid does not know it; robu",
        ),
        (
            {"method": "dpo", "loss_type": "ipo", "label_smoothing": 0.1},
            "label_smoothing",
            "the loss ipo does not know",
        ),
        ({"method": "dpr", "label_smoothing": 0.1}, "label_smoothing", "the loss sigmoid does not know it"),
        ({"method": "dpo", "loss_type": "sft", "beta": [0.1, 0.2]}, "beta", "the loss sft does not know it"),
        ({"method": "dpr", "loss_type": "sft", "gamma": 0, "beta": 0.2}, "beta", "the loss sft does not know it"),
        ({"method": "dpo", "max_steps": 10, "epochs": [1, 2]}, "epochs", "max_steps, 10, takes its place"),
        (
            {"method": "dpo", "lr_scheduler": "constant", "warmup_steps": 9},
            "warmup_steps",
            "the schedule constant has no",
        ),
        ({"method": "mix", "p": 0.2, "rho": [0.1, 0.3]}, "rho", "r is 0, so there are no such rows"),
        ({"method": "dpr", "g": 0, "gamma": 0.3}, "gamma", "g is 0, so there are no such rows"),
        (
            {"method": "mix", "p": 0.2, "label_draw": "bernoulli"},
            "label_draw",
            "no row is labelled by the reward model",
        ),
        (
            {"method": "mix", "p": 0.2, "missing_eos_penalty": 1},
            "missing_eos_penalty",
            "no row is labelled by the reward",
        ),
        ({"method": "ddp", "r": 0, "estimator": "upstream"}, "estimator", "no row has an extra gradient"),
        (
            {"method": "ddp", "rho": 0, "loss_type": "ipo", "estimator": "upstream"},
            *("estimator", "with the loss ipo there is no extra gradient"),
        ),
        ({"method": "mix", "r": 0.2, "max_age": [2, 4]}, "max_age", "no row has responses of the policy"),
        (
            {"method": "mix", "r": 0.2, "mask_truncated_completions": True},
            *("mask_truncated_completions", "no row has responses of the policy"),
        ),
        ({"method": "dpr", "upstream_scale": 8}, "upstream_scale", "the estimator exact has none"),
        (
            {"method": "dpr", "estimator": "upstream", "variance_baseline": "none"},
            *("variance_baseline", "the estimator upstream has none"),
        ),
        (
            {"method": "mix", "p": 0.2, "g": 0.2, "pi": 0, "gamma": 0, "variance_baseline": "none"},
            *("variance_baseline", "with pi and gamma at 0 the gradient has no response part"),
        ),
        ({"method": "dpr", "rollout_pairs": "extremes"}, "rollout_pairs", "two responses are one pair"),
        (
            {"method": "mix", "r": 0.2, "rollout_responses": 4},
            *("rollout_responses", "no row has responses of the policy"),
        ),
        ({"method": "rloo", "epsilon": 0.3}, "epsilon", "the policy does not change while its responses are trained"),
        (
            {"method": "grpo", "epsilon_high": 0.3, "global_batch_size": 16, "generation_batch_size": 16},
            *("epsilon_high", "the policy does not change while its responses are trained on"),
        ),
        (
            {"method": "grpo", "loss_type": "cispo", "epsilon_high": 5.0, "epsilon": 0.3, "num_iterations": 2},
            *("epsilon", "the loss cispo reads epsilon_high alone"),
        ),
    ],
)
def test_a_task_that_sets_what_its_run_does_not_read_is_refused(task, key, why):
    text = refused({"method": "sft"}, task)
    assert text.startswith(f"config: tasks[1].{key}: ") and f"would change nothing: {why}" in text
    right = text.split("This would be right, for example:\n")[1]
    assert (f" {key}: " in right) == (key == "label_smoothing")
    assert key != "label_smoothing" or "loss_type: robust" in right


@pytest.mark.parametrize(
    "task",
    [
        {"method": "dpo", "loss_type": list(SMOOTHED), "label_smoothing": 0.1},
        {"method": "dpo", "label_smoothing": [0.0]},
        {"method": "ddp", "loss_type": "sft", "rho": 0, "beta": 0.3},  # the policy's labels are drawn with it
        {"method": "dpo", "max_steps": None, "epochs": 2},
        {"method": "dpo", "lr_scheduler": "constant_with_warmup", "warmup_steps": 9},
        {"method": "dpr", "loss_type": "ipo", "gamma": 0, "estimator": "upstream"},  # it drops ties
        {"method": "mix", "g": 0.2, "pi": 0.2, "max_age": 2, "missing_eos_penalty": 1, "label_draw": "bernoulli"},
        {"method": "dpp", "estimator": "upstream", "upstream_scale": 8},
        {"method": "dpr", "rollout_responses": 4, "rollout_pairs": "extremes"},
        {"method": "grpo", "epsilon": 0.1, "epsilon_high": 0.3, "num_iterations": 2},
        {"method": "rloo", "epsilon": 0.1, "global_batch_size": 16, "generation_batch_size": 32},
        {"method": "grpo", "loss_type": "cispo", "epsilon_high": 5.0},
    ],
)
def test_what_is_read_or_at_its_default_is_allowed(task):
    assert runs(task)


def test_cispo_without_its_bound_is_refused():
    text = refused({"method": "grpo", "loss_type": "cispo"})
    assert text.startswith("config: tasks[0].epsilon_high: null in run grpo-loss_type_cispo; the loss cispo needs it")
    assert "epsilon_high: 5.0" in text


def test_policy_sets_nothing_that_none_of_its_runs_reads():
    text = refused({"method": "dpo"}, {"method": "dpr"}, label_smoothing=0.1)
    assert text.startswith(
        "config: policy.label_smoothing: 0.1 would change nothing: the loss sigmoid does not know it"
    )
    assert "(run dpo)" in text and "loss_type: robust" in text
    assert "policy.warmup_steps: 5 would change nothing" in refused(
        {"method": "dpo"}, lr_scheduler="constant", warmup_steps=5
    )
    # another run reads it, or no method of the config takes it, or max_steps stands beside epochs
    found = runs({"method": "dpo"}, {"method": "dpo", "loss_type": "robust"}, label_smoothing=0.1)
    assert {name: values["label_smoothing"] for name, values in found.items()} == {
        "dpo": 0,
        "dpo-loss_type_robust-label_smoothing0.1": 0.1,
    }
    assert runs({"method": "dpo"}, rollout_top_p=0.9)
    assert runs({"method": "dpo"}, epochs=3, max_steps=10)["dpo"]["epochs"] == 3


@pytest.mark.parametrize(
    ("task", "policy"),
    [
        ({"method": "dpo"}, {"beta": 0.3}),
        ({"method": "dpo"}, {"beta": 0.1}),  # at its default too
        ({"method": "dpo", "beta": 0.3}, {"loss_type": "robust", "label_smoothing": 0.2}),
        ({"method": "dpr", "g": 0.6}, {"beta": 0.3, "gamma": 0.0, "missing_eos_penalty": 2.0}),
        ({"method": "mix", "r": 0.2, "p": 0.1}, {"rho": 0.1, "revkl": 0.1, "mask_truncated_completions": True}),
    ],
)
def test_equal_trainings_have_one_name_wherever_the_objective_is_set(task, policy):
    apart, together = runs(task, **policy), runs(task | policy)
    assert apart == together and len(apart) == 1
    assert runs(task, task | policy, **policy) == apart


def test_how_a_run_is_trained_is_named_where_a_task_sets_it():
    assert list(runs({"method": "dpo", "beta": 0.2}, learning_rate=1e-4, max_age=4)) == ["dpo-beta0.2"]
    # what a run does not read, and what its method does not take, is in no name
    assert list(runs({"method": "dpo"}, {"method": "dpr"}, gamma=0.1)) == ["dpo", "dpr-gamma0.1"]
    assert list(runs({"method": "mix", "p": 0.1}, {"method": "dpr"}, gamma=0.1)) == ["mix-p0.1", "dpr-gamma0.1"]


def test_what_is_off_by_default_is_in_no_spec_unless_it_is_on():
    [off] = runs({"method": "dpr"}).values()
    assert not {"missing_eos_penalty", "mask_truncated_completions"} & off.keys()
    [on] = runs({"method": "dpr", "missing_eos_penalty": 1.0, "mask_truncated_completions": True}).values()
    assert on == off | {"missing_eos_penalty": 1.0, "mask_truncated_completions": True}
    assert list(runs({"method": "dpr", "mask_truncated_completions": [False, True]})) == [
        "dpr-mask_truncated_completions_false",
        "dpr-mask_truncated_completions_true",
    ]


def test_sft_and_reward_models_set_nothing_that_is_not_read():
    text = refusal(sft={"lr_scheduler": "constant", "warmup_steps": 5})
    assert text.startswith("config: sft.warmup_steps: 5 would change nothing: the schedule constant has no warm-up")
    train = {"model": "W1M", "optimizer": "sgd", "adam_beta2": 0.9}
    text = refusal(definitions={"reward_models": {"mine": {"train": train}}}, reward_model="mine")
    assert text.startswith("config: definitions.reward_models.mine.train.adam_beta2: 0.9 would change nothing: the opt")
