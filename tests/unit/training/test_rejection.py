"""Rejection-sampling fine-tuning: the best responses alone are trained on, and what they took is part of the cost."""

from dataclasses import replace

import pytest
from datasets import disable_progress_bars
from fixtures_models import cpu_device
from fixtures_training import COLOURS, FRAME, LORA, TRAINING, candidates
from peft import PeftModel

from pipeline.config.sweep import DESCRIPTIONS, method_defaults
from pipeline.jobs.io import InputError, read_json, write_json, write_parquet
from pipeline.models.checkpoints import load_tokenizer
from pipeline.training.policy import policy_trainer
from pipeline.training.policy_inputs import Candidates, read_candidates
from pipeline.training.running import train_and_save
from pipeline.training.speed import TIMED, WARM, measured_speed
from pipeline.training.steps import steps_in_budget

disable_progress_bars()
DEVICE = replace(cpu_device(2), checkpoint_seconds=1e9)
LAST = "Thank you!"


@pytest.fixture
def made(base, reference, tmp_path):
    """A function that makes the trainer."""

    def made(entry=None, table=None, given=True, scratch=None, **more):
        keys = DESCRIPTIONS["rft"].HYPERPARAMETERS
        values = method_defaults("rft") | {key: value for key, value in TRAINING.items() if key in keys} | more
        values = {key: value for key, value in values.items() if not key.startswith("budget_")}
        spec = {"model": entry or {}, "method": "rft", "hyperparameters": values}
        table = candidates(FRAME, load_tokenizer(base)) if table is None else table
        several = Candidates(table, 7.0) if given else None
        arguments = spec, FRAME, reference, base, 1, DEVICE, scratch or str(tmp_path / "out")
        return policy_trainer(*arguments, candidates=several)

    return made


def texts_of(trainer):
    """Prompts and responses of the rows, and whether the loss is on the responses alone."""
    decode, found = trainer.processing_class.decode, []
    for ids, labels in zip(*(trainer.train_dataset[name] for name in ("input_ids", "labels")), strict=True):
        start = labels.count(-100)
        assert labels == [-100] * start + ids[start:]
        assert ids[-1] == trainer.processing_class.eos_token_id
        found.append((decode(ids[:start]), decode(ids[start:-1])))
    return found


def test_the_best_response_to_each_prompt_is_trained_on(made):
    rows = texts_of(made())
    assert [text for _, text in rows] == [LAST, "It is old."] * 4
    assert all(f"What is {colour}?" in prompt for colour, (prompt, _) in zip(COLOURS, rows, strict=True))


def test_an_unfinished_response_may_lose_its_place_and_a_long_prompt_is_left_out(made, base):
    table = candidates(FRAME, load_tokenizer(base))
    table.loc[table["candidate"] == 2, "finished"] = False
    table.loc[table["candidate"] == 2, "response_ids"] = table["response_ids"]
    chosen = [text for _, text in texts_of(made(table=table, missing_eos_penalty=1.5))]
    assert chosen == ["red", "It is old."] * 4
    lengths = sorted({row.count(-100) for row in made().train_dataset["labels"]})
    short = made(max_length=lengths[-1]).train_dataset
    assert 0 < len(short) < len(FRAME) and max(map(len, short["input_ids"])) <= lengths[-1]
    with pytest.raises(InputError, match="max_length 8 leaves no room for a response to any prompt"):
        made(max_length=8)
    with pytest.raises(InputError, match="rft is trained on the best of several responses: give --candidates"):
        made(given=False)


def test_an_adapter_is_trained_where_the_model_has_one(made):
    trainer = made(entry=LORA)
    assert isinstance(trainer.model, PeftModel)
    trained = [name for name, weight in trainer.model.named_parameters() if weight.requires_grad]
    assert trained and all("lora_" in name for name in trained)


def test_what_the_responses_took_is_part_of_the_cost_and_of_a_budget(made, base, tmp_path):
    trainer = made(max_steps=2)
    seconds = train_and_save(trainer, trainer.processing_class, tmp_path / "policy", DEVICE)
    cost = read_json(tmp_path / "policy" / "cost.json")
    assert cost["steps"] == 2 and cost["rollout_seconds"] == cost["seconds_before_training"] == 7.0
    assert cost["seconds"] == pytest.approx(seconds + 7.0)
    speed = measured_speed(lambda folder: made(max_steps=WARM + TIMED, scratch=folder), DEVICE)
    assert speed["tokens_per_step"] == pytest.approx(sum(map(len, made().train_dataset["input_ids"])) / 2)
    write_parquet(candidates(FRAME, load_tokenizer(base)), tmp_path / "train.parquet")
    assert read_candidates(None) is None and read_candidates(tmp_path / "train.parquet").seconds == 0.0
    write_json({"seconds": 12.5}, tmp_path / "train.provenance.json")
    several = read_candidates(tmp_path / "train.parquet")
    assert several.cost == {"seconds": 12.5, "tokens": several.table["response_tokens"].sum()}
    known = {"seconds_per_step": 2.0, "tokens_per_step": 10.0, "seconds_before": 12.5, "tokens_before": 50}
    assert steps_in_budget({"seconds": 20}, known) == 4 and steps_in_budget({"tokens": 100}, known) == 5
    assert steps_in_budget({"seconds": 5}, known) == 1  # sampling took more than that
