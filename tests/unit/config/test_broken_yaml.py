"""Configs that no loader should meet: keys twice, endless content, names with line breaks, impossible shapes."""

import pytest
from fixtures_config import MINIMAL, edit, refusal

from pipeline.config.settings import ConfigError, Settings
from pipeline.jobs.io import InputError, read_yaml

SHAPE = {"model_type": "qwen2", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
SHAPE |= {"intermediate_size": 32, "max_position_embeddings": 64}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: {c: 1, c: 2}\n", "the key c is written twice"),
        ("a: 1\na: 1\n", "the key a is written twice"),
        ("a: " + "[" * 900 + "]" * 900, "it is too deep"),
        ("a: " + "9" * 5000, "digits"),
        ("a: \xff", "not text in UTF-8"),
        ("a: 2026-13-45", "month must be"),
    ],
)
def test_yaml_that_cannot_be_meant_is_one_line(tmp_path, text, told):
    (tmp_path / "a.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=rf"a.yaml: not valid YAML \(.*{told}") as raised:
        read_yaml(tmp_path / "a.yaml")
    assert "\n" not in str(raised.value)


def test_merged_keys_are_no_second_ones(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, y: 4}\n")
    assert read_yaml(tmp_path / "a.yaml")["c"] == {"x": 3, "y": 4}


def test_content_that_refers_to_itself_or_explodes_is_refused(root):
    endless: dict = {}
    endless["policy"] = endless
    bomb: list = ["x"]
    for _ in range(40):
        bomb = [bomb, bomb]
    wide: list = ["x"] * 1000
    for config in ({"policy": endless}, {"tasks": bomb}, {"tasks": [wide] * 1000}):
        text = refusal(**config)
        assert text.startswith("config: it is ") and text.endswith("does a YAML anchor in it refer to itself?")
    edit(root, "judges/gold/judge.yaml", lambda content: content.update(a=bomb))
    with pytest.raises(ConfigError, match="deeper than"):
        Settings.from_config(MINIMAL, root)


@pytest.mark.parametrize("tag", ["mine\n", "-mine", "\nmine"])
def test_a_tag_that_a_command_line_would_take_for_something_else_is_refused(tag):
    assert refusal(tag=tag).startswith("config: tag: it must be a text")


def test_names_with_line_breaks_are_refused():
    assert "the key 'mine\\n' has a line break" in refusal(definitions={"models": {"mine\n": {"path": "x"}}})
    assert refusal(datasets=["world\n"]).startswith("config: datasets[0]: ")
    assert refusal(publish={"prefix": "-x"}).startswith("config: publish.prefix: ")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"num_attention_heads": 2, "num_key_value_heads": 3}, "num_key_value_heads: 3 does not divide"),
        ({"num_attention_heads": 4, "num_key_value_heads": 3}, "num_key_value_heads: 3 does not divide"),
        ({"hidden_size": 36, "num_attention_heads": 4}, "hidden_size: 36, which gives 4 heads a width of 9"),
    ],
)
def test_shapes_that_cannot_be_are_refused(change, told):
    text = refusal(definitions={"models": {"mine": {"architecture": SHAPE | change}}})
    assert text.startswith(f"config: definitions.models.mine.architecture.{told}")
