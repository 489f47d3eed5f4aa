import dataclasses
import math
import re

import pytest
from trl import DPOConfig

from sail import SAILConfig


@pytest.fixture
def config(tmp_path):
    return lambda **changes: SAILConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, **changes)


def test_by_default_it_is_dpo_s_with_the_published_weights(config):
    made = config()
    assert (made.r, made.p, made.g, made.online_share) == (0, 0, 0, 0)
    assert (made.rho, made.pi, made.gamma, made.beta) == (0.2, 0.2, 0.02, 0.1)
    assert (made.estimator, made.rollout_temperature, made.rollout_top_p) == ("exact", 1.0, 1.0)
    parents = {field.name: field for field in dataclasses.fields(DPOConfig)}
    for field in dataclasses.fields(SAILConfig):
        if field.name in parents:
            assert field.default == parents[field.name].default, field.name
        else:
            assert field.metadata["help"], field.name


@pytest.mark.parametrize(
    "changes",
    [
        {"r": 0.4, "p": 0.3, "g": 0.2, "rho": 1.0, "pi": 0.0, "gamma": 1.0},
        # Adding these as floats gives 1.0000000000000002 and 0.9999999999999999.
        {"r": 0.3, "p": 0.4, "g": 0.3, "max_steps": 5},
        {"r": 0.6, "p": 0.3, "g": 0.1, "max_steps": 5},
        {"g": 1.0, "revkl": 0.1, "max_steps": 1},
        {"r": 0.5, "loss_weights": [1.0]},
        {"r": 0.5, "ref_model_mixup_alpha": 0.5},
        # Without online rows the parent's settings are all its own affair.
        {"loss_type": "ipo", "f_divergence_type": "js_divergence", "ld_alpha": 0.5, "rho": 0.7},
        # Nor with weights of zero, the plain mixture; a weight without rows counts for nothing.
        {"g": 0.5, "gamma": 0.0, "loss_type": "ipo"},
        {"r": 0.2, "p": 0.2, "rho": 0.0, "pi": 0.0, "loss_type": ["sigmoid", "sft"], "loss_weights": [0.7, 0.3]},
        {"r": 0.5, "rho": 0.0, "f_divergence_type": "forward_kl", "use_weighting": True},
        {"max_age": 0, "rollout_max_new_tokens": 1, "rollout_prompts": 1, "rollout_batch_size": 1},
    ],
)
def test_what_is_allowed(config, changes):
    config(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(({name: 1.1}, f"{name} must be between 0 and 1, not 1.1") for name in ("r", "p", "g", "rho", "pi", "gamma")),
        *(({name: -0.1}, f"{name} must be between 0 and 1, not -0.1") for name in ("r", "p", "g", "rho")),
        ({"r": float("nan")}, "r must be between 0 and 1, not nan"),
        ({"r": 0.5, "p": 0.3, "g": 0.3}, "r + p + g must be at most 1, not 1.1: lower one of them"),
        ({"r": 0.5, "p": 0.3, "g": 0.3, "max_steps": 9}, "r + p + g must be at most 1, not 1.1"),
        ({"r": 0.3, "p": 0.4, "g": 0.3}, "r + p + g = 1 leaves no offline row to count epochs by: set max_steps"),
        ({"r": 0.6, "p": 0.3, "g": 0.1}, "r + p + g = 1 leaves no offline row"),
        ({"estimator": "reinforce"}, "estimator must be one of exact, upstream, not 'reinforce'"),
        ({"baseline": "batch"}, "baseline must be one of none, mean, leave-one-out, not 'batch'"),
        ({"label_draw": "soft"}, "label_draw must be one of hard, bernoulli, not 'soft'"),
        ({"rollout_max_new_tokens": 0}, "rollout_max_new_tokens must be a whole number of at least 1, not 0"),
        ({"rollout_prompts": 0}, "rollout_prompts must be a whole number of at least 1, not 0"),
        ({"rollout_batch_size": 0}, "rollout_batch_size must be a whole number of at least 1, not 0"),
        ({"rollout_reuse": 0}, "rollout_reuse must be a whole number of at least 1, not 0"),
        ({"revkl": -0.1, "p": 0.1}, "revkl must be a number of at least 0, not -0.1"),
        ({"revkl": float("nan"), "p": 0.1}, "revkl must be a number of at least 0, not nan"),
        ({"max_age": -1}, "max_age must be a number of at least 0, not -1"),
        ({"upstream_scale": -8}, "upstream_scale must be a number of at least 0, not -8"),
        *(
            ({name: value}, f"{name} must be a whole number of at least 1, not {value}")
            for name in ("rollout_max_new_tokens", "rollout_prompts", "rollout_batch_size", "rollout_reuse")
            for value in (math.nan, 1.5, math.inf)
        ),
        *(
            ({name: math.inf}, f"{name} must be a number of at least 0, not inf")
            for name in ("max_age", "upstream_scale")
        ),
        *(
            ({name: math.nan}, f"{name} must be a number of at least 0, not nan")
            for name in ("max_age", "upstream_scale")
        ),
        *(({name: math.nan}, f"{name} must be between 0 and 1, not nan") for name in ("p", "g", "rho", "pi", "gamma")),
        ({"rollout_temperature": math.nan}, "rollout_temperature must be > 0 and rollout_top_p in (0, 1], not nan and"),
        ({"rollout_top_p": math.nan}, "rollout_temperature must be > 0 and rollout_top_p in (0, 1], not 1.0 and nan"),
        ({"rollout_temperature": 0.0}, "rollout_temperature must be > 0 and rollout_top_p in (0, 1], not 0.0 and 1.0"),
        ({"rollout_top_p": 0.0}, "rollout_temperature must be > 0 and rollout_top_p in (0, 1], not 1.0 and 0.0"),
        ({"rollout_top_p": 1.1}, "rollout_temperature must be > 0 and rollout_top_p in (0, 1], not 1.0 and 1.1"),
        ({"revkl": 0.1}, "revkl is estimated on policy responses: set p or g above 0, or revkl to 0"),
        ({"revkl": 0.1, "r": 0.5}, "revkl is estimated on policy responses"),
        (
            {"r": 0.1, "loss_type": "ipo"},
            "loss_type=['sigmoid'], not ['ipo']: set it so, or rho = 0 (the plain mixture)",
        ),
        (
            {"r": 0.1, "p": 0.1, "g": 0.1, "loss_type": "ipo", "revkl": 0.1},
            "loss_type=['sigmoid'], not ['ipo']: set it so, or rho = pi = gamma = revkl = 0 (the plain mixture)",
        ),
        ({"g": 0.1, "gamma": 0.0, "revkl": 0.1, "loss_type": "ipo"}, "set it so, or revkl = 0 (the plain mixture)"),
        ({"p": 0.1, "loss_type": ["sigmoid", "sft"]}, "loss_type=['sigmoid'], not ['sigmoid', 'sft']"),
        ({"g": 0.1, "f_divergence_type": "js_divergence"}, "f_divergence_type='reverse_kl', not 'js_divergence'"),
        (
            {"r": 0.1, "use_weighting": True},
            "use_weighting changes the objective that the extra gradients belong to: leave it unset, or set rho = 0",
        ),
        ({"r": 0.1, "loss_weights": [0.5]}, "loss_weights changes the objective"),
        (
            {"r": 0.1, "rho": 0.0, "sync_ref_model": True},
            "sync_ref_model changes the log-probabilities that online rows are labelled and kept with: leave it unset",
        ),
        ({"r": 0.1, "ld_alpha": 0.5}, "ld_alpha changes the log-probabilities"),
        ({"g": 0.1, "ld_alpha": 0.0}, "ld_alpha changes the log-probabilities"),
    ],
)
def test_what_is_refused(config, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        config(**changes)
