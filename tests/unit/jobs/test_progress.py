"""Lines of progress: how far, how long still, not too often."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from fixtures_models import chat_tokenizer, cpu_device, trunk_config
from transformers import AutoModelForCausalLM, TrainerControl

from pipeline.generation.responses import PLAIN_SAMPLING, generate_responses
from pipeline.jobs import progress
from pipeline.jobs.progress import Progress, count_responses, line
from pipeline.training.progress import SlowSteps
from sail.generation import TOKENS_PER_CALL


class Clock:
    """A clock that the test moves."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_a_line_says_how_far_and_how_long_still():
    assert line("responses", 128, 512, 20.0) == "responses 128/512  20 s, about 60 s left"
    assert line("responses", 0, 512, 20.0) == "responses 0/512  20 s"
    assert line("responses", 600, 512, 20.0) == "responses 512/512  20 s, about 0 s left"


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
        counted = Progress("rows", 100)
        clock.now += 10
        counted.add(5)
    assert capsys.readouterr().out == "rows 20/100  10 s, about 40 s left\n"


def test_generation_says_how_many_responses_are_there_and_gives_the_same(monkeypatch, capsys):
    tokenizer = chat_tokenizer()
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(trunk_config("qwen2", tokenizer)).eval()
    frame = pd.DataFrame({"prompt_id": [f"p{i}" for i in range(6)], "prompt": ["What is red?"] * 6})
    decoding = PLAIN_SAMPLING | {"max_new_tokens": 2 * TOKENS_PER_CALL}
    arguments = decoding, {"plain_template": "{prompt}"}, frame, model, tokenizer, 1, cpu_device(2)
    plain = generate_responses(*arguments)
    capsys.readouterr()
    count_responses(model, len(frame), seconds=0.0)
    for _ in range(2):  # a second round begins at nothing
        counted = generate_responses(*arguments)
        told = [text.split("  ")[0] for text in capsys.readouterr().out.splitlines()]
        assert [text for text in dict.fromkeys(told) if text != "responses 6/6"] == [
            f"responses {done}/6" for done in (0, 2, 4)
        ], told
        assert counted["response_ids"].map(list).tolist() == plain["response_ids"].map(list).tolist()


def test_slow_steps_are_told_between_the_lines_of_the_log(clock, capsys):
    callback, control = SlowSteps(), TrainerControl()
    state = SimpleNamespace(global_step=100, max_steps=110, is_world_process_zero=True)
    callback.on_train_begin(None, state, control)
    for step in range(101, 111):
        clock.now += 20
        state.global_step = step
        callback.on_step_end(None, state, control)
        if step == 105:
            callback.on_log(None, state, control)
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "step 2/10  40 s, about 160 s left"
    assert [text.split("  ")[0] for text in told] == [f"step {done}/10" for done in (2, 4, 7, 9)]
    state.is_world_process_zero = False
    clock.now += 100
    callback.on_step_end(None, state, control)
    assert not capsys.readouterr().out


def test_the_usual_interval_is_seconds():
    assert Progress("rows", 1).seconds == progress.SECONDS == 10
