import dataclasses
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
        ({"rollout_max_new_tokens": 0}, "rollout_max_new_tokens must be at least 1, not 0"),
        ({"rollout_prompts": 0}, "rollout_prompts must be at least 1, not 0"),
        ({"rollout_batch_size": 0}, "rollout_batch_size must be at least 1, not 0"),
        ({"rollout_reuse": 0}, "rollout_reuse must be at least 1, not 0"),
        ({"revkl": -0.1, "p": 0.1}, "revkl must not be negative, not -0.1"),
        ({"revkl": float("nan"), "p": 0.1}, "revkl must not be negative, not nan"),
        ({"max_age": -1}, "max_age must not be negative, not -1"),
        ({"upstream_scale": -8}, "upstream_scale must not be negative, not -8"),
        ({"rollout_temperature": 0.0}, "rollout_temperature must be > 0 and rollout_top_p in (0, 1], not 0.0 and 1.0"),
        ({"rollout_top_p": 0.0}, "rollout_temperature must be > 0 and rollout_top_p in (0, 1], not 1.0 and 0.0"),
        ({"rollout_top_p": 1.1}, "rollout_temperature must be > 0 and rollout_top_p in (0, 1], not 1.0 and 1.1"),
        ({"revkl": 0.1}, "revkl is estimated on policy responses: set p or g above 0, or revkl to 0"),
        ({"revkl": 0.1, "r": 0.5}, "revkl is estimated on policy responses"),
        (
            {"r": 0.1, "loss_type": "ipo"},
            "loss_type=['sigmoid'], not ['ipo']: set loss_type='sigmoid', or r = p = g = 0",
        ),
        ({"p": 0.1, "loss_type": ["sigmoid", "sft"]}, "loss_type=['sigmoid'], not ['sigmoid', 'sft']"),
        ({"g": 0.1, "f_divergence_type": "js_divergence"}, "f_divergence_type='reverse_kl', not 'js_divergence'"),
        ({"r": 0.1, "use_weighting": True}, "use_weighting changes the objective"),
        ({"r": 0.1, "sync_ref_model": True}, "sync_ref_model changes the objective"),
        ({"r": 0.1, "ld_alpha": 0.5}, "ld_alpha changes the objective"),
        ({"r": 0.1, "ld_alpha": 0.0}, "ld_alpha changes the objective"),
        ({"r": 0.1, "loss_weights": [0.5]}, "loss_weights changes the objective"),
    ],
)
def test_what_is_refused(config, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        config(**changes)
