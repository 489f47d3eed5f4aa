"""prepare_data.py --inspect: the shape, five pairs, and an entry that works as it is pasted."""

from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from fixtures_data import hh_row, pku_row, prepare, row, ultrafeedback_row, write_jsonl

import prepare_data
from pipeline.config.schema import validate
from pipeline.data.inspection import inspect, report
from pipeline.jobs.io import InputError

CASES = Path(__file__).resolve().parents[2] / "data" / "datasets"
SOURCES = {"arena": "arena", "arena_turns": "arena", "helpsteer3": "helpsteer3", "ranked_answers": "ranked"}


def entry_of(text):
    """(name, entry) of the YAML that was printed, which the schema accepts."""
    [(name, entry)] = validate(yaml.safe_load(text.partition(" of a config:\n")[2]), "datasets", "pasted").items()
    return name, entry


def inspected(path, capsys, *arguments):
    prepare_data.main(["--inspect", str(path), *arguments])
    return capsys.readouterr().out


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir() if path.name != "tool_turns"))
def test_each_file_has_an_entry_that_prepares_it(case, capsys):
    text = inspected(CASES / case, capsys)
    name, entry = entry_of(text)
    assert (name, entry["source"]) == (case, SOURCES.get(case, "plain"))
    assert "shape: " in text and "pair 5" in text and "pair 6" not in text
    assert "A good answer, number " in text and "A poor answer, number " in text
    card = prepare({"name": name, "splits": {"train": "train"}, **entry})[1]
    assert card["rows_out"] >= 12


def test_rows_without_pairs_are_counted_by_what_is_wrong(capsys):
    text = inspected(CASES / "tool_turns", capsys)
    assert "dropped malformed 16 (tool calls 16)" in text and "None of these rows has a usable pair." in text


@pytest.mark.parametrize(
    ("rows", "entry"),
    [
        ([pku_row(0, 1)], {"source": "pku", "preference": "helpful"}),
        ([ultrafeedback_row(("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0))], {"source": "ultrafeedback"}),
        ([hh_row("Hi.", chosen="Hello!", rejected="Go.")], {"source": "hh_rlhf"}),
        (
            [{"instruction": "Why?", "better": "So.", "worse": "No.", "sys": "Be brief."}],
            {
                "source": "plain",
                "columns": {"prompt": "instruction", "chosen": "better", "rejected": "worse", "system": "sys"},
            },
        ),
    ],
)
def test_the_source_and_the_columns_are_found(tmp_path, rows, entry, capsys):
    path = write_jsonl(tmp_path / "mine.jsonl", rows)
    name, found = entry_of(inspected(path, capsys))
    assert name == "mine" and {key: found[key] for key in entry} == entry
    assert found["path"] == str(path)


def test_a_folder_with_an_eval_split(tmp_path, capsys):
    write_jsonl(tmp_path / "mine" / "train.jsonl", [row(i) for i in range(9)])
    write_jsonl(tmp_path / "mine" / "test.jsonl", [row(9)])
    _, entry = entry_of(inspected(tmp_path / "mine", capsys))
    assert entry["splits"] == {"train": "train", "eval": "test"} and "eval_share" not in entry


def test_a_dataset_of_the_hub_is_loaded_by_its_library(tmp_path, monkeypatch, capsys):
    asked = []

    def load_dataset(path, name, split, revision):
        asked.append((path, name, split))
        one = datasets.Dataset.from_list([row(i) for i in range(9)])
        return one if split else datasets.DatasetDict({"train_sft": one, "train_prefs": one, "test_sft": one})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    name, entry = entry_of(inspected("owner/name", capsys, "--config-name", "big"))
    assert (name, entry["config_name"], entry["path"]) == ("name", "big", "owner/name")
    assert entry["splits"] == {"train": "train_sft", "eval": "test_sft"}
    assert asked == [("owner/name", "big", None), ("owner/name", "big", "train_sft")]


def test_a_saved_dataset(tmp_path, capsys):
    one = datasets.Dataset.from_list([row(i) for i in range(9)])
    datasets.DatasetDict({"train": one, "validation": one}).save_to_disk(tmp_path / "saved")
    assert entry_of(inspected(tmp_path / "saved", capsys))[1]["splits"] == {"train": "train", "eval": "validation"}


def test_long_texts_are_shortened(tmp_path):
    path = write_jsonl(tmp_path / "mine.jsonl", [row(1) | {"chosen": "x" * 2000}])
    text = report(inspect(str(path)))
    assert "x" * 600 + "… (2,000 characters)" in text and "x" * 601 not in text


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"a": "x", "b": "y"}], r"no column 'chosen'; .*it has a, b. Columns of other names are given by columns"),
        ([{"prompt": "p", "completion": "c", "label": True}], "KTO's unpaired format"),
        ([{"prompt": 1, "chosen": "c", "rejected": "r"}], "column 'prompt' holds int64; it must hold text"),
        ([row(1) | {"chosen": None}], "column 'chosen': row 0 .* is null"),
        ([], "the split 'train' has no rows"),
    ],
)
def test_bad_input_is_one_error(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        inspect(str(write_jsonl(tmp_path / "rows.jsonl", rows)))


def test_what_is_no_dataset_is_named(tmp_path):
    with pytest.raises(InputError, match="no/such/folder: there is no such file or folder, and it is no hub id"):
        inspect("no/such/folder")
    with pytest.raises(InputError, match=r"owner/none: .*could not be loaded from the Hugging Face Hub"):
        inspect("owner/none")
    pq.write_table(pa.table({"prompt": [b"q"], "chosen": [b"a"], "rejected": [b"b"]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match="holds binary; it must hold text"):
        inspect(str(tmp_path / "b.parquet"))


@pytest.mark.parametrize(
    "arguments", [[], ["--spec", "x.yaml"], ["--inspect", "x", "--spec", "y", "--output-dir", "z"]]
)
def test_a_job_or_a_look(arguments, capsys):
    with pytest.raises(SystemExit):
        prepare_data.main(arguments)
    assert "give --spec and --output-dir to prepare a dataset, or --inspect" in capsys.readouterr().err
