"""The config: shipped files, what is refused and how, defaults, and the specs of the stages."""

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from pipeline.config.judges import SERVICE_KEYS, read_service
from pipeline.config.schema import SCHEMAS, load_schema
from pipeline.config.settings import ROOT, ConfigError, Settings
from pipeline.jobs.io import InputError

CONFIG = ROOT / "config"
RUNS = [path for path in sorted(CONFIG.glob("*.yaml")) if "tasks:" in path.read_text()]
SCHEMA_NAMES = [path.name.removesuffix(".schema.json") for path in sorted(SCHEMAS.glob("*.json"))]
MINIMAL = {
    "tag": "test",
    "datasets": ["world"],
    "models": ["W1M"],
    "seeds": [1],
    "tasks": [{"method": "sft"}, {"method": "dpo"}, {"method": "dpr", "g": [0.3], "gamma": 0.3}],
}
PLAIN = {"source": "plain", "path": "data/mine", "eval_share": 0.1, "reward_model": "deberta", "judge": "reward"}


def settings(**changes):
    return Settings.from_config({**copy.deepcopy(MINIMAL), **changes})


def refusal(**changes):
    with pytest.raises(ConfigError) as caught:
        settings(**changes)
    return str(caught.value)


def with_task(**task):
    return refusal(tasks=[{"method": "sft"}, {"method": "dpo"}, task])


def shown(message):
    """The YAML that an error shows as right."""
    text = message.split("This would be right, for example:\n")[1].split("\n(")[0]
    return yaml.safe_load(text)


@pytest.fixture
def root(tmp_path):
    """A copy of config/ to edit."""
    shutil.copytree(CONFIG, tmp_path / "config")
    return tmp_path


def edit(root, file, change):
    path = root / "config" / file
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))


# what is shipped


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_shipped_configs_expand_to_specs(path):
    shipped = Settings.from_config(yaml.safe_load(path.read_text()), source=path.name)
    assert shipped.device_entry()["per_device_batch_size"]
    for run in shipped.runs:
        specs = [
            shipped.data_spec(run.dataset),
            shipped.sft_spec(run.dataset, run.model),
            shipped.policy_spec(run.dataset, run.model, run.name),
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
    spec = settings().judge_spec(folder.name)
    assert spec["name"] == folder.name
    assert ("prompt" in spec) == (spec["kind"] == "openai")


# the schemas themselves


def subschemas(node, path="$"):
    """Every schema in a document, by place; `if` only decides, it describes nothing."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            if key != "if":
                yield from subschemas(value, f"{path}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from subschemas(value, f"{path}[{index}]")


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_schemas_refuse_unknown_keys_and_describe_every_key(name):
    document = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(document)
    schema = load_schema(name)
    objects = 0
    for path, part in subschemas(schema):
        if part.get("type") == "object" and "allOf" in part:
            assert all(branch["then"].get("additionalProperties") is False for branch in part["allOf"]), path
        elif part.get("type") == "object":
            objects += 1
            assert part.get("additionalProperties") is False, path
        if isinstance(part.get("properties"), dict):
            for key, value in part["properties"].items():
                described = value.get("description") or value.get("anyOf", [{}])[0].get("description")
                assert described, f"{path}.{key}"
                assert len(described) > 8, f"{path}.{key}"
    assert objects


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_defaults_and_examples_satisfy_their_own_schema(name):
    for path, part in subschemas(load_schema(name)):
        for value in [*([part["default"]] if "default" in part else []), *part.get("examples", [])]:
            assert Draft202012Validator(part).is_valid(value), f"{path}: {value!r}"


def test_the_readme_names_every_key():
    text = (CONFIG / "README.md").read_text()
    keys = {
        key
        for name in SCHEMA_NAMES
        for _, part in subschemas(load_schema(name))
        if isinstance(part.get("properties"), dict)
        for key in part["properties"]
    }
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


# what is refused

MISSPELT = {
    "top level": ({"judg": "gold"}, "judg: unknown key (did you mean 'judge'?)"),
    "sft": ({"sft": {"epoch": 2}}, "sft.epoch: unknown key (did you mean 'epochs'?)"),
    "policy": ({"policy": {"warmup": 2}}, "policy.warmup: unknown key (did you mean 'warmup_steps'?)"),
    "weights in policy": ({"policy": {"gamma": 0.2}}, "policy.gamma: unknown key"),
    "decodings": ({"decodings": {"mine": {"topp": 0.9}}}, "decodings.mine.topp: unknown key (did you mean 'top_p'?)"),
    "task": ({"tasks": [{"method": "dpo", "betta": 0.1}]}, "tasks[0].betta: unknown key (did you mean 'beta'?)"),
    "definitions": ({"definitions": {"dataset": {}}}, "definitions.dataset: unknown key (did you mean 'datasets'?)"),
    "dataset": (
        {"definitions": {"datasets": {"mine": {**PLAIN, "limits": 10}}}},
        "definitions.datasets.mine.limits: unknown key (did you mean 'limit'?)",
    ),
    "splits": (
        {"definitions": {"datasets": {"mine": {**PLAIN, "splits": {"test": "x"}}}}},
        "definitions.datasets.mine.splits.test: unknown key",
    ),
    "key of another source": (
        {"definitions": {"datasets": {"mine": {**PLAIN, "noise": 1}}}},
        "definitions.datasets.mine.noise: unknown key; with source plain the keys are: source, path",
    ),
    "model": (
        {"definitions": {"models": {"mine": {"path": "x", "adaptor": "lora"}}}},
        "definitions.models.mine.adaptor: unknown key (did you mean 'adapter'?)",
    ),
    "lora": (
        {"definitions": {"models": {"mine": {"path": "x", "lora": {"rank": 8}}}}},
        "definitions.models.mine.lora.rank: unknown key",
    ),
    "reward model": (
        {"definitions": {"reward_models": {"mine": {"path": "x", "reversed": True}}}},
        "definitions.reward_models.mine.reversed: unknown key (did you mean 'reverse'?)",
    ),
    "trained reward model": (
        {"definitions": {"reward_models": {"mine": {"train": {"model": "W1M", "batch_size": 8}}}}},
        "definitions.reward_models.mine.train.batch_size: unknown key (did you mean 'global_batch_size'?)",
    ),
    "devices in definitions": (
        {"definitions": {"devices": {"mine": {"accelerator": "cpu"}}}},
        "definitions.devices: unknown key; keys are: datasets, models, reward_models",
    ),
}


@pytest.mark.parametrize(("changes", "message"), MISSPELT.values(), ids=MISSPELT.keys())
def test_unknown_keys_are_refused_at_every_level(changes, message):
    text = refusal(**changes)
    assert text.startswith(f"config: {message}")
    assert shown(text)


def test_a_misspelt_key_that_is_needed_is_one_problem_and_keeps_its_value():
    config = copy.deepcopy(MINIMAL)
    config["sedes"] = config.pop("seeds")
    with pytest.raises(ConfigError) as caught:
        Settings.from_config(config, source="my.yaml")
    assert str(caught.value).startswith("my.yaml: sedes: unknown key (did you mean 'seeds'?)")
    assert "more problem" not in str(caught.value)
    assert shown(str(caught.value)) == {"seeds": [1]}


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("datasets.yaml", lambda c: c["U0"].update(limitt=3), "U0.limitt: unknown key (did you mean 'limit'?)"),
        ("datasets.yaml", lambda c: c["PP0"].pop("preference"), "PP0.preference: missing"),
        ("datasets.yaml", lambda c: c["U10"].pop("eval_share"), "U10.eval_share: missing"),
        ("datasets.yaml", lambda c: c["PP0"].update(eval_share=0.1), "PP0.eval_share: unused"),
        ("datasets.yaml", lambda c: c["world"].update(size=900, eval_size=900), "world.size: 900, but eval_size 900"),
        ("datasets.yaml", lambda c: c["AH0"].update(source="hh"), "AH0.source: it must be one of pku,"),
        ("models.yaml", lambda c: c["W1M"]["architecture"].update(layers=3), "W1M.architecture.layers: unknown key"),
        ("models.yaml", lambda c: c["W1M"].pop("architecture"), "W1M: it must have exactly one of path, architecture"),
        ("models.yaml", lambda c: c["W1M"].update(path="x"), "W1M: it must have exactly one of path, architecture"),
        ("models.yaml", lambda c: c["W1M"].update(adapter="lora"), "W1M.adapter: it must be one of none, not 'lora'"),
        ("models.yaml", lambda c: c["Q7B"].update(plain_template="Q: "), "Q7B.plain_template: it must be a text"),
        (
            "models.yaml",
            lambda c: c["W1M"]["architecture"].update(num_attention_heads=5),
            "W1M.architecture.num_attention_heads: 5 does not divide hidden_size 128",
        ),
        (
            "reward_models.yaml",
            lambda c: c["world"]["train"].update(epochs=0),
            "world.train.epochs: it must be a number",
        ),
        (
            "reward_models.yaml",
            lambda c: c["world"]["train"].update(architecture={"hidden_size": 64}),
            "world.train.architecture: unknown key; keys are: model, learning_rate",
        ),
        ("reward_models.yaml", lambda c: c["world"]["train"].pop("model"), "world.train.model: missing; model entry"),
        (
            "reward_models.yaml",
            lambda c: c["world"].update(text_format="text_pair"),
            "world.text_format: it must be one of chat_template, beaver, eurus, ultrarm, plain, not 'text_pair'",
        ),
        (
            "reward_models.yaml",
            lambda c: c["world"].update(path="x"),
            "world: it must have exactly one of path, train; it has path, train",
        ),
        (
            "reward_models.yaml",
            lambda c: c["eurus"].update(text_format="pair"),
            "eurus.text_format: it must be one of beaver, eurus, ultrarm, chat_template, text_pair, plain, not 'pair'",
        ),
        (
            "devices.yaml",
            lambda c: c["t4"]["per_device_batch_size"].update(train=1),
            "t4.per_device_batch_size.train: unknown key",
        ),
        ("devices.yaml", lambda c: c["t4"].update(precision="fp8"), "t4.precision: it must be one of auto, fp32,"),
        ("judges/gold/judge.yaml", lambda c: c.update(model="x"), "model: unknown key; with kind gold"),
    ],
)
def test_entries_files_are_validated_and_named_used_or_not(root, file, change, message):
    edit(root, file, change)
    with pytest.raises(ConfigError) as caught:
        Settings.from_config(MINIMAL, root)
    assert str(caught.value).startswith(f"config/{file}: {message}")


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"method": "dpo", "beta": 0}, "tasks[2].beta: it must be a number greater than 0, not 0.0"),
        ({"method": "dpo", "beta": -0.1}, "tasks[2].beta: it must be a number greater than 0, not -0.1"),
        ({"method": "dpo", "beta": float("nan")}, "tasks[2].beta: it must be a number greater than 0, not nan"),
        ({"method": "dpo", "beta": float("inf")}, "tasks[2].beta: it must be a number greater than 0, not inf"),
        ({"method": "dpo", "beta": True}, "tasks[2].beta: it must be a number greater than 0, not True"),
        ({"method": "dpo", "beta": "small"}, "tasks[2].beta: it must be a number greater than 0, not 'small'"),
        ({"method": "dpo", "beta": []}, "tasks[2].beta: it must be a list of at least 1 items"),
        ({"method": "dpp", "p": [0.3, 1.2]}, "tasks[2].p[1]: it must be a number at least 0 and at most 1, not 1.2"),
        ({"method": "dpp", "max_steps": 1.5}, "tasks[2].max_steps: it must be a whole number or null at least 1"),
        ({"method": "dpo", "loss_type": "sigmiod"}, "tasks[2].loss_type: it must be one of sigmoid, hinge"),
        ({"method": "dpq"}, "tasks[2].method: it must be one of sft, dpo, ddp, dpp, dpr, mix, not 'dpq'"),
        ({"beta": 0.1}, "tasks[2].method: missing"),
        ({"method": "sft", "beta": 0.1}, "tasks[2].beta: unknown key; with method sft the keys are: method"),
        ({"method": "dpo", "gamma": 0.1}, "tasks[2].gamma: unknown key; with method dpo the keys are: method, beta"),
        ({"method": "ddp", "max_age": 2}, "tasks[2].max_age: unknown key; with method ddp"),
        ({"method": "ddp", "revkl": 0.1}, "tasks[2].revkl: unknown key; with method ddp"),
        ({"method": "dpo", "rollout_top_p": 0.9}, "tasks[2].rollout_top_p: unknown key; with method dpo"),
        ({"method": "dpp", "revkl": -0.1}, "tasks[2].revkl: it must be a number at least 0, not -0.1"),
        (
            {"method": "dpp", "rollout_top_p": [0.9, 0]},
            "tasks[2].rollout_top_p[1]: it must be a number greater than 0 and at most 1, not 0.0",
        ),
        (
            {"method": "mix", "rollout_top_p": 1.1},
            "tasks[2].rollout_top_p: it must be a number greater than 0 and at most 1, not 1.1",
        ),
    ],
)
def test_wrong_values_are_refused_with_path_and_value(task, message):
    text = with_task(**task)
    assert text.startswith(f"config: {message}")
    [right] = shown(text)["tasks"]
    settings(tasks=[{"method": "dpr"}, right], baseline="dpr")


def test_the_yaml_shown_is_right_and_keeps_what_was():
    text = with_task(method="dpp", betta=[0.1, 0.2])
    assert shown(text) == {"tasks": [{"method": "dpp", "beta": [0.1, 0.2]}]}
    assert "  - method: dpp\n    beta: [0.1, 0.2]" in text
    assert shown(with_task(method="dpo", loss_type="sigmiod")) == {"tasks": [{"method": "dpo", "loss_type": "sigmoid"}]}


def test_the_first_problem_by_path_is_told_and_the_others_counted():
    text = refusal(tag="a b", seeds=[-1], tasks=[{"method": "dpo", "beta": 0}])
    assert text.startswith("config: seeds[0]: it must be a whole number at least 0, not -1")
    assert text.endswith("(2 more problems after this one)")


@pytest.mark.parametrize(
    ("changes", "message", "known"),
    [
        ({"datasets": ["world", "U11"]}, "datasets[1]: there is no dataset 'U11' (did you mean 'U10'?)", "PP10, PP30"),
        ({"models": ["Q0.6B"]}, "models[0]: there is no model 'Q0.6B' (did you mean 'Q0.5B'?)", "Pm3B"),
        ({"judge": "gould"}, "judge: there is no judge 'gould' (did you mean 'gold'?)", "reward, gold, PM, PP, U"),
        ({"reward_model": "beaver"}, "reward_model: there is no reward model 'beaver'", "beaver-reward, beaver-cost"),
        ({"device": "h100"}, "device: there is no device 'h100'", "auto, cpu, t4"),
        ({"decoding": "beam"}, "decoding: there is no decoding 'beam'", "greedy, sample"),
        ({"baseline": "ddp"}, "baseline: there is no run or method with a run 'ddp'", "sft, dpo, dpr-g0.3-gamma0.3"),
    ],
)
def test_unknown_names_are_refused_with_what_there_is(changes, message, known):
    text = refusal(**changes)
    assert text.startswith(f"config: {message}")
    assert known in text
    assert shown(text)


def test_names_in_entries_must_exist_too(root):
    edit(root, "datasets.yaml", lambda c: c["world"].update(reward_model="wrld"))
    with pytest.raises(ConfigError, match=r"config/datasets.yaml: world.reward_model: there is no reward model 'wrld'"):
        Settings.from_config(MINIMAL, root)
    mine = {**PLAIN, "judge": "nobody"}
    text = refusal(datasets=["mine"], definitions={"datasets": {"mine": mine}})
    assert text.startswith("config: definitions.datasets.mine.judge: there is no judge 'nobody'")
    right = {"definitions": {"datasets": {"mine": {"source": "plain", "judge": "reward"}}}}
    assert shown(text) == right
    settings(datasets=["mine"], definitions={"datasets": {"mine": mine | right["definitions"]["datasets"]["mine"]}})


def test_a_trained_reward_model_starts_from_a_model_that_there_is(root):
    edit(root, "reward_models.yaml", lambda c: c["world"]["train"].update(model="W2M"))
    with pytest.raises(ConfigError) as caught:
        Settings.from_config(MINIMAL, root)
    where = "config/reward_models.yaml: world.train.model: there is no model 'W2M' (did you mean 'W1M'?)"
    assert str(caught.value).startswith(where)
    assert shown(str(caught.value)) == {"world": {"train": {"model": "W1M"}}}

    trained = {"reward_models": {"mine": {"train": {"model": "tiny"}}}}
    text = refusal(reward_model="mine", definitions=trained)
    assert text.startswith("config: definitions.reward_models.mine.train.model: there is no model 'tiny'")
    assert set(shown(text)["definitions"]["reward_models"]["mine"]["train"]) == {"model"}
    made = settings(reward_model="mine", definitions={**trained, "models": {"tiny": {"path": "models/tiny"}}})
    assert made.reward_spec("world", "mine")["train"]["model"] == "tiny"


def test_the_reward_model_of_a_judge_is_checked_too(root):
    edit(root, "reward_models.yaml", lambda c: c.update(mine={"train": {"model": "W2M"}}))
    Settings.from_config(MINIMAL, root)
    edit(root, "judges/reward/judge.yaml", lambda c: c.update(reward_model="mine"))
    with pytest.raises(ConfigError, match=r"config/reward_models.yaml: mine.train.model: there is no model 'W2M'"):
        Settings.from_config({**MINIMAL, "judge": "reward"}, root)
    edit(root, "judges/reward/judge.yaml", lambda c: c.update(reward_model="beaver"))
    with pytest.raises(ConfigError, match=r"config/judges/reward/judge.yaml: reward_model: there is no reward model"):
        Settings.from_config({**MINIMAL, "judge": "reward"}, root)


def test_heads_that_do_not_divide_the_width_are_refused_in_definitions_too():
    shape = {"model_type": "llama", "hidden_size": 96, "num_hidden_layers": 1, "num_attention_heads": 7}
    shape |= {"intermediate_size": 64, "max_position_embeddings": 64}
    text = refusal(definitions={"models": {"mine": {"architecture": shape}}})
    where = "definitions.models.mine.architecture.num_attention_heads"
    assert text.startswith(f"config: {where}: 7 does not divide hidden_size 96")
    assert shown(text) == {"definitions": {"models": {"mine": {"architecture": {"num_attention_heads": 6}}}}}


def test_a_dataset_without_reward_model_needs_the_configs(root):
    mine = {key: value for key, value in PLAIN.items() if key != "reward_model"}
    definitions = {"datasets": {"mine": mine}}
    assert refusal(datasets=["mine"], definitions=definitions).startswith("config: reward_model: missing; the dataset")
    assert (
        settings(datasets=["mine"], definitions=definitions, reward_model="eurus").reward_model_name("mine") == "eurus"
    )


def test_the_gold_judge_is_for_the_embedded_world_alone():
    assert refusal(datasets=["world", "U10"], judge="gold").startswith("config: judge: gold knows the embedded world")
    assert settings(datasets=["world", "U10"], judge="reward").judge_spec("reward")["kind"] == "reward"

    mine = {**PLAIN, "judge": "gold"}
    text = refusal(datasets=["mine"], definitions={"datasets": {"mine": mine}})
    assert text.startswith("config: definitions.datasets.mine.judge: gold knows the embedded world")


def test_judges_of_kind_openai_can_be_set_for_every_dataset():
    made = settings(datasets=["world", "U10", "PM30"])
    assert [made.judge_name(dataset) for dataset in made.datasets] == ["gold", "U", "PM"]
    assert settings(datasets=["U10"], judge="PP").judge_name("U10") == "PP"
    assert settings(datasets=["world"], judge="PM").judge_spec("PM")["mode"] == "pairwise"


def test_a_judges_service_is_no_part_of_its_spec(root):
    made = Settings.from_config(MINIMAL, root)
    assert made.judge_service("gold") == made.judge_service("reward") == {}
    before = made.judge_spec("PP")
    assert set(made.judge_service("PP")) == set(SERVICE_KEYS) and not set(SERVICE_KEYS) & set(before)
    prices = {"input": 1, "output": "2e0"}
    changes = {"base_url": ["http://a/v1", "http://b/v1"], "budget_usd": 3, "prices": prices, "requests_per_minute": 60}
    edit(root, "judges/PP/judge.yaml", lambda c: c.update(changes))
    after = Settings.from_config(MINIMAL, root)
    assert after.judge_spec("PP") == before
    assert after.judge_service("PP")["prices"] == {"input": 1.0, "output": 2.0, "batch_discount": 0.5}
    # jobs read it themselves
    assert read_service(root / "config/judges/PP/judge.yaml") == after.judge_service("PP")
    with pytest.raises(InputError, match="the judge is of kind gold; only one of kind openai"):
        read_service(root / "config/judges/gold/judge.yaml")
    edit(root, "judges/PP/judge.yaml", lambda c: c.update(prices=None))
    with pytest.raises(ConfigError, match=r"judge.yaml: prices: missing; budget_usd 3"):
        read_service(root / "config/judges/PP/judge.yaml")
    edit(root, "judges/PP/judge.yaml", lambda c: c.update(max_retries=1, prices=prices))
    assert Settings.from_config(MINIMAL, root).judge_spec("PP") != before


@pytest.mark.parametrize(
    ("changes", "problem", "right"),
    [
        ({"scale": [10, 1]}, "scale: [10.0, 1.0]; the lowest score comes first", {"scale": [1, 10]}),
        ({"budget_usd": 5, "prices": None}, "prices: missing; budget_usd 5 can be held only", {"prices": dict}),
        ({"api_version": "2024-10-21"}, "base_url: missing; with api_version it is", {"base_url": str}),
        ({"batch": True, "base_url": ["http://a", "http://b"]}, "base_url: 2 addresses", {"base_url": "http://a"}),
        ({"concurrency": 0}, "concurrency: it must be a whole number at least 1", {"concurrency": 16}),
        ({"base_url": []}, "base_url: it must be a list of at least 1 distinct items", {"base_url": list}),
        ({"structured": "json"}, "structured: it must be one of auto, json_schema, none", {"structured": str}),
        ({"max_failed_share": 2}, "max_failed_share: it must be a number at least 0 and at most 1", dict),
        ({"tokens_per_minut": 1}, "tokens_per_minut: unknown key (did you mean 'tokens_per_minute'?)", dict),
        ({"price": 1}, "price: unknown key; with kind openai the keys are: kind, model", {"kind": "openai"}),
        ({"prices": {"input": 1}}, "prices.output: missing; of replies", dict),
        ({"api_key": "sk-1"}, "api_key: it looks like a key or a password, which has no place in a config", dict),
    ],
)
def test_a_judge_that_cannot_be_is_refused(root, changes, problem, right):
    edit(root, "judges/PP/judge.yaml", lambda c: c.update(changes))
    with pytest.raises(ConfigError) as raised:
        Settings.from_config({**MINIMAL, "judge": "PP"}, root)
    text = str(raised.value)
    assert text.startswith(f"config/judges/PP/judge.yaml: {problem}")
    if right is not dict:
        [(key, value)] = right.items()
        found = shown(text)[key]
        assert isinstance(found, value) if isinstance(value, type) else found == value


def test_judge_quality_has_its_defaults():
    assert settings().config["judge_quality"] == {"pairs": 500, "seed": 0, "paid": False}
    for paid in (True, "true"):  # --config judge_quality='{paid: true}' hands a text over
        assert settings(judge_quality={"paid": paid}).config["judge_quality"] == {"pairs": 500, "seed": 0, "paid": True}
    assert "it must be true or false, not 'yes'" in refusal(judge_quality={"paid": "yes"})
    assert refusal(judge_quality={"pair": 5}).startswith(
        "config: judge_quality.pair: unknown key (did you mean 'pairs'?)"
    )


@pytest.mark.parametrize(
    ("tasks", "policy", "problem", "right"),
    [
        (
            [{"method": "dpo"}, {"method": "dpr", "max_length": 512}],
            {},
            "tasks[1].max_length: 512 in run dpr-max_length512, but 1024 in run dpo",
            {"method": "dpr", "max_length": 1024},
        ),
        (  # the task that sets it is named, not the one that has the default
            [{"method": "sft"}, {"method": "dpo", "max_length": 512}, {"method": "dpr"}],
            {},
            "tasks[1].max_length: 512 in run dpo-max_length512, but 1024 in run dpr",
            {"method": "dpo", "max_length": 1024},
        ),
        (
            [{"method": "dpo"}, {"method": "dpp", "max_length": [256, 128]}],
            {"max_length": 256},
            "tasks[1].max_length: 128 in run dpp-max_length128, but 256 in run dpo",
            {"method": "dpp", "max_length": 256},
        ),
    ],
)
def test_all_runs_share_one_max_length(tasks, policy, problem, right):
    text = refusal(tasks=tasks, policy=policy)
    assert text.startswith(f"config: {problem}; the runs share their reference log-probabilities")
    assert "set it once, in policy" in text
    assert shown(text) == {"tasks": [right]}
    repaired = [right if task["method"] == right["method"] else task for task in tasks]
    assert settings(tasks=repaired, policy=policy).max_length == right["max_length"]


def test_the_max_length_is_that_of_the_runs_and_without_any_that_of_sft():
    assert settings().max_length == 1024
    assert settings(policy={"max_length": 256}).max_length == 256
    tasks = [{"method": "dpo", "max_length": 128}, {"method": "dpr", "max_length": [128]}]
    assert settings(tasks=tasks, policy={"max_length": 256}, baseline="dpo").max_length == 128
    assert settings(tasks=[{"method": "sft"}], baseline="sft", sft={"max_length": 64}).max_length == 64


def test_a_prompt_must_have_its_places(root):
    (root / "config/judges/U/prompt.txt").write_text("Grade: {answer}")
    with pytest.raises(ConfigError, match=r"config/judges/U/prompt.txt: no \{prompt\} in it"):
        Settings.from_config({**MINIMAL, "judge": "U"}, root)
    (root / "config/judges/U/prompt.txt").unlink()
    with pytest.raises(ConfigError, match=r"config/judges/U/prompt.txt: there is no such file"):
        Settings.from_config({**MINIMAL, "judge": "U"}, root)
    Settings.from_config(MINIMAL, root)


def test_keys_that_yaml_does_not_read_as_text_are_refused():
    text = refusal(definitions={"models": {7: {"path": "x"}}})
    assert text.startswith("config: definitions.models.7: the key 7 is not a text; write it in quotes")
    text = refusal(definitions={"models": {"my model/7": {"path": "x"}}})
    assert text.startswith("config: definitions.models.my model/7: 'my model/7' is no valid name")
    assert shown(text) == {"definitions": {"models": {"my-model-7": {"path": "x"}}}}


def test_the_selection_split_must_have_prompts():
    world = {"source": "world", "size": 100, "eval_size": 20, "selection_size": 0, "reward_model": "world"}
    definitions = {"datasets": {"world": {**world, "judge": "gold"}}}
    assert settings(definitions=definitions).split == "eval"
    text = refusal(definitions=definitions, split="selection")
    assert text.startswith("config: split: selection, but the dataset world has selection_size 0")
    assert settings(split="selection").split == "selection"
    text = refusal(definitions=definitions, best_of_sweep=True)
    assert text.startswith("config: best_of_sweep: True, but the dataset world has selection_size 0")
    assert settings(best_of_sweep=True).config["best_of_sweep"] and not settings().config["best_of_sweep"]


# what comes out


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


def test_the_robust_loss_is_for_dpo_with_a_smoothing():
    tasks = [{"method": "dpo"}, {"method": "dpo", "loss_type": "robust", "label_smoothing": [0.1, 0.2]}]
    made = settings(tasks=tasks, baseline="dpo")
    robust = made.policy_spec("world", "W1M", "dpo-loss_type_robust-label_smoothing0.1")["hyperparameters"]
    assert (robust["loss_type"], robust["label_smoothing"]) == ("robust", 0.1)
    assert "loss_type: robust in run" in refusal(tasks=[{"method": "dpr", "g": 0.3, "loss_type": "robust"}])
    assert "label_smoothing" in refusal(tasks=[{"method": "dpo", "loss_type": "robust", "label_smoothing": 0.5}])


@pytest.fixture
def base_root(root):
    """config/ with judges that can be run for all datasets of BASE, and one more of them."""
    edit(root, "datasets.yaml", lambda c: c["U10"].update(judge="reward"))
    shutil.copytree(root / "config/judges/reward", root / "config/judges/other")
    return root


def specs(made):
    """Every spec of every stage, as the text that a file would hold."""
    stages = {("generation", model): made.generation_spec(model) for model in made.models}
    for dataset in made.datasets:
        reward_model = made.reward_model_name(dataset)
        stages["data", dataset] = made.data_spec(dataset)
        stages["reward", dataset, reward_model] = made.reward_spec(dataset, reward_model)
        stages["judge", dataset] = made.judge_spec(made.judge_name(dataset))
        for model in made.models:
            stages["sft", dataset, model] = made.sft_spec(dataset, model)
            stages["reference", dataset, model] = made.reference_spec(dataset, model)
    for run in made.runs:
        stages["policy", run.dataset, run.model, run.name] = made.policy_spec(run.dataset, run.model, run.name)
    return {key: yaml.safe_dump(spec, sort_keys=False) for key, spec in stages.items()}


def changed(before, after):
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


BASE = {**MINIMAL, "datasets": ["world", "U10"], "models": ["W1M", "Q0.5B"]}
REFERENCES = {("reference", d, m) for d in BASE["datasets"] for m in BASE["models"]}
POLICIES = {
    ("policy", d, m, r) for d in BASE["datasets"] for m in BASE["models"] for r in ("sft", "dpo", "dpr-g0.3-gamma0.3")
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"tag": "other", "seeds": [1, 2, 3], "device": "cpu", "split": "selection", "baseline": "dpr"}, set()),
        ({"decodings": {"mine": {"top_p": 0.5}}}, set()),
        ({"decodings": {"sample": {"top_p": 0.5}}}, {("generation", m) for m in BASE["models"]}),
        ({"sft": {"epochs": 1}}, {("sft", d, m) for d in BASE["datasets"] for m in BASE["models"]}),
        ({"policy": {"rollout_prompts": 8}}, {key for key in POLICIES if key[3].startswith("dpr")}),
        ({"policy": {"revkl": 0.1}}, {key for key in POLICIES if key[3].startswith("dpr")}),
        ({"policy": {"epochs": 8}}, {key for key in POLICIES if key[3] != "sft"}),
        (
            {"policy": {"max_length": 256}},  # the data too: Q0.5B's tokenizer decides what is too long
            {key for key in POLICIES if key[3] != "sft"}
            | REFERENCES
            | {("data", d) for d in BASE["datasets"]}
            | {("generation", m) for m in BASE["models"]},
        ),
        (
            {"tasks": [*MINIMAL["tasks"], {"method": "dpp"}]},
            {("policy", d, m, "dpp") for d in BASE["datasets"] for m in BASE["models"]},
        ),
        (
            {"tasks": [{"method": "sft"}, {"method": "dpo", "beta": 0.2}, MINIMAL["tasks"][2]]},
            {("policy", d, m, run) for d in BASE["datasets"] for m in BASE["models"] for run in ("dpo", "dpo-beta0.2")},
        ),
    ],
)
def test_a_change_of_the_config_changes_only_the_specs_that_depend_on_it(base_root, change, expected):
    before, after = (specs(Settings.from_config(config, base_root)) for config in (BASE, {**BASE, **change}))
    assert changed(before, after) == expected


@pytest.mark.parametrize(
    ("file", "change", "expected"),
    [
        ("datasets.yaml", lambda c: c["PP10"].update(limit=5), set()),
        ("datasets.yaml", lambda c: c["U10"].update(limit=5), {("data", "U10")}),
        ("datasets.yaml", lambda c: c["U10"].update(judge="other"), {("judge", "U10")}),
        ("models.yaml", lambda c: c.pop("L8B"), set()),
        (
            "models.yaml",
            lambda c: c["Q0.5B"].update(lora={"r": 8}),
            {("sft", d, "Q0.5B") for d in BASE["datasets"]}
            | {key for key in POLICIES | REFERENCES if key[2] == "Q0.5B"}
            | {("generation", "Q0.5B")},
        ),
        (
            "models.yaml",
            lambda c: c["Q0.5B"].update(revision="v1"),
            {("sft", d, "Q0.5B") for d in BASE["datasets"]}
            | {key for key in POLICIES | REFERENCES if key[2] == "Q0.5B"}
            | {("generation", "Q0.5B")}
            | {("data", d) for d in BASE["datasets"]},
        ),
        ("reward_models.yaml", lambda c: c["world"]["train"].update(epochs=1), {("reward", "world", "world")}),
        ("devices.yaml", lambda c: c["auto"].update(precision="fp32"), set()),
        ("judges/gold/judge.yaml", lambda c: c.update(kind="reward"), {("judge", "world")}),
        ("judges/reward/judge.yaml", lambda c: c.update(reward_model="deberta"), {("judge", "U10")}),
    ],
)
def test_a_changed_entry_changes_only_the_specs_that_depend_on_it(base_root, file, change, expected):
    before = specs(Settings.from_config(BASE, base_root))
    edit(base_root, file, change)
    assert changed(before, specs(Settings.from_config(BASE, base_root))) == expected


def test_a_judges_prompt_is_part_of_its_spec_alone(base_root):
    def everything():
        made = Settings.from_config(BASE, base_root)
        return {**specs(made), **{("judge", name): json.dumps(made.judge_spec(name)) for name in ("U", "PP", "PM")}}

    before = everything()
    path = base_root / "config/judges/U/prompt.txt"
    path.write_text(path.read_text() + "\n")
    assert changed(before, everything()) == {("judge", "U")}


def test_reading_a_config_imports_no_torch():
    code = "import sys, pipeline.config.settings; assert not {'torch', 'transformers', 'snakemake'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(ROOT, "scripts"))


def test_a_thousand_runs_have_a_thousand_names():
    tasks = [{"method": "dpr", "beta": round(0.001 * i, 3), "g": 0.3} for i in range(1, 1001)]
    made = settings(tasks=[{"method": "dpo"}, *tasks])
    assert len({run.name for run in made.runs}) == 1001
