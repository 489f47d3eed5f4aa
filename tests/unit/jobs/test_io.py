import os

import pandas as pd
import pytest

from pipeline.jobs.io import (
    InputError,
    atomic_path,
    read_json,
    read_parquet,
    read_yaml,
    run,
    write_csv,
    write_json,
    write_parquet,
    write_text,
    write_yaml,
)


def test_atomic_path_replaces_the_file_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "folder" / "file.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == ["file.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as temporary:
        temporary.write_text("half of the ne")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_an_error_leaves_no_file_where_there_was_none(tmp_path):
    with pytest.raises(ValueError), atomic_path(tmp_path / "file.txt") as temporary:
        temporary.write_text("half")
        raise ValueError
    assert os.listdir(tmp_path) == []


def test_a_frame_that_cannot_be_written_leaves_the_old_parquet(tmp_path):
    path = tmp_path / "frame.parquet"
    write_parquet(pd.DataFrame({"x": [1]}), path)
    with pytest.raises(Exception, match="x"):
        write_parquet(pd.DataFrame({"x": [1, "a", object()]}), path)
    assert read_parquet(path)["x"].tolist() == [1]
    assert os.listdir(tmp_path) == ["frame.parquet"]


def test_parquet_columns_come_in_the_asked_order_and_the_same_frame_gives_the_same_bytes(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [0.5, 1.5]})
    for name in ("one", "two"):
        write_parquet(frame, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert list(read_parquet(tmp_path / "one", ["c", "a"]).columns) == ["c", "a"]


def test_a_missing_parquet_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.parquet: there is no such file"):
        read_parquet(tmp_path / "nowhere.parquet")


def test_a_missing_column_is_named_with_the_columns_that_there_are(tmp_path):
    write_parquet(pd.DataFrame({"prompt": ["p"], "answer": ["a"]}), tmp_path / "data.parquet")
    with pytest.raises(InputError) as caught:
        read_parquet(tmp_path / "data.parquet", ["prompt", "chosen"])
    message = str(caught.value)
    assert "data.parquet: no column 'chosen'" in message
    assert "it has prompt, answer" in message


@pytest.mark.parametrize("content", [b"", b"this is text\n", b"PAR1 cut off in the middle"])
def test_a_file_that_is_no_parquet_is_named(tmp_path, content):
    path = tmp_path / "data.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"data\.parquet: not a readable parquet file"):
        read_parquet(path)


def test_an_empty_parquet_is_refused_unless_allowed(tmp_path):
    path = tmp_path / "data.parquet"
    write_parquet(pd.DataFrame({"x": pd.Series([], dtype="int64")}), path)
    with pytest.raises(InputError, match=r"data\.parquet: there are no rows"):
        read_parquet(path)
    assert read_parquet(path, allow_empty=True).empty


def test_yaml_and_json_come_back_as_written(tmp_path):
    content = {"z": 1, "a": [1.5, None, "Ünïcode"], "b": {"c": True}}
    write_yaml(content, tmp_path / "file.yaml")
    write_json(content, tmp_path / "file.json")
    assert read_yaml(tmp_path / "file.yaml") == read_json(tmp_path / "file.json") == content
    assert list(read_yaml(tmp_path / "file.yaml")) == ["z", "a", "b"]


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_yaml, "a: [1, 2", "not valid YAML"),
        (read_yaml, "- 1\n- 2\n", "must be a mapping of keys to values, not list"),
        (read_yaml, None, "cannot be read"),
        (read_json, '{"a": ', "not valid JSON"),
        (read_json, None, "cannot be read"),
    ],
)
def test_bad_yaml_and_json_name_the_file(tmp_path, read, text, message):
    path = tmp_path / "file"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=f"file: {message}"):
        read(path)


def test_csv_has_six_significant_digits_and_no_index(tmp_path):
    write_csv(pd.DataFrame({"name": ["a"], "value": [1 / 3]}), tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == "name,value\na,0.333333\n"


def test_text_is_utf8(tmp_path):
    write_text("é\n", tmp_path / "text")
    assert (tmp_path / "text").read_bytes() == b"\xc3\xa9\n"


def test_run_turns_an_input_error_into_one_line(capsys):
    def main():
        raise InputError("data.parquet: no column 'chosen'")

    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == "error: data.parquet: no column 'chosen'"


@pytest.mark.parametrize(
    ("number", "path", "message"),
    [
        (13, "/results/data", "error: /results/data: Permission denied"),
        (30, "/results/data", "error: /results/data: Read-only file system"),
        (36, "x" * 5000, f"error: {'x' * 300}…: File name too long"),
    ],
)
def test_a_path_that_may_not_be_used_is_one_line(number, path, message):
    def fail():
        raise OSError(number, os.strerror(number), path)

    with pytest.raises(SystemExit) as ended:
        run(fail)
    assert ended.value.code == message


def test_an_error_of_the_system_that_is_no_refusal_stays_itself():
    with pytest.raises(BrokenPipeError):
        run(lambda: (_ for _ in ()).throw(BrokenPipeError(32, "Broken pipe")))
