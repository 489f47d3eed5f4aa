"""Which files of a folder are of which split, by their names alone."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures_data import plain, prepare, row

from pipeline.data.split_files import folder_splits, split_files
from pipeline.jobs.io import InputError
from pipeline.rewards.pair_tables import read_split, split_names

ULTRAFEEDBACK_BINARIZED = [
    f"data/{name}-00000-of-00001.parquet"
    for name in ("test_gen", "test_prefs", "test_sft", "train_gen", "train_prefs", "train_sft")
]


def folder(path, files):
    for file in files:
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).touch()
    return path


@pytest.mark.parametrize(
    ("files", "split", "right"),
    [
        (["train_prefs-00000-of-00001.parquet", "test_prefs-00000-of-00001.parquet"], "train", [0]),
        (["train_prefs-00000-of-00001.parquet", "test_prefs-00000-of-00001.parquet"], "test", [1]),
        (["train_prefs-00000-of-00002.parquet", "train_prefs-00001-of-00002.parquet"], "train", [0, 1]),
        (ULTRAFEEDBACK_BINARIZED, "train_prefs", [4]),
        (["train-00000-of-00001-a09b74b3ef9c3b56.parquet", "test-00000-of-00001-5dfd.parquet"], "train", [0]),
        (["train.parquet", "train_sft.parquet"], "train", [0]),
        (["harmless_train.jsonl", "helpful-train.jsonl", "helpful-test.jsonl"], "train", [0, 1]),
        (["train1.jsonl", "train2.jsonl", "evaluation.jsonl"], "train", [0, 1]),
        (["training.jsonl", "testing.jsonl"], "train", [0]),
        (["training.jsonl", "testing.jsonl"], "test", [1]),
        (["train.jsonl", "dev.jsonl"], "validation", [1]),
        (["train_prefs/part.parquet", "my-eval/part.parquet"], "train", [0]),
        (["train_prefs/part.parquet", "my-eval/part.parquet"], "test", [1]),
        (["train.parquet/part-0.parquet", "test.parquet/part-0.parquet"], "train", [0]),
        (["dev-kit/train.jsonl", "dev-kit/test.jsonl"], "train", [0]),
        (["train_selection.jsonl", "selection_a.jsonl"], "selection", [1]),
        (["constraint.jsonl", "latest.jsonl", "contest.jsonl"], "train", [0, 1, 2]),
        (["pairs-00000-of-00002.parquet", "pairs-00001-of-00002.parquet"], "train", [0, 1]),
    ],
)
def test_files_are_of_the_split_that_their_names_say(tmp_path, files, split, right):
    at = folder(tmp_path, files)
    assert sorted(split_files(at, split)) == sorted(at / files[number] for number in right)


@pytest.mark.parametrize(
    ("files", "split", "message"),
    [
        (ULTRAFEEDBACK_BINARIZED, "train", "the split 'train' may be any of train_gen, train_prefs, train_sft; name"),
        (["rows.jsonl", "test_prefs.jsonl"], "train", "no split 'train'; the files in it name rows, test_prefs$"),
        (["flan-00000-of-00001.parquet", "sharegpt-00000-of-00001.parquet"], "train", "name flan, sharegpt$"),
        (["train_prefs.jsonl", "test_prefs.jsonl"], "validation", "name test_prefs, train_prefs$"),
        (["train.jsonl", "validation.jsonl"], "dev", "name train, validation$"),
        (["train-vs-test.jsonl"], "test", "name train-vs-test$"),
        (["rows.csv"], "train", "there is no data file in this folder"),
    ],
)
def test_where_none_or_several_fit_the_splits_are_listed(tmp_path, files, split, message):
    with pytest.raises(InputError, match=message):
        split_files(folder(tmp_path, files), split)


def test_the_splits_of_a_folder_are_those_that_its_files_name(tmp_path):
    assert folder_splits(folder(tmp_path / "one", ULTRAFEEDBACK_BINARIZED[1::3])) == ["test_prefs", "train_prefs"]
    assert folder_splits(folder(tmp_path / "two", ["flan.jsonl", "sharegpt.jsonl"])) == ["train"]


def test_no_row_of_a_test_file_is_prepared_or_scored_for_training(tmp_path):
    tables = {}
    for number, name in enumerate(("train", "test")):
        tables[name] = pa.Table.from_pylist([row(1000 * number + i) for i in range(30)])
        (tmp_path / "source").mkdir(exist_ok=True)
        pq.write_table(tables[name], tmp_path / f"source/{name}_prefs-00000-of-00001.parquet")
    splits, card = prepare(plain(tmp_path / "source", splits={"train": "train"}))
    assert card["rows_in"] == 30
    prompts = {prompt for split in splits.values() for prompt in split["prompt"].to_pylist()}
    assert prompts == set(tables["train"]["prompt"].to_pylist())
    assert split_names(str(tmp_path / "source")) == ["test_prefs", "train_prefs"]
    assert read_split(str(tmp_path / "source"), "train").equals(tables["train"])
    file = str(tmp_path / "source/test_prefs-00000-of-00001.parquet")
    assert split_names(file) == ["test_prefs"] and read_split(file, "test").equals(tables["test"])
    with pytest.raises(InputError, match="there is no split 'train'; there is test_prefs"):
        read_split(file, "train")
