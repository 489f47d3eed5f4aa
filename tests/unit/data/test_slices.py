"""Further columns of a dataset, brought along into its splits."""

import math

import pytest
from fixtures_data import plain, prepare, prepare_rows, row, said, user, write_jsonl

from pipeline.jobs.io import InputError

SLICES = ["domain", "level", "hard"]


def rows_of(splits):
    return [pair for table in splits.values() for pair in table.to_pylist()]


def sliced(number, **changes):
    """A pair whose further columns follow from its number; every fifth one has no level, every seventh no domain."""
    level = None if number % 5 == 0 else number
    domain = None if number % 7 == 0 else ["maths", "code"][number % 2]
    return row(number) | {"domain": domain, "level": level, "hard": number % 3 == 0, "other": "x"} | changes


def test_each_pair_keeps_its_own_values_though_rows_are_left_out(tmp_path):
    rows = [sliced(number) for number in range(60)]
    rows[10] |= {"rejected": rows[10]["chosen"]}
    rows[20] |= {"chosen": rows[19]["chosen"], "rejected": rows[19]["rejected"], "prompt": rows[19]["prompt"]}
    splits, card = prepare_rows(tmp_path, rows, slices=SLICES)
    assert all(set(SLICES) < set(table.column_names) and "other" not in table.column_names for table in splits.values())
    found = rows_of(splits)
    assert len(found) == 58 and card["dropped"]["equal_responses"] == card["dropped"]["duplicate"] == 1
    for pair in found:
        number = int(pair["prompt"].split()[1])
        if number == 19:  # there twice
            continue
        told = sliced(number)
        assert pair["domain"] == (told["domain"] or "(none)") and pair["hard"] == str(told["hard"])
        assert math.isnan(pair["level"]) if told["level"] is None else pair["level"] == told["level"]


def test_sources_that_leave_rows_out_keep_the_others_values(tmp_path):
    rows = [
        {
            "context": [user(f"Question {i}?")],
            "response1": f"good {i}",
            "response2": f"bad {i}",
            "language": f"l{i % 3}",
        }
        | {"overall_preference": -2 if i % 4 else 0}
        for i in range(24)
    ]
    spec = plain(write_jsonl(tmp_path / "rows.jsonl", rows), source="helpsteer3", slices=["language"])
    found = rows_of(prepare(spec)[0])
    assert len(found) == 18
    for pair in found:
        number = int(pair["chosen"][0]["content"].split()[1])
        assert pair["chosen"] == [said(f"good {number}")] and pair["language"] == f"l{number % 3}"


def test_nothing_else_changes(tmp_path):
    rows = [sliced(number) for number in range(30)]
    (with_slices, card), (without, other) = (prepare_rows(tmp_path, rows, **keys) for keys in ({"slices": SLICES}, {}))
    for name, table in without.items():
        assert with_slices[name].select(table.column_names) == table
    assert {**card, "samples": []} == {**other, "samples": []}


@pytest.mark.parametrize(
    ("slices", "changes", "message"),
    [
        (["topic"], {}, "no column 'topic'"),
        (["chosen"], {}, "slices: 'chosen' is a column that splits have anyway"),
        (["domain"], {"domain": ["a"]}, "slices: column 'domain' holds list.* must hold text, numbers or truth values"),
    ],
)
def test_columns_that_cannot_be_brought_are_told(tmp_path, slices, changes, message):
    with pytest.raises(InputError, match=message):
        prepare_rows(tmp_path, [sliced(number, **changes) for number in range(9)], slices=slices)
