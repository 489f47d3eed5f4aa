"""Data that is broken, or no data at all: one line that names it."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures_data import plain, row, write_jsonl

from pipeline.data.loading import read_batches
from pipeline.jobs.io import InputError
from pipeline.rewards.pair_tables import read_split, split_names

COLUMNS = ["prompt", "chosen", "rejected"]


def refusals(path):
    """What preparation and scoring say of a path."""
    said = []
    for read in (lambda: list(read_batches(plain(path), "train", COLUMNS)), lambda: read_split(str(path), "train")):
        with pytest.raises(InputError) as refused:
            read()
        said.append(str(refused.value))
        assert "\n" not in said[-1] and len(said[-1]) < 1000
    return said


def broken_text(path, as_messages=False):
    """A parquet file whose chosen response of row 2 is no UTF-8."""
    values = [row(i) for i in range(4)]
    table = pa.Table.from_pylist(values)
    offsets, data = pa.array([0, 1, 2, 3, 4], pa.int32()).buffers()[1], pa.py_buffer(b"ab\xffd")
    chosen = pa.StringArray.from_buffers(4, offsets, data)
    if as_messages:
        turns = pa.StructArray.from_arrays([pa.array(["assistant"] * 4), chosen], ["role", "content"])
        chosen = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3, 4], pa.int32()), turns)
    pq.write_table(table.set_column(1, "chosen", chosen), path)
    return path


@pytest.mark.parametrize("as_messages", [False, True])
def test_text_that_is_no_utf8_is_named_by_column_and_row(tmp_path, as_messages):
    for said in refusals(broken_text(tmp_path / "train.parquet", as_messages)):
        assert "train.parquet: column 'chosen': row 2 (the first is 0) is no valid UTF-8" in said


@pytest.mark.parametrize("depth", [300, 3000, 100_000])
def test_json_that_is_nested_deeply_is_named_by_its_line(tmp_path, depth):
    path = write_jsonl(tmp_path / "train.jsonl", [row(0), row(1)])
    deep = "[" * depth + "]" * depth
    path.write_text(path.read_text() + f'{{"prompt": {deep}, "chosen": "a", "rejected": "b"}}\n')
    for said in refusals(path):
        assert "line 3 is nested too deeply" in said or "column 'prompt': row 2" in said or "not of one type" in said


def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "train.jsonl")
    for place in (tmp_path, tmp_path / "train.jsonl"):
        for said in refusals(place):
            assert f"{tmp_path}/train.jsonl: it is neither a file nor a folder" in said


@pytest.mark.parametrize("path", ["x" * 5000, "/x" * 2500, "data/\0/mine"])
def test_a_path_that_can_be_none_is_named_in_short(path):
    for said in refusals(path):
        assert path[:100] in said and "cannot be read (" in said
    with pytest.raises(InputError, match="cannot be read"):
        split_names(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_folder_is_named(tmp_path):
    (tmp_path / "data").mkdir(mode=0)
    for said in refusals(tmp_path / "data"):
        assert f"{tmp_path}/data" in said and "Permission denied" in said


def test_a_folder_below_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    write_jsonl(tmp_path / "data/secret/train.jsonl", [row(0)])
    listed = os.scandir

    def scandir(path):
        if os.fspath(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    for said in refusals(tmp_path / "data"):
        assert said == f"{tmp_path}/data/secret: this folder cannot be read (Permission denied)"
