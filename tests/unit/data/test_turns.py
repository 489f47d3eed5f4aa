"""Turns in wrong places: moved where it is certain what they belong to, else malformed, counted by what is wrong."""

import pyarrow as pa
import pytest

from pipeline.data.adapters import adapter_for
from pipeline.data.tally import Tally, in_words


def turns(text):
    """Turns written as "u question / a answer": u user, a assistant, s system, t tool, c an assistant's tool call."""
    roles = {"u": "user", "a": "assistant", "s": "system", "t": "tool", "c": "assistant"}
    found = []
    for part in filter(None, text.split(" / ")):
        calls = {"tool_calls": [{"name": "look_up"}]} if part[0] == "c" else {}
        found.append({"role": roles[part[0]], "content": part[2:], **calls})
    return found


def read(prompt, chosen, rejected):
    """(pairs, tally) of a row of messages; without a column prompt where that is None."""
    row = {"prompt": turns(prompt)} if prompt is not None else {}
    table = pa.Table.from_pylist([row | {"chosen": turns(chosen), "rejected": turns(rejected)}])
    adapter, tally = adapter_for({"source": "plain"}), Tally()
    pairs = adapter.convert(table, tally).to_pylist()
    return [(pair["prompt"], pair["chosen"], pair["rejected"]) for pair in pairs], tally


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected", "whole", "answers"),
    [
        ("u 1", "a 2 / u 3 / a x", "a 2 / u 3 / a y", "u 1 / a 2 / u 3", "a x / a y"),
        ("u 1 / a 2", "u 3 / a x", "u 3 / a y", "u 1 / a 2 / u 3", "a x / a y"),
        ("u 1", "u 1 / a x", "u 1 / a y", "u 1", "a x / a y"),
        ("u 1", "u 1 / a x", "a y", "u 1", "a x / a y"),
        ("s 0 / u 1", "s 0 / u 1 / a x", "s 0 / u 1 / a y", "s 0 / u 1", "a x / a y"),
        ("u 1", "s 0 / u 1 / a x", "s 0 / u 1 / a y", "s 0 / u 1", "a x / a y"),
        ("s   / u 1", "a x", "a y", "u 1", "a x / a y"),
        ("u 1 / c 2 / t 3", "a x", "a y", "u 1 / a 2 / t 3", "a x / a y"),
        (None, "u 1 / a 2 / u 3 / a x", "u 1 / a 2 / u 3 / a y", "u 1 / a 2 / u 3", "a x / a y"),
        (None, "u 1 / a x", "u 1 / a x", "u 1", "a x / a x"),
    ],
)
def test_what_belongs_to_the_prompt_for_certain(prompt, chosen, rejected, whole, answers):
    one, other = turns(answers)
    assert read(prompt, chosen, rejected)[0] == [(turns(whole), [one], [other])]


def test_moved_turns_are_counted():
    moved = {"leading turns that both responses share moved to the prompt": 1}
    assert read("u 1", "a 2 / u 3 / a x", "a 2 / u 3 / a y")[1].of("changed") == moved
    assert read("u 1", "u 1 / a x", "u 1 / a y")[1].of("changed") == {}
    assert read("s   / u 1", "a x", "a y")[1].of("changed") == {"empty system turn left out": 1}


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected", "what"),
    [
        ("u 1 / a 2", "a x", "a y", "a prompt that ends with the assistant"),
        ("s 1", "a x", "a y", "a prompt that ends with the system"),
        ("u 1", "u x", "a y", "a response that is not the assistant's"),
        ("u 1", "a x / u 2", "a y", "a response that ends with the user"),
        ("u 1", "a x / u 2 / a z", "a y", "a response of several messages"),
        ("u 1", "a x / a z", "a y", "a response of several messages"),
        ("u 1", "c x / t 2 / a z", "a y", "tool calls"),
        ("u 1", "c x", "a y", "tool calls"),
        (None, "a x", "a y", "no prompt"),
        (None, "u 1 / a x", "u 1 / a x / u 2 / a y", "a response of several messages"),
        (None, "u 1", "u 1 / a x", "a response that is not the assistant's"),
        ("u 1", "", "a y", "a response without turns"),
    ],
)
def test_what_is_malformed(prompt, chosen, rejected, what):
    pairs, tally = read(prompt, chosen, rejected)
    assert pairs == [] and tally == {"malformed": 1} and tally.of("malformed") == {what: 1}


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected"),
    [
        (None, "u 1 / a x", "u 2 / a y"),
        (None, "u 1 / a 2 / u 3 / a x", "u 1 / a 2 / u 4 / a y"),
        ("u 1", "u 2 / a x", "u 2 / a y"),
        ("u 1", "u 2 / a x", "u 3 / a y"),
    ],
)
def test_prompts_that_differ(prompt, chosen, rejected):
    assert read(prompt, chosen, rejected) == ([], {"prompts_differ": 1})


def test_counts_in_words():
    assert in_words({"empty": 0}) == "none"
    assert (
        in_words({"empty": 2, "malformed": 1200}, {"tool calls": 1200}) == "empty 2, malformed 1,200 (tool calls 1,200)"
    )
