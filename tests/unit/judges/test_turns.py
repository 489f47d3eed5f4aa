"""Answers to sets of prompts: what a judge compares turn by turn, and its verdicts."""

import pandas as pd
import pytest
from fixtures_endpoint import Endpoint
from fixtures_judges import make_judge, replies

from pipeline.columns.verdicts import VERDICT_COLUMNS
from pipeline.jobs.io import InputError
from pipeline.judges.tables import judge_by_score
from pipeline.judges.turns import by_turn, named_turns, set_pairs, side_by_side, unnamed_turns
from pipeline.judges.verdicts import judge_by_model

PROMPTS = pd.DataFrame(
    {
        "prompt_id": ["a", "b"],
        "prompt": ["One?", "Two?"],
        "further": [["More?"], []],
        "reference": [["1", "11"], None],
        "category": ["x", "y"],
        "row": ['{"n": 1}', '{"n": 2}'],
    }
)


def user(text):
    return {"role": "user", "content": text}


def said(text):
    return {"role": "assistant", "content": text}


def answers(first, second, other):
    prompts = [[user("One?"), said(first), user("More?")], [user("Two?")]]
    return pd.DataFrame({"prompt_id": ["a", "b"], "prompt": prompts, "response": [second, other]})


OWN, BASELINE = answers("uno", "undici", "due"), answers("eins", "elf", "zwei")


def test_a_prompt_of_two_turns_has_two_rows_each_after_its_own_conversation():
    table = set_pairs(OWN, BASELINE, PROMPTS, "dpo")
    assert table[["prompt_id", "turn"]].to_numpy().tolist() == [["a", 1], ["a", 2], ["b", 1]]
    assert table["response"].tolist() == ["uno", "undici", "due"]
    assert table["baseline_response"].tolist() == ["eins", "elf", "zwei"]
    assert table["prompt"].tolist() == [[user("One?")], OWN["prompt"][0], [user("Two?")]]
    assert table["baseline_prompt"][1] == BASELINE["prompt"][0]
    assert table["reference"].tolist() == ["1", "11", None] and table["row"].tolist() == [{"n": 1}, {"n": 1}, {"n": 2}]


def test_references_are_an_opponent_where_there_are_any_and_checks_have_none():
    table = set_pairs(OWN, None, PROMPTS, "reference")
    assert table["baseline_response"].tolist() == ["1", "11"]
    assert table["baseline_prompt"][1] == [user("One?"), said("1"), user("More?")]
    assert set_pairs(OWN, None, PROMPTS, "check")["baseline_response"].tolist() == ["", "", ""]
    with pytest.raises(InputError, match="no prompt of the set has a reference answer"):
        set_pairs(OWN, None, PROMPTS.assign(reference=None), "reference")
    with pytest.raises(InputError, match="the baseline has no response to 1 of the set's prompts, b the first"):
        set_pairs(OWN, BASELINE[:1], PROMPTS, "dpo")


def test_a_scorer_sees_each_answer_after_its_own_conversation_and_verdicts_have_the_turn():
    asked = []

    def scorer(prompts, responses):
        asked.append(prompts)
        return [len(response) for response in responses]

    table = named_turns(set_pairs(OWN, BASELINE, PROMPTS, "dpo"), PROMPTS)
    assert table["prompt_id"].tolist() == ["1:a", "2:a", "1:b"]
    verdicts = unnamed_turns(judge_by_score(table, scorer, "j", "m", "dpr", 1, "dpo"), PROMPTS)
    assert asked[0][1] == OWN["prompt"][0] and asked[1][1] == BASELINE["prompt"][0]
    assert list(verdicts.columns) == [*VERDICT_COLUMNS, "turn"]
    assert verdicts[["prompt_id", "turn", "preference"]].to_numpy().tolist() == [
        ["a", 1, 0.0],
        ["a", 2, 1.0],
        ["b", 1, 0.0],
    ]


def test_a_set_of_single_turns_has_no_column_for_them():
    single = PROMPTS.assign(further=[[], []], reference=[["1"], None])
    own = pd.DataFrame({"prompt_id": ["a", "b"], "prompt": ["One?", "Two?"], "response": ["uno", "due"]})
    table = named_turns(set_pairs(own, None, single, "reference"), single)
    assert table["prompt_id"].tolist() == ["a"] and by_turn(own, single)["prompt"].tolist() == ["One?", "Two?"]
    frame = pd.DataFrame({"prompt_id": ["a"]})
    assert unnamed_turns(frame, single) is frame


def test_what_two_conversations_share_is_the_request_and_the_rest_stands_with_the_answers():
    shared, one, other = side_by_side(OWN["prompt"][0], BASELINE["prompt"][0], "undici", "elf")
    assert shared == [user("One?")]
    assert one == "Assistant: uno\n\nUser: More?\n\nAssistant: undici"
    assert other == "Assistant: eins\n\nUser: More?\n\nAssistant: elf"
    assert side_by_side("One?", [user("One?")], "a", "b") == ("One?", "a", "b")


@pytest.mark.usefixtures("key")
def test_a_language_model_is_shown_both_conversations(tmp_path):
    table = named_turns(set_pairs(OWN, BASELINE, PROMPTS, "dpo"), PROMPTS)
    with Endpoint() as server:
        spec, service = make_judge("PP", base_url=server.url)
        verdicts = judge_by_model(table, spec, service, tmp_path / "store", "dpr", 1, "dpo")
        asked = [call.body["messages"][0]["content"] for call in server.calls]
    verdicts = unnamed_turns(verdicts, PROMPTS)
    assert len(verdicts) == len(asked) == len(replies(tmp_path)) == 6
    assert verdicts.groupby(["prompt_id", "turn"]).size().to_dict() == {("a", 1): 2, ("a", 2): 2, ("b", 1): 2}
    both = [text for text in asked if "User: More?" in text]
    assert len(both) == 2 and all("Assistant: uno" in text and "Assistant: elf" in text for text in both)
