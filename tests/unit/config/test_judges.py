"""Judges in a config: which are for which dataset, their spec and service, and what is refused."""

import pytest
from fixtures_config import MINIMAL, PLAIN, edit, refusal, settings, shown

from pipeline.config.judges import SERVICE_KEYS, read_service
from pipeline.config.settings import ConfigError, Settings
from pipeline.jobs.io import InputError


def test_the_reward_model_of_a_judge_is_checked_too(root):
    edit(root, "reward_models.yaml", lambda c: c.update(mine={"train": {"model": "W2M"}}))
    Settings.from_config(MINIMAL, root)
    edit(root, "judges/reward/judge.yaml", lambda c: c.update(reward_model="mine"))
    with pytest.raises(ConfigError, match=r"config/reward_models.yaml: mine.train.model: there is no model 'W2M'"):
        Settings.from_config({**MINIMAL, "judge": "reward"}, root)
    edit(root, "judges/reward/judge.yaml", lambda c: c.update(reward_model="beaver"))
    with pytest.raises(ConfigError, match=r"config/judges/reward/judge.yaml: reward_model: there is no reward model"):
        Settings.from_config({**MINIMAL, "judge": "reward"}, root)


def test_the_gold_judge_is_for_the_embedded_world_alone():
    assert refusal(datasets=["world", "U10"], judge="gold").startswith("config: judge: gold knows the embedded world")
    assert settings(datasets=["world", "U10"], judge="reward").judge_spec("reward")["kind"] == "reward"

    mine = {**PLAIN, "judge": "gold"}
    text = refusal(datasets=["mine"], definitions={"datasets": {"mine": mine}})
    assert text.startswith("config: definitions.datasets.mine.judge: gold knows the embedded world")


def test_judges_of_kind_openai_can_be_set_for_every_dataset():
    made = settings(datasets=["world", "U10", "PM30"])
    assert [made.judge_name(dataset) for dataset in made.datasets] == ["gold", "U", "PM"]
    assert settings(datasets=["U10"], judge="PP").judge_name("U10") == "PP"
    assert settings(datasets=["world"], judge="PM").judge_spec("PM")["mode"] == "pairwise"


def test_a_judges_service_is_no_part_of_its_spec(root):
    made = Settings.from_config(MINIMAL, root)
    assert made.judge_service("gold") == made.judge_service("reward") == {}
    before = made.judge_spec("PP")
    assert set(made.judge_service("PP")) == set(SERVICE_KEYS) and not set(SERVICE_KEYS) & set(before)
    prices = {"input": 1, "output": "2e0"}
    changes = {"base_url": ["http://a/v1", "http://b/v1"], "budget_usd": 3, "prices": prices, "requests_per_minute": 60}
    edit(root, "judges/PP/judge.yaml", lambda c: c.update(changes))
    after = Settings.from_config(MINIMAL, root)
    assert after.judge_spec("PP") == before
    assert after.judge_service("PP")["prices"] == {"input": 1.0, "output": 2.0, "batch_discount": 0.5}
    # jobs read it themselves
    assert read_service(root / "config/judges/PP/judge.yaml") == after.judge_service("PP")
    with pytest.raises(InputError, match="the judge is of kind gold; only one of kind openai"):
        read_service(root / "config/judges/gold/judge.yaml")
    edit(root, "judges/PP/judge.yaml", lambda c: c.update(prices=None))
    with pytest.raises(ConfigError, match=r"judge.yaml: prices: missing; budget_usd 3"):
        read_service(root / "config/judges/PP/judge.yaml")
    edit(root, "judges/PP/judge.yaml", lambda c: c.update(max_retries=1, prices=prices))
    assert Settings.from_config(MINIMAL, root).judge_spec("PP") != before


@pytest.mark.parametrize(
    ("changes", "problem", "right"),
    [
        ({"scale": [10, 1]}, "scale: [10.0, 1.0]; the lowest score comes first", {"scale": [1, 10]}),
        ({"budget_usd": 5, "prices": None}, "prices: missing; budget_usd 5 can be held only", {"prices": dict}),
        ({"api_version": "2024-10-21"}, "base_url: missing; with api_version it is", {"base_url": str}),
        ({"batch": True, "base_url": ["http://a", "http://b"]}, "base_url: 2 addresses", {"base_url": "http://a"}),
        ({"concurrency": 0}, "concurrency: it must be a whole number at least 1", {"concurrency": 16}),
        ({"base_url": []}, "base_url: it must be a list of at least 1 distinct items", {"base_url": list}),
        ({"structured": "json"}, "structured: it must be one of auto, json_schema, none", {"structured": str}),
        ({"max_failed_share": 2}, "max_failed_share: it must be a number at least 0 and at most 1", dict),
        ({"tokens_per_minut": 1}, "tokens_per_minut: unknown key (did you mean 'tokens_per_minute'?)", dict),
        ({"price": 1}, "price: unknown key; with kind openai the keys are: kind, model", {"kind": "openai"}),
        ({"prices": {"input": 1}}, "prices.output: missing; of replies", dict),
        ({"api_key": "sk-1"}, "api_key: it looks like a key or a password, which has no place in a config", dict),
    ],
)
def test_a_judge_that_cannot_be_is_refused(root, changes, problem, right):
    edit(root, "judges/PP/judge.yaml", lambda c: c.update(changes))
    with pytest.raises(ConfigError) as raised:
        Settings.from_config({**MINIMAL, "judge": "PP"}, root)
    text = str(raised.value)
    assert text.startswith(f"config/judges/PP/judge.yaml: {problem}")
    if right is not dict:
        [(key, value)] = right.items()
        found = shown(text)[key]
        assert isinstance(found, value) if isinstance(value, type) else found == value


def test_judge_quality_has_its_defaults():
    assert settings().config["judge_quality"] == {"pairs": 500, "seed": 0, "paid": False}
    for paid in (True, "true"):  # --config judge_quality='{paid: true}' hands a text over
        assert settings(judge_quality={"paid": paid}).config["judge_quality"] == {"pairs": 500, "seed": 0, "paid": True}
    assert "it must be true or false, not 'yes'" in refusal(judge_quality={"paid": "yes"})
    assert refusal(judge_quality={"pair": 5}).startswith(
        "config: judge_quality.pair: unknown key (did you mean 'pairs'?)"
    )


def test_a_prompt_must_have_its_places(root):
    (root / "config/judges/U/prompt.txt").write_text("Grade: {answer}")
    with pytest.raises(ConfigError, match=r"config/judges/U/prompt.txt: no \{prompt\} in it"):
        Settings.from_config({**MINIMAL, "judge": "U"}, root)
    (root / "config/judges/U/prompt.txt").unlink()
    with pytest.raises(ConfigError, match=r"config/judges/U/prompt.txt: there is no such file"):
        Settings.from_config({**MINIMAL, "judge": "U"}, root)
    Settings.from_config(MINIMAL, root)
