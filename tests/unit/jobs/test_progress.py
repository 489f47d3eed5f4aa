"""Lines of progress: how far, how long still, not too often."""

from functools import partial
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from fixtures_models import chat_tokenizer, cpu_device, trunk_config
from transformers import AutoModelForCausalLM, TrainerControl

from pipeline.generation.responses import PLAIN_SAMPLING, generate_responses
from pipeline.jobs import progress
from pipeline.jobs.progress import Progress
from pipeline.training.progress import StepLines
from sail.generation import TOKENS_PER_CALL


class Clock:
    """A clock that the test moves."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_a_line_says_how_far_and_how_long_still(clock, capsys):
    for done in (128, 0, 600):
        counted = Progress("responses", 512)
        clock.now += 20
        counted.add(done)
    assert capsys.readouterr().out.splitlines() == [
        "responses 128/512  20 s, about 60 s left",
        "responses 0/512  20 s",
        "responses 512/512  20 s, about 0 s left",
    ]


def test_the_time_left_goes_by_the_work_and_not_by_what_was_found(clock, capsys):
    counted = Progress("texts", 10, work=400, rate="rows/s")
    clock.now += 20
    counted.add(8, 100, note="long ones wait")
    counted = Progress("texts", 10, rate="rows/s")
    counted.add_found(4)
    clock.now += 20
    counted.add(2, quiet=True)
    counted.tell()
    assert capsys.readouterr().out.splitlines() == [
        "texts 8/10  0.4 rows/s  long ones wait  20 s, about 60 s left",
        "texts 6/10  0.1 rows/s  20 s, about 40 s left",
    ]


def test_lines_come_at_intervals(clock, capsys):
    counted = Progress("rows", 100)
    for _ in range(100):
        clock.now += 1
        counted.add(1)
    told = capsys.readouterr().out.splitlines()
    assert [text.split("  ")[0] for text in told] == [f"rows {done}/100" for done in range(10, 101, 10)]
    assert told[2] == "rows 30/100  30 s, about 70 s left"


def test_of_several_processes_the_first_one_speaks_for_all(clock, capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        for counted in (Progress("rows", 25), Progress("rows", 30, total=120)):
            clock.now += 10
            counted.add(5)
    assert capsys.readouterr().out.splitlines() == [
        "rows about 20/100  10 s, about 40 s left",
        "rows about 20/120  20 s, about 100 s left",
    ]


def test_generation_says_how_many_responses_are_there_and_gives_the_same(monkeypatch, capsys):
    tokenizer = chat_tokenizer()
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(trunk_config("qwen2", tokenizer)).eval()
    frame = pd.DataFrame({"prompt_id": [f"p{i}" for i in range(6)], "prompt": ["What is red?"] * 6})
    decoding = PLAIN_SAMPLING | {"max_new_tokens": 2 * TOKENS_PER_CALL}
    arguments = decoding, {"plain_template": "{prompt}"}, frame, model, tokenizer, 1, cpu_device(2)
    plain = generate_responses(*arguments)
    capsys.readouterr()
    monkeypatch.setattr("pipeline.backends.transformers.generate.Progress", partial(Progress, seconds=0.0))
    for _ in range(2):  # a second round begins at nothing
        counted = generate_responses(*arguments)
        told = [text.split("  ")[0] for text in capsys.readouterr().out.splitlines()]
        assert told == [f"responses {done}/6" for done in (0, 2, 2, 4, 4, 6)]
        assert counted["response_ids"].map(list).tolist() == plain["response_ids"].map(list).tolist()


def test_slow_steps_are_told_between_the_lines_of_the_log(clock, capsys, monkeypatch):
    callback, control = StepLines(), TrainerControl()
    state = SimpleNamespace(global_step=100, max_steps=110, is_world_process_zero=True)
    callback.on_train_begin(None, state, control)
    for step in range(101, 111):
        clock.now += 20
        state.global_step = step
        callback.on_step_end(None, state, control)
        if step == 105:
            callback.on_log(None, state, control, {"loss": "0.25"})
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "step 102/110  40 s, about 160 s left"
    assert told[2] == "step 105/110  loss 0.2500  100 s, about 100 s left"
    assert [text.split("  ")[0] for text in told] == [f"step {done}/110" for done in (102, 104, 105, 107, 109)]
    control.should_log = True
    clock.now += 100
    callback.on_step_end(None, state, control)
    control.should_log = False
    monkeypatch.setenv("RANK", "1")
    clock.now += 100
    callback.on_step_end(None, state, control)
    assert not capsys.readouterr().out


def test_the_usual_interval_is_seconds():
    assert Progress("rows", 1).seconds == progress.SECONDS == 10
