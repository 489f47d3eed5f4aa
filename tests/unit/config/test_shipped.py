"""The shipped files: the configs, every published entry, the judges."""

import json

import pytest
import yaml
from fixtures_config import CONFIG, settings

from pipeline.config.settings import Settings
from pipeline.judges.requests import body

RUNS = [path for path in sorted(CONFIG.glob("*.yaml")) if "tasks:" in path.read_text()]


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_shipped_configs_expand_to_specs(path):
    shipped = Settings.from_config(yaml.safe_load(path.read_text()), source=path.name)
    assert shipped.device_entry()["per_device_batch_size"]
    for run in shipped.runs:
        specs = [
            shipped.data_spec(run.dataset),
            *([shipped.sft_spec(run.dataset, run.model)] if shipped.has_sft(run.model) else []),
            *([shipped.policy_spec(run.dataset, run.model, run.name)] if shipped.task_runs[run.name].trained else []),
            shipped.reward_spec(run.dataset, shipped.reward_model_name(run.dataset)),
            shipped.judge_spec(shipped.judge_name(run.dataset)),
            shipped.reference_spec(run.dataset, run.model),
            shipped.generation_spec(run.model),
        ]
        assert all(json.loads(json.dumps(spec)) == spec == yaml.safe_load(yaml.safe_dump(spec)) for spec in specs)


def test_the_embedded_default_and_the_published_debug_setting_are_shipped():
    assert {"config", "t4"} <= {path.stem for path in RUNS}
    embedded = Settings.from_config(yaml.safe_load((CONFIG / "config.yaml").read_text()))
    assert [run.method for run in embedded.runs] == ["sft", "dpo", "ddp", "dpp", "dpr"]
    assert len(embedded.seeds) >= 3
    t4 = Settings.from_config(yaml.safe_load((CONFIG / "t4.yaml").read_text()))
    device = t4.device_entry()
    assert (device["precision"], device["attention"], device["processes"]) == ("fp16", "sdpa", 1)
    assert device["per_device_batch_size"]["policy"] == device["per_device_batch_size"]["sft"] == 1
    assert t4.sft_spec("U10", "Q0.5B")["sft"]["global_batch_size"] == 160
    dpr = t4.policy_spec("U10", "Q0.5B", "dpr-beta0.1-g0.3-gamma0.3")
    published = {
        "beta": 0.1,
        "learning_rate": 1e-5,
        "warmup_steps": 150,
        "global_batch_size": 32,
        "optimizer": "rmsprop",
    }
    assert published.items() <= dpr["hyperparameters"].items()
    assert dpr["model"]["lora"] == {"r": 64, "alpha": 16.0, "dropout": 0.0, "target_modules": "all-linear"}


def test_every_published_key_is_there_and_usable():
    datasets = [f"{prefix}{size}" for prefix in ("PP", "PM", "U", "AH", "OS", "OW") for size in (10, 30, 0)]
    datasets.remove("OW30")
    models = [f"Q{size}" for size in ("0.5B", "1.8B", "4B", "7B", "c0.5B", "c1.8B", "c4B", "c7B")]
    models += [f"Py{size}" for size in ("70M", "160M", "410M", "1B", "1.4B", "2.8B", "6.9B")]
    models += ["Ph1.5B", "Ph2B", "Pm3B", "G2B", "G7B", "M7B", "L8B"]
    everything = settings(datasets=datasets, models=models, judge="reward")
    assert len(everything.runs) == len(datasets) * len(models) * 3
    for prefix, reward_model in {"PP": "beaver-reward", "PM": "beaver-cost", "U": "eurus"}.items():
        for size in ("10", "30", "0"):
            assert everything.reward_model_name(prefix + size) == reward_model
            assert everything.entries["datasets"][prefix + size]["judge"] == prefix
            assert everything.judge_spec(prefix)["kind"] == "openai"
    assert everything.reward_spec("PM10", "beaver-cost")["reverse"] is True
    assert not everything.reward_spec("PP10", "beaver-reward")["reverse"]
    assert everything.data_spec("OS0")["splits"] == {"train": "train", "eval": "validation"}
    assert everything.data_spec("U30")["limit"] == 30000
    assert everything.sft_spec("U10", "Qc7B")["model"]["path"] == "Qwen/Qwen1.5-7B-Chat"


@pytest.mark.parametrize("folder", sorted((CONFIG / "judges").iterdir()), ids=lambda path: path.name)
def test_shipped_judges_are_valid_and_openai_ones_have_their_prompt(folder):
    own = {"reward_models": {"independent": {"path": "models/mine"}}}  # which configs with that judge define
    spec = settings(definitions=own).judge_spec(folder.name)
    assert spec["name"] == folder.name
    assert ("prompt" in spec) == (spec["kind"] == "openai")


def test_a_judge_that_thinks_is_sent_no_temperature_and_its_limit_under_its_own_name():
    sent = body("Compare.", settings().judge_spec("gpt-5"), structured=True)
    assert not sent.keys() & {"temperature", "max_tokens"}
    assert sent["max_completion_tokens"] >= 2048 and sent["reasoning_effort"] == "low"
    assert settings().judge_service("qwen3")["base_url"] == "http://localhost:8000/v1"
    assert "response_format" not in body("Compare.", settings().judge_spec("qwen3"), structured=False)
    assert settings().judge_spec("qwen3")["structured"] == "none"  # thoughts come before what a schema allows
