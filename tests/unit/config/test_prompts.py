"""Sets of prompts in a config, and who judges the answers to them."""

import shutil

import pytest
from fixtures_config import CONFIG, MINIMAL, refusal, settings

from pipeline.config.prompts import set_judge, set_spec
from pipeline.config.resolved import resolved_config
from pipeline.config.settings import ConfigError, Settings
from pipeline.jobs.provenance import user_code

MINE = {"path": "data/mine.jsonl"}


def with_set(entry=MINE, **changes):
    return {"prompts": ["mine"], "definitions": {"prompts": {"mine": entry}}, **changes}


def test_a_set_is_judged_by_its_own_judge_else_the_configs_else_the_datasets():
    assert set_judge(settings(**with_set({**MINE, "judge": "U"})), "world", "mine") == "U"
    assert set_judge(settings(**with_set(judge="reward")), "world", "mine") == "reward"
    found = settings(**with_set({**MINE, "judge": "gold"}))
    assert set_judge(found, "world", "mine") == "gold"
    assert set_spec(found, "mine") == {
        "name": "mine",
        "path": "data/mine.jsonl",
        "split": "train",
        "limit": None,
        "seed": 0,
    }


def test_a_text_is_short_for_the_path():
    assert set_spec(settings(**with_set("a/b", judge="reward")), "mine")["path"] == "a/b"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompts": ["alpaca"]}, "there is no set of prompts 'alpaca' (did you mean 'alpaca_eval'?)"),
        (
            with_set(),
            "definitions.prompts.mine.judge: missing; gold, the judge of world, knows the embedded world alone",
        ),
        (with_set({**MINE, "judge": "rewards"}), "there is no judge 'rewards' (did you mean 'reward'?)"),
        (with_set({**MINE, "colums": {}}), "definitions.prompts.mine"),
        (with_set({**MINE, "columns": {"prompt": "a", "reference": "a"}}), "'a' has another role too"),
        ({"prompts": ["eval"], "definitions": {"prompts": {"eval": MINE}}}, "eval, which is the dataset's own"),
    ],
)
def test_what_is_wrong_is_refused(changes, message):
    assert message in refusal(**changes)


def test_the_resolved_config_has_the_sets_that_are_used_and_one_without_sets_is_as_it_was():
    assert (
        resolved_config(settings(**with_set(judge="reward")))["definitions"]["prompts"]["mine"]["path"] == MINE["path"]
    )
    plain = resolved_config(settings())
    assert "prompts" not in plain and "prompts" not in plain["definitions"]


@pytest.fixture
def checked(tmp_path):
    """A function from the files of a judge `mine` of kind check to the settings with it."""
    shutil.copytree(CONFIG, tmp_path / "config")
    folder = tmp_path / "config/judges/mine"
    folder.mkdir()

    def make(function="check.py:right", **files):
        user_code.cache_clear()
        (folder / "judge.yaml").write_text(f"kind: check\nfunction: '{function}'\n")
        for name, text in files.items():
            (folder / f"{name}.py").write_text(text)
        return Settings.from_config({**MINIMAL, **with_set(judge="mine")}, tmp_path)

    return make


CHECK = "from words import same\n\n\ndef right(response, reference):\n    return same(response, reference)\n"
WORDS = "def same(one, other):\n    return one == other\n"


def test_the_code_of_a_check_is_in_its_spec_with_the_modules_beside_it_but_not_their_comments(checked):
    before = checked(check=CHECK, words=WORDS).judge_spec("mine")
    assert before["function"] == "config/judges/mine/check.py:right"
    assert checked(words=f"# equal texts\n{WORDS}").judge_spec("mine") == before
    changed = checked(words=WORDS.replace("==", "!=")).judge_spec("mine")
    assert changed["code"] != before["code"] and changed | {"code": ""} == before | {"code": ""}
    assert checked(check=CHECK.replace("reference)", "prompt)")).judge_spec("mine")["code"] != changed["code"]


def test_a_check_may_be_a_function_of_a_module(checked):
    spec = checked(function="json:loads").judge_spec("mine")
    assert spec["function"] == "json:loads" and len(spec["code"]) == 16


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("other.py:right", "there is no file"),
        ("check.py:wrong", "defines no wrong, but right, same"),
        ("no_such_module:f", "there is no module no_such_module"),
        ("check.py", "function"),
    ],
)
def test_a_check_that_is_not_there_is_refused(checked, function, message):
    with pytest.raises(ConfigError) as caught:
        checked(function=function, check=CHECK, words=WORDS)
    assert message in str(caught.value) and "judges/mine/judge.yaml" in str(caught.value)
