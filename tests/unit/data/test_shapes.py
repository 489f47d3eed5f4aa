"""The shapes of plain tables: the files of tests/data/datasets, and rows in schemas that their authors document."""

from pathlib import Path

import pyarrow as pa
import pytest
from fixtures_data import plain, prepare, prepare_rows, said, turn, user, write_jsonl

from pipeline.data.adapters import adapter_for
from pipeline.data.pairing import cut_texts
from pipeline.data.tally import Tally
from pipeline.jobs.io import InputError

CASES = Path(__file__).resolve().parents[2] / "data" / "datasets"


def convert(*rows, **spec):
    """(pairs, tally) of rows of the source plain."""
    adapter, tally = adapter_for({"source": "plain", **spec}), Tally()
    pairs = adapter.convert(pa.Table.from_pylist(list(rows)), tally).to_pylist()
    return [(pair["prompt"], pair["chosen"], pair["rejected"]) for pair in pairs], tally


SHAPES = {
    "content_parts": ("prompt as messages, responses as messages, contents of parts", "parts of a content joined", 16),
    "implicit_prompt": ("no prompt column, responses as whole conversations", "", 0),
    "implicit_prompt_text": ("no prompt column, responses as text", "", 0),
    "model_without_system_role": ("prompt as messages, responses as messages", "", 0),
    "prompt_text_and_whole_conversations": ("prompt as text, responses as whole conversations", "", 0),
    "sharegpt": ("conversations as messages, responses as one message, ShareGPT turns", "roles renamed", 16),
    "system_question": ("question as text, responses as text, system texts in system", "system text made a turn", 8),
}


@pytest.mark.parametrize("case", SHAPES)
def test_each_shape_is_found_and_becomes_pairs(case):
    shape, change, changed = SHAPES[case]
    splits, card = prepare(plain(CASES / case))
    assert card["shape"] == {shape: 16} and card["rows_out"] == 16
    assert card.get("changed", {}).get(change, 0) == changed
    for table in splits.values():
        for pair in table.to_pylist():
            prompt, chosen, rejected = pair["prompt"], pair["chosen"], pair["rejected"]
            if not isinstance(prompt, str):
                assert prompt[-1]["role"] == "user" and set(prompt[-1]) == {"role", "content"}
                assert [message["role"] for message in (*chosen, *rejected)] == ["assistant"] * 2
                chosen, rejected = chosen[0]["content"], rejected[0]["content"]
            assert chosen.strip().startswith("A good answer, number ")
            assert rejected.strip() == chosen.strip().replace("good", "poor")


def test_the_whole_prompt_of_each_shape():
    first = "How long does an egg boil until it is hard (4 minutes of patience)?"

    def prompts(case):
        splits, _ = prepare(plain(CASES / case))
        return [pair["prompt"] for table in splits.values() for pair in table.to_pylist()]

    assert [user(first)] in prompts("content_parts")
    assert [user(first), said("First reply."), user("Say more.")] in prompts("implicit_prompt")
    assert f"Question: {first}\nAnswer:" in prompts("implicit_prompt_text")
    assert [turn("system", "Be brief."), user(first)] in prompts("sharegpt")
    assert [user(first)] in prompts("system_question")
    assert sum(prompt[0] == turn("system", "You answer in one sentence.") for prompt in prompts("system_question")) == 8


def test_tool_calls_among_the_responses_are_counted():
    with pytest.raises(InputError, match=r"would be empty: .*malformed 16 \(tool calls 16\)"):
        prepare(plain(CASES / "tool_turns"))


# Rows in documented schemas


def test_ultrafeedback_binarized():
    """The dataset card of HuggingFaceH4/ultrafeedback_binarized; Zephyr's recipe reads it."""
    asked, good, bad = user("Which colour?"), said("Yellow."), said("Loud.")
    row = {"prompt": "Which colour?", "prompt_id": "4f", "chosen": [asked, good], "rejected": [asked, bad]}
    row |= {"messages": [asked, good], "score_chosen": 8.5, "score_rejected": 6.0}
    other = row | {"prompt": "Which one?"}
    pairs, tally = convert(row, other)
    assert pairs == [([asked], [good], [bad])]
    assert tally == {"prompts_differ": 1}


def test_tulu_3_and_orpo_mix_have_dialogues_beside_the_text_of_a_question():
    """The dataset cards of allenai/llama-3.1-tulu-3-8b-preference-mixture and mlabonne/orpo-dpo-mix-40k."""
    head = [user("Hi."), said("Hello."), user("And now?")]
    row = {"id": "1", "chosen": [*head, said("a")], "rejected": [*head, said("b")], "source": "s"}
    pairs, _ = convert(row | {"prompt": "And now?", "question": "?"}, row | {"prompt": " Hi.\n", "question": "?"})
    assert pairs == [(head, [said("a")], [said("b")])] * 2


def test_skywork_has_no_prompt():
    """The dataset card of Skywork/Skywork-Reward-Preference-80K-v0.2; "implicit prompt" in TRL's dataset formats."""
    row = {"chosen": [user("Hi."), said("a")], "rejected": [user("Hi."), said("b")], "source": "magpie"}
    pairs, tally = convert(row, row | {"rejected": [user("Bye."), said("b")]})
    assert pairs == [([user("Hi.")], [said("a")], [said("b")])]
    assert tally == {"prompts_differ": 1}


def test_orca_pairs():
    """The dataset card of Intel/orca_dpo_pairs."""
    row = {"system": "Be brief.", "question": "Why?", "chosen": "So.", "rejected": "No."}
    pairs, tally = convert(row, row | {"system": ""}, row | {"system": None})
    asked = [user("Why?")]
    assert pairs == [
        (head, [said("So.")], [said("No.")]) for head in ([turn("system", "Be brief."), *asked], asked, asked)
    ]
    assert tally.of("changed") == {"system text made a turn": 1}


def test_sharegpt_preferences():
    """LlamaFactory's data/README.md, the preference dataset in ShareGPT format."""

    def by(name, text):
        return {"from": name, "value": text}

    row = {"conversations": [by("human", "Hi."), by("gpt", "Hello."), by("human", "Why?")]}
    row |= {"chosen": by("gpt", "So."), "rejected": by("gpt", "No.")}
    pairs, tally = convert(row)
    assert pairs == [([user("Hi."), said("Hello."), user("Why?")], [said("So.")], [said("No.")])]
    assert tally.of("changed") == {"one message made a list": 1, "roles renamed": 1}


def test_parts_are_joined_and_a_part_that_is_no_text_is_named_by_row(tmp_path):
    """Messages in the format of OpenAI's chat completions, whose content may be a list of parts."""
    parts = [{"type": "text", "text": "Is it "}, {"type": "text", "text": "red?"}]
    row = {"prompt": [{"role": "user", "content": parts}], "chosen": "Yes.", "rejected": "No."}
    assert convert(row)[0] == [([user("Is it red?")], [said("Yes.")], [said("No.")])]
    image = {"prompt": [{"role": "user", "content": [*parts, {"type": "image_url", "text": None}]}]}
    with pytest.raises(InputError, match=r"rows\.jsonl: column 'prompt': row 1 .* type 'image_url'.* text alone"):
        prepare_rows(tmp_path, [row, row | image])


def test_kto_needs_pairs(tmp_path):
    """The unpaired preference format of TRL's KTOTrainer."""
    with pytest.raises(InputError, match=r"rows\.jsonl: the columns completion and label .*KTO.* pairs are needed"):
        prepare_rows(tmp_path, [{"prompt": "Why?", "completion": "So.", "label": True}])


# Columns of other names


def test_columns_of_other_names(tmp_path):
    rows = [
        {"instruction": f"Why {i}?", "better": "So.", "worse": "No.", "sys": "Be brief." if i % 2 else ""}
        for i in range(20)
    ]
    named = {"prompt": "instruction", "chosen": "better", "rejected": "worse"}
    splits, card = prepare_rows(tmp_path, rows, columns=named)
    assert card["format"] == "text" and splits["train"]["chosen"][0].as_py() == "So."
    splits, card = prepare_rows(tmp_path, rows, columns=named | {"system": "sys"})
    assert card["changed"] == {"system text made a turn": 10}
    with pytest.raises(InputError, match=r"no column 'bettr'; it must have instruction, bettr, worse; it has .*sys"):
        prepare_rows(tmp_path, rows, columns=named | {"chosen": "bettr"})
    with pytest.raises(InputError, match="chosen and rejected are both 'better'"):
        prepare_rows(tmp_path, rows, columns=named | {"rejected": "better"})
    with pytest.raises(InputError, match=r"no column 'chosen'.*columns: \{prompt: …, chosen: …, rejected: …\}"):
        prepare_rows(tmp_path, rows)


def test_a_system_text_beside_messages():
    row = {"system": "Be brief.", "prompt": [user("Why?")], "chosen": "So.", "rejected": "No."}
    own = [turn("system", "Be brief."), user("Why?")]
    pairs, tally = convert(row, row | {"prompt": own}, row | {"prompt": own, "system": "Be long."})
    assert [pair[0] for pair in pairs] == [own, own]
    assert tally.of("malformed") == {"two system texts": 1}


# One text with prompt and response


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected"),
    [
        ("Question: Why?\nAnswer:", " The sky.", " The sea."),
        ("\n\nHuman: Why?\n\nAssistant:", " I see.", " I saw."),
        ("Why is it red?\n", "It is.", "It was."),
        ("BEGINNING OF CONVERSATION: USER: Why? ASSISTANT:", "It is", "It was"),
        ("<|user|>Why?<|assistant|>", "It is", "It was"),
        ("[INST] Why? [/INST]", " It is", " It was"),
        ("### Instruction:\nWhy?\n\n### Response:", "yes", "yellow"),
    ],
)
def test_the_cut_is_behind_the_last_line_break_or_mark(prompt, chosen, rejected):
    assert cut_texts(prompt + chosen, prompt + rejected) == (prompt, chosen, rejected)


def test_texts_without_a_place_to_cut_are_malformed():
    row = {"chosen": "Q: Why?\nA: So.", "rejected": "Q: Why?\nA: No."}
    pairs, tally = convert(row, {"chosen": "The sky is blue.", "rejected": "The sea is blue."})
    assert pairs == [("Q: Why?\nA:", " So.", " No.")]
    assert tally.of("malformed") == {"no place to cut the prompt from the responses": 1}


def test_an_empty_prompt_beside_whole_conversations_is_none(tmp_path):
    asked = [user(f"{i}?") for i in range(20)]
    rows = [{"prompt": "", "chosen": [turn, said("a")], "rejected": [turn, said("b")]} for turn in asked]
    rows[3]["prompt"] = "3?"
    assert prepare_rows(tmp_path, rows)[1]["rows_out"] == 20


def test_empty_texts_of_published_shapes_are_counted_and_those_of_ones_own_refused(tmp_path):
    rows = [{"question": f"Why {i}?", "chosen": "So.", "rejected": "" if i == 3 else "No."} for i in range(20)]
    assert prepare_rows(tmp_path, rows)[1]["dropped"]["empty"] == 1
    with pytest.raises(InputError, match=r"column 'rejected': row 3 .* is empty"):
        prepare_rows(tmp_path, rows, columns={"prompt": "question"})


def test_a_probability_goes_with_its_pair(tmp_path):
    rows = [
        {
            "chosen": [user(f"{i}?"), said("a")],
            "rejected": [user(f"{i}?" if i != 3 else "?"), said("b")],
            "bt_prob": 1.0,
        }
        for i in range(20)
    ]
    rows[3]["bt_prob"] = None  # as score_bt.py writes it where there is no pair
    splits, card = prepare_rows(tmp_path, rows, relabel=True)
    assert card["dropped"]["prompts_differ"] == 1 and not any(splits["train"]["flipped"].to_pylist())
    rows[4]["bt_prob"] = None
    with pytest.raises(InputError, match=r"column 'bt_prob': row 4 \(the first is 0\) is null"):
        prepare_rows(tmp_path, rows, relabel=True)


def test_the_number_of_processes_changes_no_count(tmp_path):
    rows = [
        {"chosen": [user(f"{i}?"), said("a")], "rejected": [user(f"{i}?" if i % 100 else "?"), said("b")]}
        for i in range(21_000)
    ]
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    one, two = (prepare(plain(path), processes)[1] for processes in (1, 2))
    assert one == two and one["dropped"]["prompts_differ"] == 210
    assert one["shape"] == {"no prompt column, responses as whole conversations": 21_000}
