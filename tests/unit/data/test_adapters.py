"""Each adapter on rows in its source's own schema, read from files as users have them."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures_data import hh_row, pku_row, summarize_row, ultrafeedback_row, webgpt_row

from pipeline.data.adapters import adapter_for
from pipeline.data.loading import read_batches
from pipeline.jobs.io import InputError
from pipeline.sources.hh_rlhf.adapter import split_dialogue

HH_SAMPLE = Path(__file__).resolve().parents[4] / "shared" / "hh-rlhf" / "harmless-base-600.jsonl.gz"


def convert(folder, source, rows, preference=None, suffix="parquet"):
    """Write rows to a file, read it back through the adapter: (pairs as lists of tuples, dropped)."""
    path = folder / f"rows.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif suffix == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    spec = {"name": "rows", "source": source, "path": str(path), "splits": {"train": "train", "eval": None}}
    adapter, dropped, pairs = adapter_for(spec | {"preference": preference}), Counter(), []
    for batch in read_batches(spec, "train", adapter.columns):
        pairs += adapter.convert(batch.table, dropped).to_pylist()
    return [(pair["prompt"], pair["chosen"], pair["rejected"]) for pair in pairs], +dropped


def test_pku_takes_the_better_or_the_safer_response(tmp_path):
    rows = [pku_row(0, 1), pku_row(1, 0)]
    first, second = "With a pick.", "Call a locksmith."
    helpful, _ = convert(tmp_path, "pku", rows, "helpful")
    harmless, _ = convert(tmp_path, "pku", rows, "harmless")
    assert helpful == [(rows[0]["prompt"], first, second), (rows[0]["prompt"], second, first)]
    assert harmless == [(rows[0]["prompt"], second, first), (rows[0]["prompt"], first, second)]


def test_pku_counts_null_labels_and_labels_that_are_no_response(tmp_path):
    pairs, dropped = convert(tmp_path, "pku", [pku_row(0, 1), pku_row(None, 1), pku_row(2, 1), pku_row(-1, 0)])
    assert len(pairs) == 1
    assert dropped == {"no_preference": 1, "malformed": 2}


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "jsonl.gz"])
def test_all_labels_null_is_no_preference_in_every_format(tmp_path, suffix):
    assert convert(tmp_path, "pku", [pku_row(None, None)] * 3, suffix=suffix) == ([], {"no_preference": 3})


def test_an_unknown_preference_or_source_lists_the_known_ones():
    with pytest.raises(InputError, match="'safe' is unknown; it must be one of helpful, harmless"):
        adapter_for({"source": "pku", "preference": "safe"})
    with pytest.raises(InputError, match=r"'pkuu' is unknown; it must be one of pku, .*webgpt"):
        adapter_for({"source": "pkuu"})


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_ultrafeedback_takes_the_highest_against_the_lowest_score(tmp_path, suffix):
    rows = [
        ultrafeedback_row(("a", 7.0), ("b", 8.5), ("c", 2.0), ("d", 3.0)),
        ultrafeedback_row(("a", 7.0), ("b", 8.5), ("c", 2.0)),
        ultrafeedback_row(("a", 7.0), ("b", None), ("c", 2.0), ("d", 3.0)),
        ultrafeedback_row(("a", 7.0), ("b", 8.5), (None, 2.0), ("d", 3.0)),
        ultrafeedback_row(("a", 5.0), ("b", 5.0), ("c", 5.0), ("d", 5.0)),
        ultrafeedback_row(),
        ultrafeedback_row(("e", 1.0), ("f", 9.0), ("g", 9.0), ("h", 1.0)),
    ]
    pairs, dropped = convert(tmp_path, "ultrafeedback", rows, suffix=suffix)
    assert pairs == [("Name a fruit.", "b", "c"), ("Name a fruit.", "f", "e")]
    assert dropped == {"malformed": 4, "no_preference": 1}


def test_ultrafeedback_with_no_usable_row_gives_none(tmp_path):
    pairs, dropped = convert(tmp_path, "ultrafeedback", [ultrafeedback_row(("a", 1.0))] * 2)
    assert (pairs, dropped) == ([], {"malformed": 2})


def said(text):
    return [{"role": "assistant", "content": text}]


def asked(text):
    return [{"role": "user", "content": text}]


def test_hh_dialogues_become_messages(tmp_path):
    rows = [
        hh_row("Hi.", chosen="Hello!", rejected="Go away."),
        hh_row("Hi.", "Hello!", "Who are you?", chosen="A model.", rejected="Nobody."),
    ]
    pairs, dropped = convert(tmp_path, "hh_rlhf", rows, suffix="jsonl.gz")
    assert pairs == [
        (asked("Hi."), said("Hello!"), said("Go away.")),
        (asked("Hi.") + said("Hello!") + asked("Who are you?"), said("A model."), said("Nobody.")),
    ]
    assert not dropped


def test_hh_rows_whose_prompts_differ_or_that_are_no_dialogue_are_counted(tmp_path):
    good = hh_row("Hi.", chosen="Hello!", rejected="Go away.")
    rows = [
        good,
        good | {"rejected": "\n\nHuman: Bye.\n\nAssistant: Go away."},
        good | {"rejected": good["rejected"] + "\n\nAssistant: Now."},
        good | {"chosen": "Hello!"},
        good | {"chosen": good["chosen"] + "\n\nHuman: Thanks."},
        {key: f"\n\nAssistant: Hi.\n\nAssistant: {key}" for key in ("chosen", "rejected")},
    ]
    pairs, dropped = convert(tmp_path, "hh_rlhf", rows)
    assert len(pairs) == 1
    assert dropped == {"prompts_differ": 1, "malformed": 4}


def test_a_dialogue_is_cut_at_its_last_assistant():
    prompt, response = split_dialogue("\n\nHuman: a\n\nb\n\nHuman: c\n\nAssistant: d\n\nHuman: e\n\nAssistant: f\n\ng ")
    assert prompt == asked("a\n\nb\n\nc") + said("d") + asked("e")
    assert response == "f\n\ng"
    assert split_dialogue("Human: a\n\nAssistant: b") == (asked("a"), "b")
    assert split_dialogue("\n\nHuman: a")[0] is None


def test_hh_real_dialogues():
    if not HH_SAMPLE.is_file():
        pytest.skip(f"the hh-rlhf sample is not there ({HH_SAMPLE})")
    adapter, dropped, pairs = adapter_for({"source": "hh_rlhf"}), Counter(), []
    spec = {"name": "hh", "source": "hh_rlhf", "path": str(HH_SAMPLE.parent), "splits": {"train": "train"}}
    for batch in read_batches(spec, "train", adapter.columns):
        pairs += adapter.convert(batch.table, dropped).to_pylist()
    assert len(pairs) == 600
    assert not +dropped
    rows = [json.loads(line) for line in gzip.decompress(HH_SAMPLE.read_bytes()).decode().splitlines()]
    for row, pair in zip(rows, pairs, strict=True):
        roles = [message["role"] for message in pair["prompt"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
        for name in ("chosen", "rejected"):
            turns = [*pair["prompt"], *pair[name]]
            names = {"user": "Human", "assistant": "Assistant"}
            text = "".join(f"\n\n{names[turn['role']]}: {turn['content']}" for turn in turns)
            assert text.split() == row[name].split()


def test_summarize_builds_the_prompt_and_takes_the_choice(tmp_path):
    news = {"post": None, "title": None, "subreddit": None, "site": "cnn", "article": "News."}
    rows = [
        summarize_row(0),
        summarize_row(1),
        summarize_row(None),
        summarize_row(0, info=news),
        summarize_row(3),
        summarize_row(0, summaries=(" Only one.",)),
        summarize_row(0, summaries=(" One.", None)),
    ]
    pairs, dropped = convert(tmp_path, "summarize", rows)
    prompt = "SUBREDDIT: r/AskReddit\nTITLE: My key\nPOST: I lost it.\nTL;DR:"
    assert pairs == [(prompt, " A short one.", " A long one."), (prompt, " A long one.", " A short one.")]
    assert dropped == {"no_preference": 1, "malformed": 4}


def test_webgpt_takes_the_higher_score(tmp_path):
    rows = [
        webgpt_row(0.5, -0.5),
        webgpt_row(-1.0, 1.0),
        webgpt_row(0.0, 0.0),
        webgpt_row(None, 1.0),
        webgpt_row(float("nan"), 1.0),
        webgpt_row(0.5, -0.5, text=None),
    ]
    pairs, dropped = convert(tmp_path, "webgpt", rows)
    question = "Why is the sky blue?"
    assert pairs == [(question, "Scattering.", "Paint."), (question, "Paint.", "Scattering.")]
    assert dropped == {"no_preference": 3, "malformed": 1}


def test_plain_text_passes_through(tmp_path):
    rows = [{"prompt": " p\n", "chosen": "c", "rejected": "r", "other": 1}]
    assert convert(tmp_path, "plain", rows, suffix="jsonl") == ([(" p\n", "c", "r")], {})


def test_plain_messages_pass_through_without_other_keys(tmp_path):
    message = {"content": "Hi.", "role": "user", "weight": 1}
    rows = [
        {"prompt": [message], "chosen": said("Hello!"), "rejected": said("No.")},
        {"prompt": [message | {"content": None}], "chosen": said("Hello!"), "rejected": said("No.")},
    ]
    pairs, dropped = convert(tmp_path, "plain", rows)
    assert pairs == [(asked("Hi."), said("Hello!"), said("No."))]
    assert dropped == {"malformed": 1}


def test_plain_messages_may_have_text_responses(tmp_path):
    rows = [{"prompt": asked("Hi."), "chosen": "Hello!", "rejected": "No."}]
    assert convert(tmp_path, "plain", rows)[0] == [(asked("Hi."), said("Hello!"), said("No."))]


@pytest.mark.parametrize(
    ("source", "row", "message"),
    [
        ("plain", {"prompt": 1, "chosen": "c", "rejected": "r"}, "column 'prompt' holds int64; it must hold text"),
        (
            "plain",
            {"prompt": [{"role": "u"}], "chosen": "c", "rejected": "r"},
            "'prompt' has no field 'content'; it has",
        ),
        ("pku", pku_row("first", "first"), "column 'better_response_id' holds string; it must hold numbers"),
        ("webgpt", webgpt_row(1, 0) | {"question": "Why?"}, "column 'question' holds string; it must hold objects"),
        (
            "summarize",
            summarize_row(0) | {"info": {"post": "p"}},
            "column 'info' has no field 'subreddit'; it has post",
        ),
        (
            "ultrafeedback",
            {"instruction": "i", "completions": "c"},
            "column 'completions' holds string; it must hold lists",
        ),
    ],
)
def test_a_column_of_the_wrong_type_is_named(tmp_path, source, row, message):
    with pytest.raises(InputError, match=message):
        convert(tmp_path, source, [row])


def test_a_missing_column_is_named_with_the_file(tmp_path):
    with pytest.raises(InputError, match=r"rows\.jsonl: no column 'rejected'; .*it has prompt, chosen"):
        convert(tmp_path, "plain", [{"prompt": "p", "chosen": "c"}], suffix="jsonl")
