import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import prepare_data
from pipeline.data.world import all_prompts
from pipeline.jobs.io import InputError, read_json, read_parquet, write_yaml
from pipeline.jobs.state import clear_up

SCRIPT = Path(prepare_data.__file__)
WORLD = {
    "name": "tiny",
    "source": "world",
    "size": 200,
    "noise": 1.0,
    "eval_size": 40,
    "selection_size": 20,
    "seed": 5,
}
OUTPUTS = ["card.json", "eval.parquet", "selection.parquet", "train.parquet"]


def prepare(folder, **changes):
    write_yaml(WORLD | changes, folder / "spec.yaml")
    prepare_data.main(["--spec", str(folder / "spec.yaml"), "--output-dir", str(folder / "data")])
    return folder / "data"


def test_the_world_is_written_with_its_card(tmp_path, capsys):
    folder = prepare(tmp_path)
    assert sorted(os.listdir(folder)) == sorted([*OUTPUTS, "provenance.json"])
    frames = {name: read_parquet(folder / f"{name}.parquet") for name in ("train", "selection", "eval")}
    assert {name: len(frame) for name, frame in frames.items()} == {"train": 140, "selection": 20, "eval": 40}
    for frame in frames.values():
        assert list(frame.columns) == ["prompt_id", "prompt", "chosen", "rejected"]
        assert frame["prompt_id"].is_unique and frame["prompt_id"].str.fullmatch("[0-9a-f]{16}").all()
        assert set(frame["prompt"]) <= set(all_prompts())
    card = read_json(folder / "card.json")
    assert (card["rows_in"], card["rows_out"], card["dataset"]) == (200, 200, "tiny")
    assert "tiny: 200 rows in, train 140, selection 20, eval 40; dropped: none" in capsys.readouterr().out


def test_two_runs_give_the_same_bytes(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = prepare(tmp_path / "one"), prepare(tmp_path / "two")
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in OUTPUTS)


KILLED = """
import time
import prepare_data
from pipeline.data import writing

def wait(*arguments):
    print("ready", flush=True)
    time.sleep(600)

writing.data_card = wait  # when all rows are on disk
prepare_data.main(["--spec", "spec.yaml", "--output-dir", "results/data/one"])
"""


def test_what_a_killed_preparation_left_goes_with_the_next_one_and_at_the_end_of_any_run(tmp_path):
    write_yaml(WORLD, tmp_path / "spec.yaml")
    data = tmp_path / "results" / "data"
    data.mkdir(parents=True)

    def left() -> list[str]:
        return sorted(path.name for path in data.iterdir() if path.name.startswith("."))

    def start() -> subprocess.Popen:
        environment = os.environ | {"PYTHONPATH": str(SCRIPT.parent)}
        command = [sys.executable, "-c", KILLED]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        return process

    def kill(process: subprocess.Popen) -> None:
        process.kill()
        process.wait()

    first = start()
    clear_up(tmp_path / "results")
    assert len(left()) == 1, "a living job was robbed"
    kill(first)
    [name] = left()
    second = start()  # the next attempt
    assert len(left()) == 1 and left() != [name]
    kill(second)
    assert len(left()) == 1
    clear_up(tmp_path / "results")
    assert list(data.iterdir()) == []


def test_messages_come_back_as_messages(tmp_path):
    turn = "\n\nHuman: question {0}\n\nAssistant: "
    rows = [{"chosen": turn.format(i) + "yes", "rejected": turn.format(i) + "no"} for i in range(20)]
    pd.DataFrame(rows).to_parquet(tmp_path / "rows.parquet")
    source = {"source": "hh_rlhf", "path": str(tmp_path / "rows.parquet"), "splits": {"train": "train", "eval": None}}
    folder = prepare(tmp_path, **source, eval_size=5, selection_size=5)
    frame = read_parquet(folder / "train.parquet")
    assert list(frame["chosen"][0]) == [{"role": "assistant", "content": "yes"}]
    assert frame["prompt"][0][0]["role"] == "user"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 5000}, "dataset tiny: size must be between 1 and 4320"),
        ({"eval_size": 180}, "dataset tiny: the train split would be empty: 200 prompts .*180 for eval and 20"),
        (
            {"source": "plain", "path": "/no/such/file.jsonl", "splits": {"train": "train"}},
            "/no/such/file.jsonl: there is",
        ),
    ],
)
def test_bad_input_writes_nothing_and_keeps_what_there_was(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        prepare(tmp_path, **changes)
    assert not (tmp_path / "data").exists()
    before = {path.name: path.read_bytes() for path in prepare(tmp_path).iterdir()}
    with pytest.raises(InputError, match=message):
        prepare(tmp_path, **changes)
    assert {path.name: path.read_bytes() for path in (tmp_path / "data").iterdir()} == before


def test_the_command_line_says_one_line_and_ends_with_code_1(tmp_path):
    command = [sys.executable, SCRIPT, "--spec", tmp_path / "none.yaml", "--output-dir", tmp_path / "data"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ") and "none.yaml: cannot be read" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_the_world_needs_neither_torch_nor_datasets(tmp_path):
    write_yaml(WORLD, tmp_path / "spec.yaml")
    code = (
        "import sys, prepare_data; prepare_data.main(sys.argv[1:]); "
        "sys.exit(' '.join({'torch', 'transformers', 'datasets'} & set(sys.modules)) or 0)"
    )
    command = [sys.executable, "-c", code, "--spec", tmp_path / "spec.yaml", "--output-dir", tmp_path / "data"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=SCRIPT.parent)
    assert ended.returncode == 0, ended.stderr
