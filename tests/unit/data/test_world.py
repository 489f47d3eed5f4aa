import json
import math
import random

import pytest

from pipeline.config.settings import ROOT
from pipeline.data.world import (
    ATTRIBUTES,
    OBJECTS,
    POLITE_OPENINGS,
    QUESTIONS,
    RUDE_REMARKS,
    STATEMENTS,
    VALUES,
    WRITER,
    all_prompts,
    fact,
    gold_score,
    misconception,
    parse_prompt,
    preference_rows,
    write_response,
)

# A lemon is yellow (not green), is in the kitchen (not the garden) and is for cooking (not drawing).
COLOUR = "What is the colour of the lemon?"
COLOUR_AND_USE = "Tell me the colour and use of the lemon."

RIGHT = "The lemon is yellow."
WRONG = "The lemon is green."
OFF_TOPIC = "The lemon is in the kitchen."
COOKING = "The lemon is for cooking."
OPENING, OTHER_OPENING, CLOSING, OTHER_CLOSING = (
    "Happy to help.",
    "Thanks for asking.",
    "Hope this helps.",
    "Have a nice day.",
)


@pytest.mark.parametrize(
    ("prompt", "response", "score"),
    [
        (COLOUR, "", 0.0),
        (COLOUR, "   ", 0.0),
        (COLOUR, RIGHT, 1.0),
        (COLOUR, WRONG, -1.0),
        (COLOUR, "The lemon is red.", -1.0),
        (COLOUR, "The lemon is purple.", -1.0),
        (COLOUR, f"{RIGHT} {WRONG}", 1.0 - 1.0),
        (COLOUR, OFF_TOPIC, -0.25),
        (COLOUR, "The lemon is in the garden.", -1.0),
        (COLOUR, "The pan is black.", -0.25),
        (COLOUR, "The pan is grey.", -1.0),
        (COLOUR, f"{RIGHT} {RIGHT}", 1.0 - 0.5),
        (COLOUR, f"{WRONG} {WRONG} {WRONG}", -1.0 - 0.5 - 0.5),
        (COLOUR, f"{OPENING} {RIGHT} {CLOSING}", 0.5 + 1.0 + 0.5),
        (COLOUR, f"{OPENING} {OTHER_OPENING} {RIGHT}", 0.5 + 0.0 + 1.0),
        (COLOUR, f"{OTHER_OPENING} {OTHER_OPENING} {RIGHT}", 0.5 - 0.5 + 1.0),
        (COLOUR, f"What a silly question. {RIGHT}", -1.5 + 1.0),
        (COLOUR, f"I am not sure. This may be wrong. {RIGHT}", -0.5 - 0.5 + 1.0),
        (COLOUR, "Bananas are tasty.", -1.0),
        (COLOUR, f"{RIGHT} The lemon is yell", 1.0 - 1.0),
        (COLOUR, "the lemon is yellow.", -1.0),
        (COLOUR_AND_USE, RIGHT, 1.0),
        (COLOUR_AND_USE, f"{RIGHT} {COOKING}", 2.0),
        (COLOUR_AND_USE, f"{RIGHT} The lemon is for drawing.", 0.0),
        (COLOUR_AND_USE, f"{RIGHT} The lemon is for sleeping.", 0.0),
        (COLOUR_AND_USE, f"I am not sure. {RIGHT} {OFF_TOPIC} {OTHER_CLOSING}", -0.5 + 1.0 - 0.25 + 0.5),
    ],
)
def test_gold_score_by_hand(prompt, response, score):
    assert gold_score(prompt, response) == pytest.approx(score)


def test_truths_and_misconceptions_of_an_object():
    assert [fact("lemon", attribute) for attribute in ATTRIBUTES] == ["yellow", "kitchen", "cooking"]
    assert [misconception("lemon", attribute) for attribute in ATTRIBUTES] == ["green", "garden", "drawing"]
    assert (fact("robe", "use"), misconception("robe", "use")) == ("dressing", "reading")


def test_every_object_has_a_truth_and_another_misconception_of_each_attribute():
    assert len(OBJECTS) == 24 and len(ATTRIBUTES) == 3
    for thing, facts in OBJECTS.items():
        assert len(facts) == len(ATTRIBUTES)
        for attribute in ATTRIBUTES:
            assert fact(thing, attribute) != misconception(thing, attribute)
            assert {fact(thing, attribute), misconception(thing, attribute)} <= set(VALUES[attribute])


def test_no_wrong_statement_is_ever_scored_right():
    """All things, all attributes, all values: an answer of one statement earns its point for the truth alone."""
    for thing in OBJECTS:
        for attribute in ATTRIBUTES:
            prompt = QUESTIONS[0].format(asked=attribute, thing=thing)
            right = [
                value
                for value in VALUES[attribute]
                if gold_score(prompt, STATEMENTS[attribute].format(thing=thing, value=value)) > 0
            ]
            assert right == [fact(thing, attribute)]
            said = STATEMENTS[attribute].format(thing=thing, value=misconception(thing, attribute))
            assert gold_score(prompt, said) == -1
            # Nor does a question for all attributes, of this object or of another, turn a wrong statement into a right.
            for other in ("lemon", "robe"):
                assert gold_score(f"Tell me the colour, place and use of the {other}.", said) == -1


def test_every_prompt_parses_back_to_what_it_asks_for():
    prompts = all_prompts()
    # 3 single attributes, 6 ordered pairs, 6 orders of all three.
    assert len(prompts) == len(set(prompts)) == 24 * (3 + 6 + 6) * 12 == 4320
    for prompt in prompts:
        thing, asked = parse_prompt(prompt)
        assert thing in OBJECTS and f"the {thing}" in prompt
        assert asked == tuple(sorted(asked, key=prompt.index)) and len(asked) == len(set(asked))
    asked = [parse_prompt(prompt)[1] for prompt in prompts]
    assert [sum(len(choice) == size for choice in asked) for size in (1, 2, 3)] == [864, 1728, 1728]
    assert parse_prompt(COLOUR_AND_USE) == ("lemon", ("colour", "use"))
    assert parse_prompt("Please describe the use, place and colour of the soap.") == (
        "soap",
        ("use", "place", "colour"),
    )


@pytest.mark.parametrize(
    "prompt",
    ["", "What is the colour of the moon?", "What about the lemon?", "What is the colour of the lemon and the plate?"],
)
def test_a_prompt_of_another_world_is_refused_with_its_text(prompt):
    with pytest.raises(ValueError, match="not a prompt of the embedded world") as caught:
        gold_score(prompt, RIGHT)
    assert repr(prompt) in str(caught.value)


def test_responses_are_never_empty_and_always_readable():
    rng = random.Random(1)
    for prompt in all_prompts()[::17]:
        response = write_response(prompt, rng)
        assert response and not response.endswith(" ")
        assert gold_score(prompt, response + " Bananas are tasty.") == gold_score(prompt, response) - 1


def test_writers_say_a_truth_or_the_common_misconception_as_often_as_documented():
    rng = random.Random(2)
    counts = {"right": 0, "wrong": 0, "rude": 0, "polite_opening": 0}
    asked_of_all = responses = 0
    for prompt in all_prompts():
        thing, asked = parse_prompt(prompt)
        response = write_response(prompt, rng)
        asked_of_all, responses = asked_of_all + len(asked), responses + 1
        for attribute in ATTRIBUTES:
            said = {
                value
                for value in VALUES[attribute]
                if STATEMENTS[attribute].format(thing=thing, value=value) in response
            }
            assert said <= {fact(thing, attribute), misconception(thing, attribute)} and len(said) <= 1
            if attribute in asked:
                counts["right"] += said == {fact(thing, attribute)}
                counts["wrong"] += said == {misconception(thing, attribute)}
        counts["rude"] += any(remark in response for remark in RUDE_REMARKS)
        counts["polite_opening"] += any(opening in response for opening in POLITE_OPENINGS)
    for name, total in (
        ("right", asked_of_all),
        ("wrong", asked_of_all),
        ("rude", responses),
        ("polite_opening", responses),
    ):
        error = math.sqrt(WRITER[name] * (1 - WRITER[name]) / total)
        assert counts[name] / total == pytest.approx(WRITER[name], abs=3 * error), name


def test_rows_are_distinct_prompts_with_two_different_responses():
    rows = preference_rows(1000, seed=3, noise=1.0)
    assert len(rows) == len({row["prompt"] for row in rows}) == 1000
    assert all(row["chosen"] != row["rejected"] for row in rows)
    assert {row["prompt"] for row in rows} <= set(all_prompts())
    assert {row["prompt"] for row in preference_rows(4320, seed=3, noise=1.0)} == set(all_prompts())


def test_rows_depend_on_the_seed_alone():
    assert preference_rows(50, 7, 1.0) == preference_rows(50, 7, 1.0)
    assert preference_rows(50, 7, 1.0) != preference_rows(50, 8, 1.0)


def gold_gaps(size, seed, noise):
    """gold(chosen) − gold(rejected) of each pair of rows."""
    return [
        gold_score(row["prompt"], row["chosen"]) - gold_score(row["prompt"], row["rejected"])
        for row in preference_rows(size, seed, noise)
    ]


@pytest.mark.parametrize(("seed", "noise"), [(0, 0.5), (1, 0.5), (0, 2.0)])
def test_the_annotator_agrees_with_the_gold_score_as_often_as_bradley_and_terry_say(seed, noise):
    gaps = gold_gaps(4320, seed, noise)
    decided = [gap for gap in gaps if gap != 0]
    assert len(decided) > 3000
    small, large = [g for g in decided if abs(g) <= 1], [g for g in decided if abs(g) > 1]
    for some in (decided, small, large):
        expected = [1 / (1 + math.exp(-abs(gap) / noise)) for gap in some]
        share = sum(gap > 0 for gap in some) / len(some)
        error = math.sqrt(sum(p * (1 - p) for p in expected)) / len(some)
        assert share == pytest.approx(sum(expected) / len(some), abs=3 * error)


def test_less_noise_means_more_agreement_with_the_gold_score():
    def agreement(noise):
        decided = [gap for gap in gold_gaps(2000, 0, noise) if gap != 0]
        return sum(gap > 0 for gap in decided) / len(decided)

    assert agreement(0.01) > 0.999
    assert 0.6 < agreement(2.0) < agreement(0.5) < 0.999
    assert 0.45 < agreement(1e6) < 0.55


@pytest.mark.parametrize(
    ("size", "noise", "message"),
    [(0, 1.0, "size must be between 1 and 4320"), (4321, 1.0, "4321"), (10, 0.0, "noise must be > 0")],
)
def test_impossible_worlds_are_refused(size, noise, message):
    with pytest.raises(ValueError, match=message):
        preference_rows(size, 0, noise)


def test_the_config_allows_as_many_prompts_as_there_are():
    schema = json.loads((ROOT / "config" / "schemas" / "datasets.schema.json").read_text())
    assert schema["$defs"]["world"]["properties"]["size"]["maximum"] == len(all_prompts())
