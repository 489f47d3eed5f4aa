"""HelpSteer3, Chatbot Arena and ranked answers: the files of tests/data/datasets, and rows in documented schemas."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from fixtures_data import plain, prepare, prepare_rows, said, turn, user

from pipeline.data.adapters import adapter_for
from pipeline.data.tally import Tally
from pipeline.jobs.io import InputError

CASES = Path(__file__).resolve().parents[2] / "data" / "datasets"


def convert(source, *rows, **spec):
    """(pairs as tuples, tally) of rows of a source."""
    adapter, tally = adapter_for({"source": source, **spec}), Tally()
    table = pa.Table.from_pylist(list(rows)).select(adapter.columns)
    pairs = adapter.convert(table, tally).to_pylist()
    return [tuple(pair.values()) for pair in pairs], tally


def good_and_poor(splits):
    """The texts of the responses, and how many pairs there are."""
    pairs = [pair for table in splits.values() for pair in table.to_pylist()]
    texts = [tuple(v if isinstance(v, str) else v[0]["content"] for v in (p["chosen"], p["rejected"])) for p in pairs]
    return texts, len(pairs)


@pytest.mark.parametrize(
    ("case", "source", "pairs", "dropped", "changed"),
    [
        ("helpsteer3", "helpsteer3", 15, {"no_preference": 1}, {}),
        ("arena", "arena", 12, {"no_preference": 4}, {}),
        ("arena_turns", "arena", 16, {}, {"later turns cut": 16}),
        ("ranked_answers", "ranked", 16, {}, {}),
    ],
)
def test_files_of_each_source(case, source, pairs, dropped, changed):
    splits, card = prepare(plain(CASES / case, source=source))
    texts, count = good_and_poor(splits)
    assert count == pairs and {reason: n for reason, n in card["dropped"].items() if n} == dropped
    assert card.get("changed", {}) == changed
    assert all(chosen.startswith("A good") and rejected.startswith("A poor") for chosen, rejected in texts)


# HelpSteer3


def helpsteer3_row(preference, **changes):
    """A row in the schema of nvidia/HelpSteer3's dataset card, configuration preference."""
    rating = {"score": -2, "reasoning": "…", "feedback1": "…", "feedback2": "…"}
    row = {"domain": "general", "language": "english", "context": [user("Hi."), said("Hello."), user("Why?")]}
    row |= {"response1": "So.", "response2": "No.", "overall_preference": preference, "individual_preference": [rating]}
    return row | changes


def test_a_negative_preference_is_for_the_first_response():
    context = [user("Hi."), said("Hello."), user("Why?")]
    pairs, tally = convert("helpsteer3", *map(helpsteer3_row, (-3, 1, 0, None, 4)))
    assert pairs == [(context, [said("So.")], [said("No.")], 3.0), (context, [said("No.")], [said("So.")], 1.0)]
    assert +tally == {"no_preference": 2, "malformed": 1}
    assert tally.of("malformed") == {"a preference beyond 3": 1}


def test_a_context_that_does_not_end_with_the_user_is_malformed():
    _, tally = convert("helpsteer3", helpsteer3_row(1, context=[user("Hi."), said("Hello.")]))
    assert tally.of("malformed") == {"a prompt that ends with the assistant": 1}


def test_the_margin_is_in_the_card(tmp_path):
    rows = [helpsteer3_row(2, context=[user(f"{i}?")]) for i in range(20)]
    card = prepare_rows(tmp_path, rows, source="helpsteer3")[1]
    assert card["histograms"]["margin"]["of"] == "score, chosen minus rejected"


# Chatbot Arena


def arena_row(winner, one=(), other=(), **changes):
    """A row in the schema of lmsys/chatbot_arena_conversations' dataset card."""
    row = {"question_id": "58", "model_a": "m1", "model_b": "m2", "winner": winner, "judge": "arena_user", "turn": 1}
    row |= {"conversation_a": list(one) or [user("Why?"), said("So.")]}
    return row | {"conversation_b": list(other) or [user("Why?"), said("No.")], "language": "English"} | changes


def test_the_winner_is_chosen_and_ties_of_every_kind_are_no_preference():
    winners = ("model_a", "model_b", "tie", "tie (bothbad)", "both_bad", None, "judge")
    pairs, tally = convert("arena", *map(arena_row, winners))
    asked = [user("Why?")]
    assert pairs == [(asked, [said("So.")], [said("No.")]), (asked, [said("No.")], [said("So.")])]
    assert +tally == {"no_preference": 4, "malformed": 1}


def test_arena_140k_has_parts():
    """The dataset card of lmarena-ai/arena-human-preference-140k: contents are lists {type, text, image, mimeType}."""

    def parts(role, text):
        return turn(role, [{"type": "text", "text": text, "image": None, "mimeType": None}])

    one, other = ([parts("user", "Why?"), parts("assistant", text)] for text in ("So.", "No."))
    row = arena_row("model_b", one, other)
    pairs, tally = convert("arena", row)
    assert pairs == [([user("Why?")], [said("No.")], [said("So.")])]
    assert tally.of("changed") == {"parts of a content joined": 1}
    row["conversation_a"][0]["content"][0] = {"type": "image", "text": None, "image": "x", "mimeType": "image/png"}
    with pytest.raises(InputError, match=r"column 'conversation_a': row 0 .*'image'.*text alone"):
        convert("arena", row)


def test_conversations_may_be_json():
    """The dataset card of lmarena-ai/arena-expert-5k: conversations are texts."""
    row = arena_row("model_a")
    texts = {name: json.dumps(row[name]) for name in ("conversation_a", "conversation_b")}
    assert convert("arena", row | texts)[0] == convert("arena", row)[0]
    with pytest.raises(InputError, match="column 'conversation_b' holds text that is no list of messages in JSON"):
        convert("arena", row | texts | {"conversation_b": "Hello."})


def test_of_several_turns_the_first_answers_that_differ_are_the_pair():
    asked, went_on = [user("Why?")], [user("And?"), said("…")]
    longer = arena_row("model_a", [*asked, said("So."), *went_on], [*asked, said("No."), user("How?"), said("…")])
    shared = arena_row("model_a", [*asked, said("Hm."), *went_on], [*asked, said("Hm."), user("And?"), said("!")])
    apart = arena_row("model_a", [*asked, said("Hm."), *went_on], [*asked, said("Hm."), user("How?"), said("!")])
    others = arena_row("model_a", [user("Who?"), said("I."), *went_on], [user("Where?"), said("Here.")])
    pairs, tally = convert("arena", longer, shared, apart, others)
    assert pairs == [
        (asked, [said("So.")], [said("No.")]),
        ([*asked, said("Hm."), user("And?")], [said("…")], [said("!")]),
    ]
    assert +tally == {"several_turns": 1, "prompts_differ": 1} and tally.of("changed") == {"later turns cut": 1}
    pairs, tally = convert("arena", longer, shared, apart, several_turns="drop")
    assert len(pairs) == 1 and +tally == {"several_turns": 2}


def test_several_turns_are_in_the_card_where_there_are_any(tmp_path):
    rows = [arena_row("model_a", [user(f"{i}?"), said("So.")], [user(f"{i}?"), said("No.")]) for i in range(20)]
    rows[3]["conversation_a"] += [user("And?"), said("!")]
    assert "several_turns" not in prepare_rows(tmp_path, rows, source="arena")[1]["dropped"]
    card = prepare_rows(tmp_path, rows, source="arena", several_turns="drop")[1]
    assert card["dropped"]["several_turns"] == 1 and card["rows_in"] == 20


# Ranked answers


def nectar_row(*ranks, prompt="\n\nHuman: Hi.\n\nAssistant: Hello.\n\nHuman: Why?\n\nAssistant: "):
    """A row in the schema of berkeley-nest/Nectar's dataset card."""
    answers = [{"answer": f"answer {rank}", "model": "m", "rank": rank} for rank in ranks]
    row = {"prompt": prompt, "answers": answers, "turns": 2, "num_responses": len(ranks), "source": ["lmsys-chat-1m"]}
    return row | {"good_natured": True}


def test_the_lowest_rank_against_the_highest():
    prompt = [user("Hi."), said("Hello."), user("Why?")]
    pairs, tally = convert(
        "ranked", nectar_row(2.0, 7.0, 1.0), nectar_row(1.0, 1.0), nectar_row(1.0), nectar_row(2, None)
    )
    assert pairs == [(prompt, [said("answer 1.0")], [said("answer 7.0")], 6.0)]
    assert +tally == {"no_preference": 1, "malformed": 2}


def test_each_with_the_next():
    pairs, tally = convert("ranked", nectar_row(3.0, 1.0, 2.0, 2.0), pairs="adjacent")
    assert [(pair[1][0]["content"], pair[2][0]["content"]) for pair in pairs] == [
        ("answer 1.0", "answer 2.0"),
        ("answer 2.0", "answer 3.0"),
    ]
    assert tally.of("further_pairs") == {"pairs": 1}


def test_prompts_that_are_no_dialogues():
    assert convert("ranked", nectar_row(1.0, 2.0, prompt="Why?"))[0] == [("Why?", "answer 1.0", "answer 2.0", 1.0)]
    pairs, tally = convert("ranked", nectar_row(1.0, 2.0), nectar_row(1.0, 2.0, prompt="\n\nHuman: Why?"))
    assert len(pairs) == 1
    assert tally.of("malformed") == {"a prompt that does not end where the assistant is to speak": 1}
    pairs, _ = convert("ranked", nectar_row(1.0, 2.0, prompt=[user("Why?")]))
    assert pairs[0][0] == [user("Why?")]


def test_every_pair_of_a_row_is_counted(tmp_path):
    rows = [nectar_row(1.0, 2.0, 3.0, prompt=f"{i}?") for i in range(20)]
    splits, card = prepare_rows(tmp_path, rows, source="ranked", pairs="adjacent")
    assert (card["rows_in"], card["further_pairs"]) == (20, 20)
    assert card["rows_out"] + sum(card["dropped"].values()) == 40
    assert len(splits["train"]) == 2 * card["prompts"]["train"]
