from itertools import product

import pytest

from pipeline.data.fair_world import (
    CLOSINGS,
    HEDGES,
    HELD_OUT,
    OPENINGS,
    PARTS,
    RUDE,
    SOURCES,
    STATEMENTS,
    gold_parts,
    gold_score,
    is_held_out,
    preference_rows,
)
from pipeline.data.preparation import prepare
from pipeline.data.world import ATTRIBUTES, OBJECTS, VALUES, all_prompts, fact, misconception, parse_prompt
from pipeline.jobs.io import InputError, read_parquet

COLOUR, ALL = "What is the colour of the lemon?", "Tell me the colour, place and use of the lemon."
RIGHT, AGAIN, WRONG = "The lemon is yellow.", "The colour of the lemon is yellow.", "The lemon is green."


@pytest.fixture(scope="module")
def rows():
    return preference_rows(2992, 512, seed=0, noise=0.5)


@pytest.mark.parametrize(
    ("prompt", "response", "parts"),
    [
        (COLOUR, "", {"missing": -0.5}),
        (COLOUR, RIGHT, {"right": 1}),
        (COLOUR, WRONG, {"wrong": -1}),
        (COLOUR, f"{RIGHT} {WRONG}", {"wrong": -1}),
        (COLOUR, f"{RIGHT} The lemon is red. The lemon is blue.", {"wrong": -2}),
        (COLOUR, f"{RIGHT} {RIGHT}", {"right": 1, "readability": -0.5}),
        (COLOUR, f"{RIGHT} {AGAIN}", {"right": 1, "readability": -0.5}),
        (COLOUR, f"{RIGHT} The lemon is in the kitchen.", {"right": 1, "off_topic": -0.25}),
        (COLOUR, f"{RIGHT} The pan is black. The pan is grey.", {"right": 1, "off_topic": -0.25, "wrong": -1}),
        (COLOUR, f"{RIGHT} The lemon is in the garden.", {"right": 1, "wrong": -1}),
        (COLOUR, "The lemon is yell", {"missing": -0.5, "readability": -0.5}),
        (COLOUR, "Bananas are tasty. So there.", {"missing": -0.5, "readability": -1}),
        (COLOUR, f"Of course. Happy to help. {RIGHT} All the best.", {"right": 1, "manner": 0.2}),
        (COLOUR, f"{RIGHT} I am not sure. This may be wrong.", {"right": 1, "manner": -0.1}),
        (COLOUR, f"Look it up yourself. {RIGHT} Of course. Of course.", {"right": 1, "readability": -0.5}),
        (ALL, f"{RIGHT} People keep the lemon in the garden.", {"right": 1, "wrong": -1, "missing": -0.5}),
    ],
)
def test_parts_by_hand_add_up_to_the_score(prompt, response, parts):
    assert gold_parts(prompt, response) == pytest.approx(dict.fromkeys(PARTS, 0.0) | parts)
    assert gold_score(prompt, response) == pytest.approx(sum(parts.values()))


@pytest.mark.parametrize("prompt", [COLOUR, "Tell me the place and use of the saw.", ALL])
def test_no_manner_makes_up_for_a_fact(prompt):
    """All answers by what is said of each asked fact, with all manners, said once or several times."""
    thing, asked = parse_prompt(prompt)
    manners = [
        " ".join(sentence for sentences, count in zip(kinds, counts, strict=True) for sentence in sentences[:count])
        for kinds in [(OPENINGS, CLOSINGS, RUDE, HEDGES)]
        for counts in product((0, 1, 4), repeat=4)
    ]
    said = {}
    for states in product((0, 1, 2), repeat=len(asked)):  # wrong, missing, right
        values = [(misconception, None, fact)[state] for state in states]
        body = " ".join(
            STATEMENTS[attribute][0].format(thing=thing, value=value(thing, attribute))
            for attribute, value in zip(asked, values, strict=True)
            if value
        )
        scores = [gold_score(prompt, f"{body} {manner}") for manner in manners]
        assert max(scores) - min(scores) == pytest.approx(0.4)
        said[states] = min(scores), max(scores)
    compared = 0
    for better, worse in product(said, said):
        if better != worse and all(one >= other for one, other in zip(better, worse, strict=True)):
            assert said[better][0] > said[worse][1], (better, worse)
            compared += 1
    assert compared == 6 ** len(asked) - 3 ** len(asked)


def test_every_form_of_every_statement_is_known():
    for thing, attribute in product(OBJECTS, ATTRIBUTES):
        prompt = f"What is the {attribute} of the {thing}?"
        for value, form in product(VALUES[attribute], STATEMENTS[attribute]):
            score = gold_score(prompt, form.format(thing=thing, value=value))
            assert score == (1 if value == fact(thing, attribute) else -1)


def test_held_out_pairs_are_asked_for_in_their_part_of_eval_alone(rows):
    assert len(HELD_OUT) == 12 and sorted(a for _, a in HELD_OUT) == sorted(list(ATTRIBUTES) * 4)
    assert [row["source"] for row in rows["eval"]] == ["held_out"] * 256 + ["like_train"] * 256
    asks = {kind: [is_held_out(row["prompt"]) for row in rows["eval"] if row["source"] == kind] for kind in SOURCES}
    assert all(asks["held_out"]) and not any(asks["like_train"])
    assert len(rows["train"]) == 2480 and not any(is_held_out(row["prompt"]) for row in rows["train"])
    assert not {row["prompt"] for row in rows["train"]} & {row["prompt"] for row in rows["eval"]}


def test_the_facts_that_are_held_out_stand_in_what_sft_is_trained_on(rows, tmp_path):
    spec = {"name": "w", "source": "world", "edition": 2, "size": 2992, "noise": 0.5, "eval_size": 512}
    spec |= {"selection_size": 384, "seed": 0}
    card = prepare(spec, tmp_path, processes=1)
    assert card["splits"] == {"train": 2096, "selection": 384, "eval": 512}
    train, held = (read_parquet(tmp_path / f"{name}.parquet") for name in ("train", "eval"))
    assert set(train["source"]) == {"like_train"}
    assert held["source"].value_counts().to_dict() == {"held_out": 256, "like_train": 256}
    asked = {"held_out": True, "like_train": False}
    assert [is_held_out(prompt) for prompt in held["prompt"]] == held["source"].map(asked).tolist()
    text = " ".join(train["chosen"])
    for thing, attribute in HELD_OUT:
        true, common = (
            sum(text.count(form.format(thing=thing, value=value)) for form in STATEMENTS[attribute])
            for value in (fact(thing, attribute), misconception(thing, attribute))
        )
        assert true >= 5 and true > common


def test_few_chosen_responses_of_eval_stand_in_train(rows):
    train = {row[name] for row in rows["train"] for name in ("chosen", "rejected")}
    assert sum(row["chosen"] in train for row in rows["eval"]) / len(rows["eval"]) < 0.1


def test_rows_depend_on_the_seed_alone(rows):
    assert preference_rows(2992, 512, seed=0, noise=0.5) == rows
    assert preference_rows(2992, 512, seed=1, noise=0.5) != rows


def test_some_responses_break_off_and_none_is_empty(rows):
    responses = [row[name] for row in rows["train"] for name in ("chosen", "rejected")]
    assert all(responses)
    assert 0.07 < sum(response[-1] != "." for response in responses) / len(responses) < 0.13


def test_more_prompts_than_there_are_are_refused(tmp_path):
    spec = {"name": "w", "source": "world", "edition": 2, "size": 3000, "noise": 0.5, "eval_size": 512}
    with pytest.raises(InputError, match="2744 prompts that are like_train are wanted, there are 2736; lower size"):
        prepare(spec, tmp_path / "data", processes=1)
    assert not (tmp_path / "data").exists()
    assert sum(map(is_held_out, all_prompts())) == 4320 - 2736
