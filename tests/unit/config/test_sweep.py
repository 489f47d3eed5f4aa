"""The runs that tasks span: products, names, precedence, and what is refused."""

import pytest

from pipeline.config.errors import ConfigError
from pipeline.config.sweep import METHODS, expand, format_value, method_defaults


def names(*tasks, policy=None):
    return [run.name for run in expand(list(tasks), policy or {}, "config")]


def values(task, policy=None):
    [run] = expand([task], policy or {}, "config")
    return run.hyperparameters


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1.0, "1"),
        (1e-5, "1e-5"),
        (2.5e-7, "2.5e-7"),
        (0.0001, "0.0001"),
        (1e16, "1e16"),
        (0.30000000000000004, "0.30000000000000004"),
        (32, "32"),
        ("upstream", "_upstream"),
        (None, "_none"),
        (True, "_true"),
        (False, "_false"),
    ],
)
def test_values_in_names_are_short_and_exact(value, text):
    assert format_value(value) == text
    if isinstance(value, float):
        assert float(text) == value


def test_lists_span_the_product_in_the_order_of_the_tasks_keys():
    assert names({"method": "dpp", "p": [0.1, 0.2], "beta": [0.1, 0.5]}) == [
        "dpp-beta0.1-p0.1",
        "dpp-beta0.5-p0.1",
        "dpp-beta0.1-p0.2",
        "dpp-beta0.5-p0.2",
    ]


def test_a_name_holds_what_the_task_sets_in_a_fixed_order():
    task = {"method": "dpr", "gamma": 0.3, "estimator": "upstream", "g": [0.3], "beta": 0.1, "max_steps": None}
    assert names(task, policy={"epochs": 3.0}) == ["dpr-beta0.1-max_steps_none-estimator_upstream-g0.3-gamma0.3"]


def test_values_that_two_decimals_do_not_tell_apart_have_names_of_their_own():
    assert names({"method": "ddp", "rho": [0.2, 0.201, 0.2049]}) == ["ddp-rho0.2", "ddp-rho0.201", "ddp-rho0.2049"]


def test_a_task_comes_before_policy_and_policy_before_the_methods_default():
    assert values({"method": "ddp"})["beta"] == 0.1
    assert values({"method": "ddp"}, {"beta": 0.5})["beta"] == 0.5
    assert values({"method": "ddp", "beta": 0.2}, {"beta": 0.5})["beta"] == 0.2
    assert "max_age" not in values({"method": "ddp"}, {"max_age": 4})
    assert values({"method": "dpp"}, {"max_age": 4})["max_age"] == 4


def test_published_weights_are_the_defaults_and_mix_starts_from_none():
    assert {key: values({"method": "ddp"})[key] for key in ("r", "rho")} == {"r": 0.4, "rho": 0.2}
    assert {key: values({"method": "dpp"})[key] for key in ("p", "pi")} == {"p": 0.3, "pi": 0.2}
    assert {key: values({"method": "dpr"})[key] for key in ("g", "gamma")} == {"g": 0.3, "gamma": 0.02}
    mix = values({"method": "mix"})
    assert [mix[key] for key in ("r", "rho", "p", "pi", "g", "gamma")] == [0, 0.2, 0, 0.2, 0, 0.02]
    assert values({"method": "sft"}) == {}
    assert values({"method": "dpo"})["learning_rate"] == 1e-5
    assert values({"method": "dpp"})["rollout_temperature"] == 0.9
    for method in ("dpp", "dpr", "mix"):
        assert {key: values({"method": method})[key] for key in ("revkl", "rollout_top_p")} == {
            "revkl": 0.0,
            "rollout_top_p": 1.0,
        }


def test_each_method_takes_only_what_concerns_it():
    keys = {method: set(method_defaults(method)) for method in METHODS}
    assert keys["sft"] == set()
    assert keys["ddp"] - keys["dpo"] == {"estimator", "r", "rho"}
    online = {"estimator", "variance_baseline", "upstream_scale", "revkl", "max_age"}
    online |= {"mask_truncated_completions", "use_vllm"}
    online |= {f"vllm_importance_sampling_{key}" for key in ("correction", "mode", "clip_max")}
    online |= {f"rollout_{key}" for key in ("policy", "temperature", "top_p", "max_new_tokens", "prompts", "reuse")}
    assert keys["dpp"] - keys["dpo"] == online | {"p", "pi"}
    assert keys["dpr"] - keys["dpo"] == online | {"label_draw", "missing_eos_penalty", "g", "gamma"}
    assert keys["mix"] == keys["ddp"] | keys["dpp"] | keys["dpr"]


def test_numbers_of_defaults_have_the_type_that_given_ones_have():
    for method in METHODS:
        for key, value in method_defaults(method).items():
            if key in ("missing_eos_penalty", "epsilon_high", "steps_like", "seconds_like") or key.startswith(
                "budget_"
            ):
                assert value is None
                continue
            whole = key in ("max_steps", "warmup_steps", "global_batch_size", "max_length", "max_age")
            whole = whole or key in ("rollout_max_new_tokens", "rollout_prompts", "rollout_reuse")
            whole = whole or key in ("max_new_tokens", "max_completion_length", "generation_batch_size")
            whole = whole or key in ("num_generations", "num_iterations", "n")
            assert isinstance(value, (int, type(None)) if whole else (float, str, bool)), key


def test_vllm_is_in_a_run_s_values_and_name_where_it_is_asked_for():
    """Beside the other settings of rollouts; a run without it is as if there were none."""
    plain = values({"method": "dpr"})
    assert not any("vllm" in key for key in plain)
    assert values({"method": "dpr", "use_vllm": True}) == plain | {"use_vllm": True}
    assert names({"method": "dpr", "use_vllm": [False, True]}) == ["dpr-use_vllm_false", "dpr-use_vllm_true"]
    policy = {"use_vllm": True, "vllm_importance_sampling_correction": True, "vllm_importance_sampling_clip_max": None}
    assert names({"method": "dpo"}, {"method": "dpr"}, policy=policy) == ["dpo", "dpr"]
    assert values({"method": "dpr"}, policy) == plain | policy
    assert values({"method": "dpo"}, policy) == values({"method": "dpo"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vllm_importance_sampling_correction": True}, "would change nothing: use_vllm is off"),
        ({"use_vllm": True, "vllm_importance_sampling_clip_max": 2.0}, "vllm_importance_sampling_correction is off"),
        (
            {"use_vllm": True, "vllm_importance_sampling_correction": True, "loss_type": "ipo", "gamma": 0.0},
            "weights that of sigmoid alone",
        ),
        ({"use_vllm": True, "g": 0.0}, "no row has responses of the policy"),
    ],
)
def test_settings_of_vllm_that_nothing_reads_are_refused(settings, message):
    with pytest.raises(ConfigError) as caught:
        names({"method": "dpr", **settings})
    assert message in str(caught.value)


def test_equal_runs_are_one_under_the_first_name():
    assert names({"method": "dpo", "beta": [0.1, 0.2]}, {"method": "dpo", "beta": 0.1}) == [
        "dpo-beta0.1",
        "dpo-beta0.2",
    ]
    assert names({"method": "dpo"}, {"method": "sft"}, {"method": "dpo", "beta": [0.1, 0.2]}) == [
        *("dpo", "sft", "dpo-beta0.2")
    ]
    sweep = {"method": "dpo", "learning_rate": [1e-4, 1e-5]}
    assert names({"method": "dpo"}, sweep, policy={"learning_rate": 1e-4}) == ["dpo", "dpo-learning_rate1e-5"]
    # one of them may be another's control
    of = {"method": "dpo", "beta": 0.2}
    assert [run.control_of for run in expand([of, {"method": "dpr"}, of | {"control_of": "dpr"}], {}, "config")] == [
        *(("dpr",), ())
    ]
    # the same values under two methods are two runs
    assert len(names({"method": "dpp", "p": 0.3}, {"method": "mix", "p": 0.3})) == 2


def test_shares_above_one_are_refused_with_the_sum_and_smaller_ones():
    with pytest.raises(ConfigError) as caught:
        names({"method": "sft"}, {"method": "mix", "r": 0.5, "p": [0.1, 0.4], "g": 0.2})
    text = str(caught.value)
    assert "tasks[1].g: r + p + g = 0.5 + 0.4 + 0.2 = 1.1 in run mix-r0.5-p0.4-g0.2" in text
    assert "at most 1" in text
    assert "{method: mix, r: 0.4, p: 0.32, g: 0.16}" in text


@pytest.mark.parametrize("task", [{"method": "dpp", "p": 1.0}, {"method": "mix", "r": 0.1, "p": 0.2, "g": 0.7}])
def test_shares_of_exactly_one_need_max_steps(task):
    with pytest.raises(ConfigError, match="max_steps: 500"):
        names(task)
    assert values({**task, "max_steps": 20})["max_steps"] == 20
    assert values(task, {"max_steps": 20})["max_steps"] == 20


def test_losses_that_a_run_cannot_have_are_refused_where_they_are_set():
    with pytest.raises(ConfigError, match=r"tasks\[0\]\.loss_type: hinge in run dpp-loss_type_hinge"):
        names({"method": "dpp", "loss_type": "hinge"})
    with pytest.raises(ConfigError, match=r"policy\.loss_type: hinge in run ddp"):
        names({"method": "dpo"}, {"method": "ddp"}, policy={"loss_type": "hinge"})
    with pytest.raises(ConfigError, match=r"tasks\[0\]\.label_smoothing: .*exo_pair"):
        names({"method": "dpo", "loss_type": "exo_pair"})
    assert names({"method": "dpo", "loss_type": "exo_pair", "label_smoothing": 0.001}, {"method": "dpo"})


def test_a_reverse_kl_needs_responses_of_the_policy():
    with pytest.raises(ConfigError) as caught:
        names({"method": "dpo"}, {"method": "mix", "r": 0.2, "revkl": [0.0, 0.1]})
    text = str(caught.value)
    assert text.startswith("config: tasks[1].revkl: 0.1 in run mix-revkl0.1-r0.2; it is estimated on the policy's")
    assert "{method: mix, revkl: 0.0}" in text
    with pytest.raises(ConfigError, match=r"tasks\[0\]\.revkl: 0.1 in run dpp-revkl0.1-p0;"):
        names({"method": "dpp", "p": 0, "revkl": 0.1})
    with pytest.raises(ConfigError, match=r"policy\.revkl: 0.1 in run dpr-revkl0.1-g0;"):
        names({"method": "dpr", "g": 0}, policy={"revkl": 0.1})
    for task in ({"method": "dpp"}, {"method": "dpr"}, {"method": "mix", "p": 0.1}, {"method": "mix", "g": 0.1}):
        assert values({**task, "revkl": 0.1})["revkl"] == 0.1
    assert names({"method": "ddp"}, policy={"revkl": 0.1, "rollout_top_p": 0.9}) == ["ddp"]
    assert values({"method": "mix", "r": 0.2}, {"revkl": 0.0})["revkl"] == 0


def test_rollouts_by_the_most_likely_tokens_are_runs_of_their_own():
    task = {"method": "dpr", "rollout_top_p": [0.9, 1.0], "revkl": 0.01, "rollout_temperature": 0.7}
    assert names(task) == [
        "dpr-revkl0.01-rollout_temperature0.7-rollout_top_p0.9",
        "dpr-revkl0.01-rollout_temperature0.7-rollout_top_p1",
    ]


def test_a_name_too_long_for_a_file_is_refused():
    task = {key: value for key, value in method_defaults("mix").items() if value is not None}
    with pytest.raises(ConfigError, match=r"belong under policy\n.*\n  policy:"):
        names({"method": "mix", **task})
