"""Near duplicates: n-grams, the estimated similarity, what is removed, which prompts stay together."""

import random
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from fixtures_data import ids, plain, prepare, prepare_rows, write_jsonl

from pipeline.data.contamination import Contamination
from pipeline.data.duplicates import near_duplicates, repeated, similarity, sketches
from pipeline.data.words import word_ngrams
from pipeline.jobs.io import InputError

VOCABULARY = [f"word{i}" for i in range(3000)]
LONG = "please explain in a few plain sentences why the sky over the sea is blue at noon and red in the evening"


def texts(*values):
    return pa.array(values, pa.large_string())


def sets(values, n, short=True):
    hashes, offsets = word_ngrams(texts(*values), n, short)
    return [set(hashes[first:last].tolist()) for first, last in pairwise(offsets)]


def words(text, n):
    """The word n-grams of a text, the plain way."""
    split = text.lower().split()
    return {tuple(split[i : i + n]) for i in range(max(len(split) - n + 1, 1))}


def jaccard(one, other):
    return len(one & other) / len(one | other)


def changed(text, share, draw):
    return " ".join(draw.choice(VOCABULARY) if draw.random() < share else word for word in text.split())


# n-grams


def test_ngrams_are_those_of_the_words():
    draw = random.Random(0)
    values = [" ".join(draw.choices(VOCABULARY[:30], k=k)) for k in (40, 3, 2, 1, 60)]
    found = sets(values, 3)
    for one, ours in zip(values, found, strict=True):
        assert len(ours) == len(words(one, 3))
        for other, theirs in zip(values, found, strict=True):
            assert len(ours & theirs) == len(words(one, 3) & words(other, 3))


def test_case_and_white_space_make_no_difference_but_order_does():
    one, same, other = sets(["The  sky\nis Blue", " the sky is blue ", "blue is the sky"], 3)
    assert one == same and not one & other


def test_texts_of_few_words():
    short, empty, sliced = sets(["two words", "", "two words more"], 3)
    assert len(short) == len(empty) == len(sliced) == 1 and not short & sliced
    assert sets(["one two three four five six seven", "", "1 2 3 4 5 6 7 8"], 8, short=False)[:2] == [set(), set()]
    assert word_ngrams(texts(), 3, True)[1].tolist() == [0]
    assert word_ngrams(texts("a b", "c d e", "f").slice(1), 3, True)[1].tolist() == [0, 1, 2]


# similarity


@pytest.mark.parametrize("share", [0.0, 0.02, 0.05, 0.1, 0.3])
def test_the_estimate_is_the_jaccard_similarity(share):
    draw = random.Random(1)
    ones = [" ".join(draw.choices(VOCABULARY, k=150)) for _ in range(200)]
    others = [changed(text, share, draw) for text in ones]
    exact = np.array([jaccard(words(a, 3), words(b, 3)) for a, b in zip(ones, others, strict=True)])
    (_, one), (_, other) = sketches([texts(*ones)], 0.8), sketches([texts(*others)], 0.8)
    error = similarity(one, other) - exact
    assert abs(error.mean()) < 0.015 and error.std() < 0.075


def test_groups_are_those_above_the_threshold():
    draw = random.Random(2)
    base = [" ".join(draw.choices(VOCABULARY, k=120)) for _ in range(300)]
    near = [changed(text, 0.01, draw) for text in base[:100]]
    far = [changed(text, 0.4, draw) for text in base[100:200]]
    bands, sketch = sketches([texts(*base, *near, *far)], 0.6)
    groups = near_duplicates(bands, [sketch], 0.6)
    assert groups[:300].tolist() == list(range(300))
    assert (groups[300:400] == np.arange(100)).mean() > 0.97
    assert groups[400:].tolist() == list(range(400, 500))


def test_a_chain_is_one_group_named_after_its_first_row():
    sketch = np.zeros((4, 64), np.uint8)
    sketch[1, :6], sketch[2, :12], sketch[3] = 1, 1, np.arange(64)
    bands = np.array([[1, 9], [1, 5], [2, 5], [3, 4]], np.uint32)
    assert near_duplicates(bands, [sketch], 0.85).tolist() == [0, 0, 0, 3]
    assert near_duplicates(bands, [sketch], 0.95).tolist() == [0, 1, 2, 3]
    assert near_duplicates(bands[:0], [sketch[:0]], 0.9).tolist() == []


def test_repeats_are_those_after_the_first():
    digests = np.array([[1, 2], [3, 4], [1, 2], [1, 3], [3, 4], [1, 2]], np.uint64)
    assert repeated(digests).tolist() == [False, False, True, False, True, True]
    assert repeated(digests[:0]).tolist() == []


# preparation


def unlike(count, start=0):
    draw = random.Random(start)
    made = (draw.choices(VOCABULARY, k=60) for _ in range(count))
    return [{"prompt": " ".join(w[:20]), "chosen": " ".join(w[20:40]), "rejected": " ".join(w[40:])} for w in made]


def alike(count):
    """Pairs with almost one prompt, and responses that have nothing in common."""
    return [row | {"prompt": f"{LONG} case{i}"} for i, row in enumerate(unlike(count, start=9))]


def test_near_duplicates_go_and_their_first_stays(tmp_path):
    rows = unlike(100)
    again = [row | {"chosen": row["chosen"] + " indeed"} for row in rows[:30]]
    splits, card = prepare_rows(tmp_path, rows + again, near_duplicates=0.8)
    assert card["dropped"]["near_duplicate"] == 30 and card["rows_out"] == 100
    kept = {text for table in splits.values() for text in table["chosen"].to_pylist()}
    assert kept == {row["chosen"] for row in rows}
    assert card["near_duplicates"] == {"threshold": 0.8, "prompts_with_near_duplicates": 0}
    _, card = prepare_rows(tmp_path, rows + again, near_duplicates=None)
    assert card["dropped"]["near_duplicate"] == 0 and "near_duplicates" not in card


def test_other_responses_and_the_opposite_preference_are_no_duplicates(tmp_path):
    rows = unlike(60)
    other = [row | {"rejected": row["prompt"]} for row in rows[:20]]
    opposite = [row | {"chosen": row["rejected"], "rejected": row["chosen"]} for row in rows[20:40]]
    _, card = prepare_rows(tmp_path, rows + other + opposite, near_duplicates=0.8)
    assert card["dropped"]["near_duplicate"] == 0


def test_messages_are_compared_by_their_texts(tmp_path):
    rows = [{"prompt": [{"role": "user", "content": row.pop("prompt")}], **row} for row in unlike(40)]
    again = [row | {"chosen": row["chosen"] + " indeed"} for row in rows[:10]]
    _, card = prepare_rows(tmp_path, rows + again, near_duplicates=0.8)
    assert (card["dropped"]["near_duplicate"], card["format"]) == (10, "messages")


def test_near_prompts_are_in_one_split(tmp_path):
    rows = unlike(200)
    rows += [row | {"prompt": row["prompt"] + " please", "chosen": row["rejected"], "rejected": "no"} for row in rows]
    splits, card = prepare_rows(tmp_path, rows, near_duplicates=0.8, selection_share=0.2)
    places = {prompt: name for name, table in splits.items() for prompt in table["prompt"].to_pylist()}
    assert all(places[row["prompt"]] == places[row["prompt"].removesuffix(" please")] for row in rows)
    assert card["near_duplicates"]["prompts_with_near_duplicates"] == 400
    assert card["splits"] == {"train": 256, "selection": 64, "eval": 80}
    splits, _ = prepare_rows(tmp_path, rows, near_duplicates=None, selection_share=0.2)
    places = {prompt: name for name, table in splits.items() for prompt in table["prompt"].to_pylist()}
    assert any(places[row["prompt"]] != places[row["prompt"].removesuffix(" please")] for row in rows)


def test_a_group_that_is_larger_than_a_split_is_trained_on(tmp_path):
    rows = unlike(30) + alike(60)
    splits, card = prepare_rows(tmp_path, rows, near_duplicates=0.7, eval_share=0.2)
    assert card["splits"]["eval"] == 18
    assert not any(prompt.startswith(LONG) for prompt in splits["eval"]["prompt"].to_pylist())


def test_only_near_duplicates_leave_nothing_to_hold_out(tmp_path):
    with pytest.raises(InputError, match="the eval split would be empty: all 40 prompts are near duplicates"):
        prepare_rows(tmp_path, alike(40), near_duplicates=0.7)


def test_train_prompts_near_to_the_sources_own_eval_prompts_leave(tmp_path):
    rows = unlike(80)
    near = [row | {"prompt": row["prompt"] + " please"} for row in rows[:10]]
    write_jsonl(tmp_path / "train.jsonl", near + rows[5:])
    write_jsonl(tmp_path / "test.jsonl", rows[:20])
    keys = {"splits": {"train": "train", "eval": "test"}, "eval_share": None}
    splits, card = prepare(plain(tmp_path, **keys, near_duplicates=0.8))
    # Of the ten near ones, five are near duplicates of a train row that comes after them, which goes.
    assert card["dropped"]["near_duplicate"] == 5
    assert card["dropped"]["near_prompt_in_eval"] == 10 and card["dropped"]["prompt_in_eval"] == 10
    assert card["splits"]["eval"] == 20 and not set(ids(splits["train"])) & set(ids(splits["eval"]))


# contamination


def test_contamination_counts_eval_prompts_that_share_eight_words():
    eight = "one two three four five six seven eight"
    contamination = Contamination()
    contamination.add_eval(texts(f"{eight} nine", "too short", "1 2 3 4 5 6 7 8"))
    contamination.add_eval(texts(f"so {eight}", "a b c d e f g h i"))
    contamination.see_train(texts("nothing of it", "one two three four five six seven"))
    contamination.see_train(texts(f"and {eight.upper()} again", "b c d e f g h i j"))
    assert contamination.summary() == {"words": 8, "eval_prompts": 4, "shared": 3, "share": 0.75}


def test_the_card_has_the_contamination(tmp_path):
    start = "please tell me in one sentence what you know of"
    rows = [row | {"prompt": f"{start} {row['prompt']}"} for row in unlike(30)]
    _, card = prepare_rows(tmp_path, rows)
    assert card["contamination"] == {"words": 8, "eval_prompts": 6, "shared": 6, "share": 1.0}
    _, card = prepare_rows(tmp_path, unlike(30))
    assert card["contamination"] == {"words": 8, "eval_prompts": 6, "shared": 0, "share": 0.0}
    _, card = prepare_rows(tmp_path, [{"prompt": f"short {i}", "chosen": "a", "rejected": "b"} for i in range(30)])
    assert card["contamination"] == {"words": 8, "eval_prompts": 0, "shared": 0, "share": 0.0}
