"""Files with a byte-order mark, a column twice, or fields of several types that nothing reads."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures_data import plain, prepare, prepare_rows, row, write_jsonl
from fixtures_models import PLAIN_ENTRY, chat_tokenizer

from pipeline.data.json_lines import json_column
from pipeline.jobs.io import InputError
from pipeline.rewards.pair_tables import pairs_of, read_split

ARGUMENTS = [{"city": "Rome"}, {"city": 7}, {"city": ["Rome", "Oslo"]}, {}, "Rome", None]


def tool_rows(count):
    """Dialogues whose prompt has a tool call with arguments of several types."""

    def prompt(i):
        calls = [{"name": "weather", "arguments": ARGUMENTS[i % len(ARGUMENTS)]}]
        asked = {"role": "user", "content": f"Weather {i}?"}
        called = {"role": "assistant", "content": "I look it up.", "tool_calls": calls if i % 7 else None}
        return [asked, called, {"role": "tool", "content": "sunny", "tool_call_id": i if i % 2 else "first"}]

    def said(text):
        return [{"role": "assistant", "content": text}]

    return [{"prompt": prompt(i), "chosen": said(f"Sunny {i}."), "rejected": said("No.")} for i in range(count)]


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz"])
def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path, suffix):
    content = ("\ufeff" + "".join(json.dumps(row(i)) + "\n" for i in range(20))).encode()
    path = tmp_path / f"rows.{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    assert prepare(plain(path))[1]["rows_out"] == 20
    assert read_split(str(path), "train").num_rows == 20


def test_a_column_that_stands_twice_is_named(tmp_path):
    texts = pa.array(["a", "b"])
    table = pa.Table.from_arrays([texts] * 4, names=["prompt", "chosen", "rejected", "prompt"])
    pq.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(InputError, match=r"rows\.parquet: column 'prompt' stands there 2 times; keep one of them"):
        prepare(plain(tmp_path / "rows.parquet"))
    with pytest.raises(InputError, match="rows: column 'prompt' stands there 2 times; keep one of them"):
        pairs_of(table, "rows")


def test_a_key_that_stands_twice_in_a_line_is_named(tmp_path):
    path = write_jsonl(tmp_path / "rows.jsonl", [row(1)])
    path.write_text(path.read_text() + '{"prompt": "p", "chosen": "c", "rejected": "r", "chosen": "d"}\n')
    with pytest.raises(InputError, match=r"rows\.jsonl: line 2 has a key more than once"):
        prepare(plain(path))


def test_fields_that_nothing_reads_may_have_several_types(tmp_path):
    splits, card = prepare_rows(tmp_path, tool_rows(40))
    assert card["rows_out"] == 40
    prompt = splits["train"]["prompt"][0].as_py()
    assert [message["role"] for message in prompt] == ["user", "assistant", "tool"]
    assert all(set(message) == {"role", "content"} for message in prompt)


def test_scoring_keeps_such_fields_as_json(tmp_path):
    table = read_split(str(write_jsonl(tmp_path / "rows.jsonl", tool_rows(12))), "train")
    called = table["prompt"][2].as_py()[1]
    assert json.loads(called["tool_calls"]) == [{"name": "weather", "arguments": {"city": ["Rome", "Oslo"]}}]
    assert len(pairs_of(table, "rows")[0]) == 12


def test_contents_may_be_text_here_and_parts_there(tmp_path):
    parts = [{"type": "text", "text": "Is it "}, {"type": "text", "text": "red?"}]
    rows = [
        {"prompt": [{"role": "user", "content": parts if i % 2 else f"{i}?"}], "chosen": "So.", "rejected": f"No {i}."}
        for i in range(20)
    ]
    splits, card = prepare_rows(tmp_path, rows)
    assert card["changed"] == {"parts of a content joined": 10}
    prompts = {pair["prompt"][0]["content"] for table in splits.values() for pair in table.to_pylist()}
    assert {"0?", "Is it red?"} <= prompts


@pytest.mark.parametrize("values", [[1, "a"], [[1], "a"], [{"a": 1}, {"a": "b"}], [[{"role": 1}], [{"role": "user"}]]])
def test_what_is_read_must_be_of_one_type(values):
    with pytest.raises(pa.ArrowException):
        json_column(values)


def test_lists_of_columns_in_place_of_messages_are_refused(tmp_path):
    prompt = {"role": ["user"], "content": ["Why?"]}
    with pytest.raises(InputError, match=r"column 'prompt.role' holds list.*; it must hold text"):
        prepare_rows(tmp_path, [{"prompt": prompt, "chosen": "So.", "rejected": "No."}])


def test_a_row_that_a_chat_template_refuses_is_counted_and_named(tmp_path, capsys):
    tokenizer = chat_tokenizer()
    strict = "{% if messages[0].content == 'prompt 7' %}{{ raise_exception('no sevens') }}{% endif %}"
    tokenizer.chat_template = strict + tokenizer.chat_template
    tokenizer.save_pretrained(tmp_path / "strict")
    (tmp_path / "strict" / "config.json").write_text('{"model_type": "llama"}')
    entry = {"path": str(tmp_path / "strict"), "trust_remote_code": False, **PLAIN_ENTRY}
    _, card = prepare_rows(tmp_path, [row(i) for i in range(20)], tokenizers=[entry], max_length=200)
    assert (card["rows_out"], card["dropped"]["refused_by_template"], "malformed" in card) == (19, 1, False)
    told = f"a chat template refuses 1 rows, the first with the prompt 'prompt 7' ({tmp_path}/strict: no sevens)"
    assert told in capsys.readouterr().out


def test_system_texts_that_are_moved_are_counted(tmp_path):
    strict = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    for name, before in (("strict", strict), ("open", "")):
        tokenizer = chat_tokenizer()
        tokenizer.chat_template = before + tokenizer.chat_template
        tokenizer.save_pretrained(tmp_path / name)
        (tmp_path / name / "config.json").write_text('{"model_type": "llama"}')
    system = {"role": "system", "content": "Be brief."}
    rows = [row(i) | {"prompt": [system] * (i < 4) + [{"role": "user", "content": f"prompt {i}"}]} for i in range(20)]
    for each in rows:
        each |= {name: [{"role": "assistant", "content": each[name]}] for name in ("chosen", "rejected")}
    cards = {
        name: prepare_rows(tmp_path, rows, tokenizers=[{"path": str(tmp_path / name), **PLAIN_ENTRY}], max_length=200)[
            1
        ]
        for name in ("strict", "open")
    }
    assert cards["strict"]["system_texts_moved"] == 4 and cards["strict"]["rows_out"] == 20
    assert "system_texts_moved" not in cards["open"]
