"""The benchmark of trainers: every case of two of its benchmarks trains, as its process would, with a tiny model."""

import contextlib
import io
import json

import pandas as pd
import pytest
import torch
from fixtures_models import tiny_chat_model
from transformers import logging

from benchmarks import trainers
from pipeline.jobs.io import InputError, write_parquet

COLOURS = ("red", "old", "big", "blue", "yellow", "small", "sour", "great")
CLASSES = {"dpo": "DPOTrainer", "online_dpo": "OnlineDPOTrainer", "dpo_offline": "DPOTrainer"}


@pytest.fixture
def options(tmp_path):
    """The command line for a tiny model, eight pairs and their reference log-probabilities."""
    pairs = {"prompt": [f"What is {colour}?" for colour in COLOURS], "chosen": "It is a big cat.", "rejected": "No."}
    write_parquet(pd.DataFrame(pairs), tmp_path / "train.parquet")
    known = {"row": range(len(COLOURS)), "ref_chosen_logps": -20.0, "ref_rejected_logps": -5.0}
    write_parquet(pd.DataFrame(known), tmp_path / "reference.parquet")
    places = ["--model", tiny_chat_model(tmp_path / "model"), "--data", str(tmp_path / "train.parquet")]
    return [*places, "--reference", str(tmp_path / "reference.parquet"), "--steps", "2", "--batch-size", "4"]


@pytest.fixture
def here(monkeypatch, without_cards):
    """Cases are measured in this process, for which what they set is put back; gives the trainers that they made."""
    made, timed = {}, trainers.time_training
    monkeypatch.setattr(
        trainers, "time_training", lambda trainer, *given: made.update(last=trainer) or timed(trainer, *given)
    )

    def in_this_process(name, case, options):
        with contextlib.redirect_stdout(io.StringIO()) as told:
            trainers.main([*map(str, options), "--case", json.dumps(case)])
        made[case["trainer"]] = made.pop("last")
        return json.loads(told.getvalue().splitlines()[-1])

    monkeypatch.setattr(trainers, "in_a_process", in_this_process)
    threads, verbosity = torch.get_num_threads(), logging.get_verbosity()
    yield made
    torch.set_num_threads(threads)
    logging.set_verbosity(verbosity)


def test_every_case_trains_and_has_its_row(options, here, tmp_path, capsys):
    trainers.main(["steps", "online", *options, "--repeats", "1", "--output", str(tmp_path / "measured.json")])
    found = json.loads((tmp_path / "measured.json").read_text())
    assert {name: [row["case"] for row in rows] for name, rows in found.items()} == {
        "steps": ["dpo", "off", "ddp"],
        "online": ["online_dpo", "dpr_all", "dpo_offline"],
    }
    for rows, unit in ((found["steps"], "step"), (found["online"], "pair")):
        assert rows[0]["ratio"] == 1.0 and all(row["seconds"] > 0 and row["peak_mib"] > 10 for row in rows)
        assert {one["unit"] for row in rows for one in row["measurements"]} == {unit}
    for case, trainer in here.items():
        assert type(trainer).__name__ == CLASSES.get(case, "SAILTrainer") and trainer.state.global_step == 2, case
    drawn = {case: getattr(trainer, "_prompts_drawn", 0) for case, trainer in here.items()}
    assert drawn.pop("dpr_all") >= 8 and not any(drawn.values()), "every row of DPR is to be online, and no other's"
    assert "| dpr_all |" in capsys.readouterr().out


def test_a_model_that_is_not_there_is_told(options, tmp_path):
    with pytest.raises(InputError, match=r"gone: not there; `make run` makes it"):
        trainers.main(["steps", *options, "--model", str(tmp_path / "gone")])
