"""Which repositories a config becomes, and what they are called."""

import pytest

from pipeline.config.settings import ConfigError, Settings
from pipeline.publishing.plan import repositories

CONFIG = {
    "tag": "mine",
    "datasets": ["world"],
    "models": ["W1M"],
    "seeds": [1, 2],
    "tasks": [{"method": "sft"}, {"method": "dpo", "beta": [0.1, 0.2]}],
    "baseline": "dpo-beta0.1",
}


def planned(**given):
    return repositories(Settings.from_config({**CONFIG, "publish": given}))


def test_every_result_becomes_a_repository():
    assert list(planned()) == [
        "datasets/mine-world",
        "models/mine-world-W1M-sft",
        "models/mine-world-W1M-dpo-beta0.1-seed1",
        "models/mine-world-W1M-dpo-beta0.1-seed2",
        "models/mine-world-W1M-dpo-beta0.2-seed1",
        "models/mine-world-W1M-dpo-beta0.2-seed2",
        "models/mine-world-world-reward",
        "spaces/mine-report",
    ]
    assert all(repository["private"] for repository in planned().values())


def test_names_kinds_runs_and_visibility_are_the_configs():
    given = {
        **{"prefix": "x.", "kinds": ["policy", "report"], "runs": ["dpo-beta0.2"], "seeds": [2], "public": ["report"]},
        "names": {"policy": "{model}_{run}", "report": "{tag}"},
    }
    found = planned(**given)
    assert [(key, repository["private"]) for key, repository in found.items()] == [
        ("models/x.W1M_dpo-beta0.2", True),
        ("spaces/x.mine", False),
    ]
    assert not any(repository["private"] for repository in planned(private=False).values())


def test_reward_models_from_elsewhere_are_not_published():
    config = {**CONFIG, "reward_model": "deberta"}
    found = repositories(Settings.from_config(config)).values()
    assert "reward_model" not in {repository["kind"] for repository in found}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"runs": ["dpo-beta0.3"]}, r"publish\.runs\[0\]: there is no run 'dpo-beta0.3' \(did you mean"),
        ({"seeds": [1, 7]}, r"publish\.seeds\[1\]: there is no seed 7; there are: 1, 2"),
        ({"names": {"policy": "{dataset}-{run}"}}, "two repositories would be named mine-world-dpo-beta0.1"),
        ({"names": {"dataset": "{run}"}}, r"names\.dataset: '\{run\}'; its places are \{dataset\}"),
        ({"names": {"sft": "{dataset"}}, r"names\.sft: '\{dataset'; its places are"),
        ({"names": {"sft": "a b"}}, r"names\.sft: it must be a text that matches"),
        ({"token": "abc"}, r"publish\.token: it looks like a key or a password"),
        ({"kinds": ["weights"]}, r"publish\.kinds\[0\]: it must be one of dataset, sft"),
    ],
)
def test_what_cannot_be_published_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        planned(**given)


def test_long_names_are_cut_to_what_the_hub_allows_and_stay_apart():
    values = {"weight_decay": 0.0123, "max_grad_norm": 0.567, "warmup_steps": 123, "max_steps": 1234}
    task = {"method": "dpo", "learning_rate": [1.23e-5, 2.34e-5], **{key: [value] for key, value in values.items()}}
    changes = {"tag": "a-tag-of-some-length", "tasks": [{"method": "sft"}, task], "baseline": "sft"}
    found = repositories(Settings.from_config({**CONFIG, **changes}))
    names = [repository["name"] for repository in found.values() if repository["kind"] == "policy"]
    assert len(set(names)) == len(names) == 4 and all(80 < len(name) <= 96 for name in names)
