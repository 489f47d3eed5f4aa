"""Rows without a preference: a split of their own, their responses in a drawn order."""

import pyarrow.parquet as pq
import pytest
from fixtures_data import ids, plain, row, write_jsonl

from pipeline.config.settings import ConfigError, Settings
from pipeline.data import preparation
from pipeline.data.splitting import SPLITS
from pipeline.jobs.io import InputError


@pytest.fixture
def prepare(tmp_path):
    """A function from changed keys to the splits as tables, and the card."""
    rows = [row(number, prompt=f"prompt {number // 2}") for number in range(400)]
    path = write_jsonl(tmp_path / "rows.jsonl", rows)

    def prepare(name="data", **keys):
        card = preparation.prepare(plain(path, **keys), tmp_path / name, 1)
        return {file.stem: pq.read_table(file) for file in (tmp_path / name).glob("*.parquet")}, card

    return prepare


@pytest.mark.parametrize("wanted", [0.75, 216])
def test_they_are_train_rows_in_a_split_of_their_own(prepare, wanted):
    before, _ = prepare("before")
    splits, card = prepare(unlabelled=wanted)
    assert set(before) == set(SPLITS) and set(splits) == {*SPLITS, "unlabelled"}
    assert card["splits"] == {"train": 72, "unlabelled": 216, "selection": 16, "eval": 40}
    for name in ("selection", "eval"):
        assert splits[name].equals(before[name])
    train, aside = ids(splits["train"]), ids(splits["unlabelled"])
    assert not set(train) & set(aside) and sorted(train + aside) == sorted(ids(before["train"]))
    assert set(train) == {one for one in ids(before["train"]) if one not in set(aside)}


def test_their_order_says_nothing_and_the_labelled_keep_theirs(prepare):
    splits, _ = prepare(unlabelled=0.9)
    swapped = [text.startswith("bad") for text in splits["unlabelled"]["chosen"].to_pylist()]
    assert 0.4 < sum(swapped) / len(swapped) < 0.6
    pairs = [splits["unlabelled"][name].to_pylist() for name in ("chosen", "rejected")]
    for chosen, rejected in zip(*pairs, strict=True):
        assert chosen.split()[1] == rejected.split()[1] and chosen != rejected
    assert all(text.startswith("good") for text in splits["train"]["chosen"].to_pylist())
    again, _ = prepare("again", unlabelled=0.9)
    assert again["unlabelled"].equals(splits["unlabelled"])


def test_label_noise_is_on_what_is_labelled(prepare):
    splits, card = prepare(unlabelled=0.5, label_switching=0.3)
    assert "flipped" in splits["train"].column_names and "flipped" not in splits["unlabelled"].column_names
    assert 0 < card["label_noise"]["flipped"] < len(splits["train"])


@pytest.mark.parametrize(("wanted", "split"), [(288, "train"), (1000, "train"), (0.001, "unlabelled")])
def test_a_split_that_would_be_empty_is_refused(prepare, tmp_path, wanted, split):
    with pytest.raises(InputError, match=f"the {split} split would be empty: unlabelled is {wanted:g}, of 288 train"):
        prepare(unlabelled=wanted)
    assert not (tmp_path / "data").exists()


def test_a_part_of_a_row_is_refused():
    world = {"source": "world", "unlabelled": 2.5, "reward_model": "world", "judge": "gold"}
    config = {"tag": "t", "datasets": ["w"], "models": ["W1M"], "seeds": [1], "tasks": [{"method": "dpo"}]}
    with pytest.raises(ConfigError, match=r"unlabelled: 2\.5, which is neither a share below 1 nor a whole number"):
        Settings.from_config(config | {"definitions": {"datasets": {"w": world}}})
