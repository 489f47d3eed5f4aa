"""Responses that were made elsewhere: the shapes of their rows, and the prompts that they are put to."""

import json

import pandas as pd
import pytest
from fixtures_data import write_jsonl

import read_responses
from pipeline.data.prompt_ids import prompt_id
from pipeline.exchange.answers import match_answers, read_answer, text_key
from pipeline.exchange.rows import Row, read_rows
from pipeline.jobs.io import InputError, read_json, read_parquet, write_parquet

PROMPTS = ["What is a cat?", "Why is the sky blue?", "Name a river."]
IDS = [prompt_id(prompt) for prompt in PROMPTS]
DIALOGUE = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi"},
    {"role": "user", "content": "Who are you?"},
]


@pytest.fixture
def split(tmp_path):
    """The path of a split of PROMPTS."""
    pairs = {"chosen": "yes", "rejected": "no"}
    write_parquet(pd.DataFrame({"prompt_id": IDS, "prompt": PROMPTS, **pairs}), tmp_path / "eval.parquet")
    return tmp_path / "eval.parquet"


def answers(rows):
    return [read_answer(Row(f"f: row {number}", row)) for number, row in enumerate(rows)]


def matched(rows, prompts=None, **options):
    frame = pd.DataFrame({"prompt_id": IDS, "prompt": PROMPTS}) if prompts is None else prompts
    return match_answers(answers(rows), frame, "f", "eval", **options)


def refused(rows, **options):
    with pytest.raises(InputError) as caught:
        matched(rows, **options)
    return str(caught.value)


SHAPES = {
    "alpaca_eval": lambda i: {"instruction": PROMPTS[i], "output": f"answer {i}", "generator": "gpt-4o"},
    "prompt": lambda i: {"prompt": PROMPTS[i], "response": f"answer {i}"},
    "prompt_id": lambda i: {"prompt_id": IDS[i], "response": f"answer {i}"},
    "messages": lambda i: {
        "messages": [{"role": "user", "content": PROMPTS[i]}, {"role": "assistant", "content": f"answer {i}"}]
    },
    "arena_hard": lambda i: {
        "uid": IDS[i],
        "model": "gpt-4o",
        "messages": [
            {"role": "user", "content": PROMPTS[i]},
            {"role": "assistant", "content": {"answer": f"answer {i}"}},
        ],
    },
    "response_as_messages": lambda i: {
        "prompt": [{"role": "user", "content": PROMPTS[i]}],
        "response": [{"role": "assistant", "content": f"answer {i}"}],
    },
}


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_of_each_shape_come_to_their_prompts_in_their_order(shape):
    found = matched([SHAPES[shape](i) for i in (2, 0, 1)])
    assert found.frame["prompt_id"].tolist() == IDS and found.frame["prompt"].tolist() == PROMPTS
    assert found.frame["response"].tolist() == ["answer 0", "answer 1", "answer 2"]
    assert (found.others, found.missing) == (0, 0)


def test_a_prompt_is_known_by_its_text_whatever_id_its_row_has():
    rows = [{"prompt_id": number, "prompt": f" {prompt}\n", "response": "a"} for number, prompt in enumerate(PROMPTS)]
    assert matched(rows).frame["prompt_id"].tolist() == IDS


def test_dialogues_are_put_to_dialogues():
    frame = pd.DataFrame({"prompt_id": ["d", "s"], "prompt": [DIALOGUE, [{"role": "user", "content": "Hello"}]]})
    rows = [
        {"messages": [*DIALOGUE, {"role": "assistant", "content": "A cat."}]},
        {"prompt": "Hello", "response": "Hi."},
    ]
    assert matched(rows, frame).frame["response"].tolist() == ["A cat.", "Hi."]
    assert text_key(DIALOGUE) != text_key(DIALOGUE[-1:]) and text_key(DIALOGUE[:1]) == text_key("Hello")


def test_a_prompt_of_several_turns_is_answered_by_the_whole_conversation():
    frame = pd.DataFrame({"prompt_id": ["1", "2"], "prompt": ["Hello", "Bye"], "further": [["Who are you?"], []]})
    last = {"role": "assistant", "content": "A cat."}
    rows = [{"uid": "2", "messages": [{"role": "user", "content": "Bye"}, last]}, {"messages": [*DIALOGUE, last]}]
    found = matched(rows, frame).frame
    assert found["prompt"].tolist() == [DIALOGUE, [{"role": "user", "content": "Bye"}]]
    assert found["response"].tolist() == ["A cat.", "A cat."]
    for row, told in (({"prompt_id": "1", "response": "a"}, "whole conversation"), (rows[0] | {"uid": "1"}, "another")):
        with pytest.raises(InputError, match=told):
            matched([row], frame)


def test_rows_to_other_prompts_are_counted():
    rows = [SHAPES["prompt"](i) for i in range(3)] + [{"prompt": "Another?", "response": "a"}]
    assert matched(rows).others == 1


def test_a_missing_prompt_is_an_error_that_counts_them_or_is_left_out_and_counted():
    rows = [SHAPES["prompt"](1)]
    told = refused(rows)
    assert "no response to 2 of the 3 prompts of eval" in told and IDS[0] in told and "allow_missing: true" in told
    found = matched(rows, allow_missing=True)
    assert found.frame["prompt_id"].tolist() == [IDS[1]] and found.missing == 2


def test_a_file_to_other_prompts_alone_is_an_error_in_any_case():
    told = refused([{"prompt": "Another?", "response": "a"}], allow_missing=True)
    assert "none of its 1 rows is to any of the 3 prompts" in told and "prompt_id or by the prompt's text" in told


def test_a_second_response_to_a_prompt_is_an_error_that_names_both():
    told = refused([SHAPES["prompt"](0), SHAPES["prompt"](1), SHAPES["prompt_id"](0)])
    assert "f: row 2" in told and "f: row 0" in told and IDS[0] in told


def test_an_id_of_another_prompt_than_the_text_is_an_error():
    told = refused([{"prompt_id": IDS[1], "prompt": PROMPTS[0], "response": "a"}])
    assert "f: row 0" in told and IDS[1] in told


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"prompt": "a"}, "no response that is text"),
        ({"prompt": "a", "response": None}, "no response that is text"),
        ({"prompt": "a", "response": 3}, "no response that is text"),
        ({"response": "a"}, "which prompt its response is to"),
        ({"messages": [{"role": "user", "content": "a"}]}, "messages end with the role 'user'"),
        ({"messages": [{"role": "user"}, {"role": "assistant", "content": "a"}]}, "without role or text"),
        ({"messages": []}, "no messages in it"),
        ({"prompt": [{"role": "user", "content": [{"type": "image"}]}], "response": "a"}, "part of type 'image'"),
    ],
)
def test_a_row_that_is_none_of_the_shapes_is_named(row, told):
    with pytest.raises(InputError, match=told) as caught:
        answers([row])
    assert str(caught.value).startswith("f: row 0")


def test_an_empty_response_is_one():
    assert matched([SHAPES["prompt"](i) | {"response": ""} for i in range(3)]).frame["response"].tolist() == [""] * 3


@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv", "parquet"])
def test_files_of_each_kind_are_read(suffix, tmp_path, split, capsys):
    rows = [SHAPES["prompt_id"](i) for i in range(3)] + [{"prompt_id": "x", "response": "a"}]
    path = tmp_path / f"gpt-4o.{suffix}"
    if suffix == "json":
        path.write_text(json.dumps(rows))
    elif suffix == "jsonl":
        write_jsonl(path, rows)
    else:
        frame = pd.DataFrame(rows)
        frame.to_csv(path, index=False) if suffix == "csv" else write_parquet(frame, path)
    output = tmp_path / "out.parquet"
    read_responses.main(["--file", str(path), "--run", "gpt-4o", "--data", str(split), "--output", str(output)])
    assert (
        read_parquet(output).columns.tolist() == ["prompt_id", "prompt", "response"] and len(read_parquet(output)) == 3
    )
    assert (
        capsys.readouterr().out
        == "gpt-4o: 3 responses; 0 prompts have none, and 1 rows of the file are to other prompts\n"
    )
    assert set(read_json(tmp_path / "out.provenance.json")["inputs"]) == {str(path), str(split)}


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.json", "{}", "a list of objects, not dict"),
        ("a.json", "[1]", "row 0 is no JSON object"),
        ("a.json", "[", "not valid JSON"),
        ("a.json", "[]", "there are no rows"),
        ("a.jsonl", "[]", "line 1 is no JSON object"),
        ("a.csv", "a,b\n1\n", "row 0 has another number of fields"),
        ("a.parquet", "x", "not a readable parquet file"),
        ("a.txt", "x", "told by its ending"),
    ],
)
def test_a_file_that_is_none_of_them_is_named(name, content, told, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=told) as caught:
        read_rows(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    with pytest.raises(InputError, match="there is no such file"):
        read_rows(tmp_path / "absent.json")
