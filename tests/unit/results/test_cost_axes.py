"""The Pareto front in words: who is on it, ties, one run, many runs, what is left out."""

import pytest
from numpy import nan

from pipeline.results.cost_axes import (
    AXES,
    caption,
    certainty_sentence,
    cost_words,
    front_sentence,
    known_axes,
    unknown_sentence,
)

TIME, STEPS = AXES[0], AXES[2]


def row(name, rate, seconds, front=True, **others):
    """A row of the table, of which the device time alone is known."""
    costs = dict.fromkeys((axis.column for axis in AXES), nan) | {"device_seconds": seconds}
    given = {"name": name, "win_rate": rate, "front": "device_seconds" if front else "", "front_share": 0.9}
    given |= {"unknown": ""}
    return given | costs | others


def test_the_front_is_named_from_the_cheapest_to_the_best():
    rows = [row("DPR", 64.06, 303), row("DPP", 40, 310, front=False), row("DPO", 48, 100)]
    text = front_sentence(rows, TIME)
    assert text == (
        "On the Pareto front of win rate against device time: DPO (48.0% for 1 min 40 s) and DPR (64.1% for 5 min 3 s)."
    )
    assert front_sentence([row("X", 50, 100), row("Y", 50, 100)], TIME).endswith("X (50.0% for 1 min 40 s) and Y "
        "(50.0% for 1 min 40 s).")  # fmt: skip


def test_one_that_beats_all_one_alone_and_none():
    beaten = [row("DPO", 48, 100, front=False), row("DPR", 64, 90)]
    assert (
        front_sentence(beaten, TIME)
        == "No other run costs less device time or wins more than DPR (64.0% for 1 min 30 s)."
    )
    alone = [row("SFT", 30, nan, front=False), row("DPO", 48, 60)]
    assert front_sentence(alone, TIME) == "The cost of DPO alone is known: 1 min of device time."
    assert front_sentence(alone[:1], TIME) == ""


def test_a_long_front_is_told_by_its_ends():
    text = front_sentence([row(f"R{i}", 40 + i, 60 * i) for i in range(1, 12)], TIME)
    names = [part.split(" (")[0] for part in text.split(": ")[1].replace(" and ", ", ").split(", ")]
    assert names == ["R1", "R2", "R3", "5 more", "R9", "R10", "R11"]


def test_how_sure_the_front_is_and_who_else_might_be_on_it():
    rows = [row("DPO", 48, 60), row("DPR", 64, 90, front_share=0.704)]
    rows += [row("DPP", 40, 95, front=False, front_share=share) for share in (0.3, 0.36, 0.01)]
    start = "In resamples of seeds and prompts these are on the front: DPO in 90%, DPR in 70%"
    assert certainty_sentence(rows, TIME) == f"{start}; of the others DPP most often, in 36%."
    assert certainty_sentence([*rows[:2], rows[-1]], TIME) == f"{start}." and certainty_sentence(rows[:1], TIME) == ""


def test_what_is_left_out_is_said_with_its_reason():
    rows = [
        row("DPO", 48, 60),
        row("SFT", 30, nan, unknown="no training here"),
        row("GPT", 90, nan, unknown="elsewhere"),
    ]
    assert unknown_sentence(rows, TIME) == (
        "Left out, as their cost is not known: SFT (no training here); GPT (elsewhere)."
    )
    assert unknown_sentence(rows[:1], TIME) == "" and "DPO (not counted)" in unknown_sentence(rows, STEPS)
    many = [row(f"R{i}", 50, nan, unknown="no training here") for i in range(9)]
    assert unknown_sentence(many, TIME).endswith("R4, R5, 3 more (no training here).")


@pytest.mark.parametrize(
    ("axis", "value", "words"),
    [
        ("device_seconds", 303, "5 min 3 s of device time"),
        ("steps", 1300, "1,300 optimizer steps"),
        ("tokens", 2e6, "2,000,000 tokens"),
        ("dollars", 0.126, "0.13 dollars"),
    ],
)
def test_costs_in_words(axis, value, words):
    [axis] = [each for each in AXES if each.column == axis]
    assert cost_words({axis.column: value}, axis) == words


def test_the_default_is_the_first_axis_that_is_known():
    rows = [row("DPO", 48, nan, steps=300.0, tokens=5.0)]
    assert [axis.column for axis in known_axes(rows)] == ["steps", "tokens"] and known_axes([]) == []
    assert known_axes([row("DPO", nan, 60)]) == []  # a cost without a win rate


def test_captions_are_made_from_the_written_table(tmp_path):
    assert caption(tmp_path / "none.csv") == ""
    costs = ",".join(axis.column for axis in AXES)
    lines = [f"dataset,model,decoding,run,name,win_rate,front,front_share,unknown,{costs}"]
    lines += ["a,M,,dpo_x,dpo_x,48,device_seconds,1,,60,50,10,,", "b,M,,dpr,DPR,,,,no training here,,,,,"]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert caption(tmp_path / "t.csv") == (
        "a, M: The cost of dpo\\_x alone is known: 1 min of device time.\n\n"
        "b, M: Left out, as their cost is not known: DPR (no training here)."
    )
    (tmp_path / "t.csv").write_text(lines[0] + "\n", encoding="utf-8")
    assert caption(tmp_path / "t.csv") == ""
