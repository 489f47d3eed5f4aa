"""What comes out of a config: defaults, numbers, and the specs of the stages."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import yaml
from fixtures_config import MINIMAL, PLAIN, refusal, settings

from pipeline.config.settings import ROOT, Settings


def test_numbers_written_as_text_are_numbers_where_numbers_are_wanted():
    written = yaml.safe_load("{beta: [1e-1, 5e-1], learning_rate: 3e-4, warmup_steps: '10', epochs: 2}")
    assert written["learning_rate"] == "3e-4"
    tasks = [{"method": "sft"}, {"method": "dpo", **written}]
    config = settings(tasks=tasks, baseline="sft", seeds=["1", 2.0], tag="7")
    assert [run.name for run in config.runs[1:]] == [
        "dpo-beta0.1-learning_rate0.0003-epochs2-warmup_steps10",
        "dpo-beta0.5-learning_rate0.0003-epochs2-warmup_steps10",
    ]
    values = config.runs[1].hyperparameters
    assert (values["learning_rate"], values["warmup_steps"], values["epochs"]) == (3e-4, 10, 2.0)
    assert [type(values[key]) for key in ("learning_rate", "warmup_steps", "epochs")] == [float, int, float]
    assert config.seeds == [1, 2]
    assert all(type(seed) is int for seed in config.seeds)
    assert config.tag == "7"  # a text stays one


def test_equal_configs_written_differently_give_equal_specs():
    sweep = {"method": "dpo", "beta": [0.5]}
    one = settings(tasks=[sweep], sft={"epochs": 2, "learning_rate": 1e-3}, decodings={"sample": {"top_p": 1}})
    other = settings(tasks=[sweep], sft={"learning_rate": "1e-3", "epochs": 2.0}, decodings={})
    for spec in (lambda s: s.sft_spec("world", "W1M"), lambda s: s.generation_spec("W1M")):
        assert json.dumps(spec(one)) == json.dumps(spec(other))


def test_a_config_is_not_changed_and_specs_are_copies():
    config = copy.deepcopy(MINIMAL)
    made = Settings.from_config(config)
    assert config == MINIMAL
    made.sft_spec("world", "W1M")["model"]["architecture"]["hidden_size"] = 7
    made.policy_spec("world", "W1M", "dpo")["hyperparameters"]["beta"] = 7
    made.reference_spec("world", "W1M")["model"]["vocab_size"] = 7
    made.generation_spec("W1M")["decoding"]["top_p"] = 7
    made.device_entry()["processes"] = 7
    assert made.sft_spec("world", "W1M")["model"]["architecture"]["hidden_size"] == 128
    assert made.policy_spec("world", "W1M", "dpo")["hyperparameters"]["beta"] == 0.1
    assert made.reference_spec("world", "W1M")["model"]["vocab_size"] == 512
    assert made.generation_spec("W1M")["decoding"]["top_p"] == 1
    assert made.device_entry()["processes"] == 1


def test_decodings_are_added_to_those_that_exist():
    assert settings().generation_spec("W1M")["decoding"]["do_sample"] is True
    assert settings(decoding="greedy").generation_spec("W1M")["decoding"]["do_sample"] is False
    mine = settings(decoding="mine", decodings={"mine": {"temperature": 0.7}})
    decoding = {"name": "mine", "do_sample": True, "temperature": 0.7, "top_p": 1.0, "max_new_tokens": 512}
    decoding |= {"backend": "transformers"}
    model = mine.sft_spec("world", "Q0.5B")["model"]
    assert mine.generation_spec("Q0.5B") == {"model": model, "decoding": decoding, "max_length": mine.max_length}
    assert list(mine.config["decodings"]) == ["greedy", "sample", "mine"]


def test_the_baseline_is_a_run_or_the_only_run_of_a_method():
    assert settings().baseline_run("world", "W1M") == "dpo"
    assert settings(baseline="dpr").baseline_run("world", "W1M") == "dpr-g0.3-gamma0.3"
    two = [{"method": "dpo", "beta": [0.1, 0.2]}]
    assert settings(tasks=two, baseline="dpo-beta0.2").baseline_run("world", "W1M") == "dpo-beta0.2"
    text = refusal(tasks=two)
    assert text.startswith("config: baseline: dpo has 2 runs (dpo-beta0.1, dpo-beta0.2)")


def test_definitions_replace_entries_as_a_whole():
    made = settings(models=["W1M", "mine"], definitions={"models": {"mine": {"path": "m"}, "W1M": {"path": "w"}}})
    assert made.sft_spec("world", "W1M")["model"]["path"] == "w"
    assert "architecture" not in made.sft_spec("world", "W1M")["model"]
    assert made.sft_spec("world", "mine")["model"]["lora"]["r"] == 64
    full = settings(models=["mine"], definitions={"models": {"mine": {"path": "m", "adapter": "none"}}})
    assert "lora" not in full.sft_spec("world", "mine")["model"]


def test_a_reward_model_is_in_the_spec_only_where_it_labels():
    made = settings(
        tasks=[
            {"method": "dpo"},
            {"method": "dpp"},
            {"method": "dpr"},
            {"method": "dpr", "g": 0},
            {"method": "mix", "p": 0.2},
            {"method": "mix", "g": 0.2},
        ]
    )
    labelled = [run.name for run in made.runs if "reward_model" in made.policy_spec("world", "W1M", run.name)]
    assert labelled == ["dpr", "mix-g0.2"]
    assert made.policy_spec("world", "W1M", "dpr")["reward_model"] == "world"
    assert settings(reward_model="eurus").policy_spec("world", "W1M", "dpr-g0.3-gamma0.3")["reward_model"] == "eurus"


def test_a_reference_spec_has_no_more_than_the_reference_depends_on():
    made = settings(policy={"max_length": 256, "beta": 0.5})
    model = made.sft_spec("world", "W1M")["model"]
    assert made.reference_spec("world", "W1M") == {"dataset": "world", "model": model, "max_length": 256}


def test_a_data_spec_has_the_tokenizers_of_pretrained_models_alone():
    assert not {"tokenizers", "max_length"} & set(settings().data_spec("world"))
    definitions = {"models": {"same": {"path": "Qwen/Qwen1.5-0.5B", "adapter": "none"}, "mine": {"path": "my/model"}}}
    definitions["models"]["mine"]["plain_template"] = "Q: {prompt}\nA:"
    spec = settings(models=["W1M", "Q0.5B", "same", "mine"], definitions=definitions, policy={"max_length": 300})
    spec = spec.data_spec("world")
    assert [tokenizer["path"] for tokenizer in spec["tokenizers"]] == ["Qwen/Qwen1.5-0.5B", "my/model"]
    assert spec["tokenizers"][1] == {
        "path": "my/model",
        "trust_remote_code": False,
        "plain_template": "Q: {prompt}\nA:",
    }
    assert spec["max_length"] == 300


def test_near_duplicates_are_looked_for_but_not_in_the_world():
    everything = settings(datasets=["world", "U10", "AH0"], judge="reward")
    assert [everything.data_spec(name).get("near_duplicates") for name in ("world", "U10", "AH0")] == [None, 0.8, 0.8]
    definitions = {"datasets": {"mine": {**PLAIN, "near_duplicates": None}}}
    made = settings(datasets=["mine"], definitions=definitions, judge="reward", reward_model="deberta")
    assert made.data_spec("mine")["near_duplicates"] is None


def test_label_noise_is_in_the_spec_only_where_it_is_asked_for():
    def spec(**keys):
        definitions = {"datasets": {"mine": {**PLAIN, **keys}}}
        made = settings(datasets=["mine"], definitions=definitions, judge="reward", reward_model="deberta")
        noise = ("relabel", "bt_noise_gauss", "label_switching", "label_seed")
        return {key: value for key, value in made.data_spec("mine").items() if key in noise}

    none = {"relabel": False, "bt_noise_gauss": 0.0, "label_switching": 0.0, "label_seed": 0}
    assert spec() == spec(label_seed=4) == {}
    assert spec(label_switching=0.1) == none | {"label_switching": 0.1}
    assert spec(relabel=True, bt_noise_gauss="1") == none | {"relabel": True, "bt_noise_gauss": 1.0}
    text = refusal(datasets=["mine"], definitions={"datasets": {"mine": {**PLAIN, "bt_noise_gauss": 1}}})
    assert text.startswith(
        "config: definitions.datasets.mine.bt_noise_gauss: 1.0, but it is added where labels are drawn"
    )
    assert refusal(datasets=["world"], definitions={"datasets": {"world": {"source": "world", "relabel": True}}})


def test_columns_are_in_the_spec_only_where_they_are_named():
    def spec(**keys):
        definitions = {"datasets": {"mine": {**PLAIN, **keys}}}
        return settings(datasets=["mine"], definitions=definitions).data_spec("mine")

    named = {"chosen": "better", "rejected": "worse"}
    assert "columns" not in spec() and spec(columns=named)["columns"] == named
    for columns, message in (
        (
            {"chosen": "a", "rejected": "a"},
            "columns.chosen: 'a' has another role too; each role needs a column of its own",
        ),
        ({"answer": "a"}, "columns.answer: "),
        ({}, "columns: "),
    ):
        text = refusal(datasets=["mine"], definitions={"datasets": {"mine": {**PLAIN, "columns": columns}}})
        assert text.startswith(f"config: definitions.datasets.mine.{message}"), text


def test_the_robust_loss_is_for_dpo_with_a_smoothing():
    tasks = [{"method": "dpo"}, {"method": "dpo", "loss_type": "robust", "label_smoothing": [0.1, 0.2]}]
    made = settings(tasks=tasks, baseline="dpo")
    robust = made.policy_spec("world", "W1M", "dpo-loss_type_robust-label_smoothing0.1")["hyperparameters"]
    assert (robust["loss_type"], robust["label_smoothing"]) == ("robust", 0.1)
    assert "loss_type: robust in run" in refusal(tasks=[{"method": "dpr", "g": 0.3, "loss_type": "robust"}])
    assert "label_smoothing" in refusal(tasks=[{"method": "dpo", "loss_type": "robust", "label_smoothing": 0.5}])


def test_reading_a_config_imports_no_torch():
    code = "import sys, pipeline.config.settings; assert not {'torch', 'transformers', 'snakemake'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(ROOT, "scripts"))


def test_a_thousand_runs_have_a_thousand_names():
    tasks = [{"method": "dpr", "beta": round(0.001 * i, 3), "g": 0.3} for i in range(1, 1001)]
    made = settings(tasks=[{"method": "dpo"}, *tasks])
    assert len({run.name for run in made.runs}) == 1001


def test_the_home_folder_stands_for_itself_in_every_path(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    definitions = {
        "datasets": {"mine": {**PLAIN, "path": "~/data/mine.jsonl"}},
        "models": {"own": "~/models/own"},
        "reward_models": {"judge": "~/models/judge"},
    }
    config = settings(datasets=["mine"], models=["own"], reward_model="judge", judge="reward", definitions=definitions)
    assert config.data_spec("mine")["path"] == "/home/me/data/mine.jsonl"
    assert config.data_spec("mine")["tokenizers"][0]["path"] == "/home/me/models/own"
    assert config.sft_spec("mine", "own")["model"]["path"] == "/home/me/models/own"
    assert config.reward_spec("mine", "judge")["path"] == "/home/me/models/judge"
    definitions["models"]["own"] = "~nobody-of-that-name/own"
    text = refusal(models=["own"], definitions=definitions)
    assert text.startswith("config: definitions.models.own.path: '~nobody-of-that-name/own' is in the home of nobody")
