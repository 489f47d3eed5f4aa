"""Hyperparameters against the arguments of TRL and SAIL that they become: names, kinds, choices, defaults."""

import dataclasses
import types
import typing

import pytest
from fixtures_config import refusal, with_task
from transformers.trainer_utils import SchedulerType
from transformers.training_args import OptimizerNames
from trl import DPOConfig, GRPOConfig, KTOConfig, RewardConfig, RLOOConfig, SFTConfig
from trl.experimental.cpo import CPOConfig
from trl.experimental.online_dpo import OnlineDPOConfig
from trl.experimental.orpo import ORPOConfig

from pipeline.config.arguments import CONVERTED, NO_ARGUMENTS, OWN_NAMES, THEIR_NAMES, trainer_options
from pipeline.config.hyperparameters import TRAINING
from pipeline.config.schema import default_of, load_schema
from pipeline.config.sweep import DESCRIPTIONS, METHODS, expand
from sail import SAILConfig
from sail.config import BASELINES, ESTIMATORS, LABEL_DRAWS


def keys_of(stage):
    """{hyperparameter: schema} of a method, or of what precedes one."""
    if stage == "sft":
        return load_schema("config")["properties"]["sft"]["properties"]
    if stage == "reward":
        [entry] = load_schema("reward_models")["patternProperties"].values()
        return entry["allOf"][1]["then"]["properties"]["train"]["properties"]
    return DESCRIPTIONS[stage].HYPERPARAMETERS


TRAINERS = {"sft": SFTConfig, "reward": RewardConfig, "dpo": DPOConfig}
TRAINERS |= {method: SAILConfig for method in METHODS if DESCRIPTIONS[method].ROWS}
MACHINE = {"output_dir": "unused", "report_to": [], "use_cpu": True, "bf16": False}
# Where ours is another default than the library's: the published settings, and what a small world needs.
PUBLISHED = {"learning_rate": 1e-5, "num_train_epochs": 1.0, "warmup_steps": 150, "lr_scheduler_type": "cosine"}
PUBLISHED |= {"optim": "rmsprop"}
# 0.9 is what was published; the plugin's own default, 1, is the one at which its gradient is exact
SAMPLED = {**PUBLISHED, "rollout_temperature": 0.9}
FIRST = {"lr_scheduler_type": "cosine", "optim": "adamw_torch", "num_train_epochs": 2.0, "seed": 0}
OTHER_DEFAULTS = {
    "sft": FIRST,
    "reward": {**FIRST, "learning_rate": 5e-4},
    "dpo": PUBLISHED,
    # a task of a method has rows of its kind, as published; the plugin alone, and a mixture, start from none
    "ddp": {**PUBLISHED, "r": 0.4},
    "dpp": {**SAMPLED, "p": 0.3},
    "dpr": {**SAMPLED, "g": 0.3},
    "mix": SAMPLED,
}


def argument_defaults(config):
    fields = [field for field in dataclasses.fields(config) if field.init]
    made = {field.name: field.default_factory() for field in fields if field.default is dataclasses.MISSING}
    return {field.name: made.get(field.name, field.default) for field in fields}


@pytest.mark.parametrize(("stage", "config"), TRAINERS.items(), ids=TRAINERS)
def test_every_hyperparameter_is_an_argument_of_its_trainer(stage, config):
    options = trainer_options(
        {key: default_of(schema) for key, schema in keys_of(stage).items() if key not in NO_ARGUMENTS}
    )
    assert options.keys() <= argument_defaults(config).keys()
    for key in keys_of(stage):
        made = CONVERTED[key](default_of(keys_of(stage)[key])) if key in CONVERTED else [THEIR_NAMES.get(key, key)]
        assert (key in NO_ARGUMENTS) != (set(made) <= set(options)), key
    config(**MACHINE, max_steps=1, **{k: v for k, v in options.items() if k != "max_steps"})
    with pytest.raises(TypeError, match="new_option"):
        config(**MACHINE, **trainer_options({"new_option": 1}))


@pytest.mark.parametrize(("stage", "config"), TRAINERS.items(), ids=TRAINERS)
def test_kinds_and_defaults_are_those_of_the_arguments_or_named_here(stage, config):
    theirs, hints = argument_defaults(config), typing.get_type_hints(config)
    others = {}
    for key, schema in keys_of(stage).items():
        if key in NO_ARGUMENTS:
            continue
        name, value = THEIR_NAMES.get(key, key), default_of(schema)
        hint = hints.get(name)
        accepted = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        # DPO takes one loss for a list of them
        kinds = {"integer": (int, float), "number": (float,), "boolean": (bool,), "string": (str, list[str])}
        kind = schema.get("type", "string")
        kind = kind[0] if isinstance(kind, list) else kind
        if key not in CONVERTED:
            assert set(accepted) & set(kinds[kind]), f"{key}: {schema.get('type')} here, {hint} there"
        for argument, ours in (CONVERTED[key](value) if key in CONVERTED else {name: value}).items():
            if theirs[argument] not in (ours, [ours]):
                others[argument] = ours
    assert others == OTHER_DEFAULTS[stage]


def test_choices_are_those_that_the_libraries_know():
    every = {key: schema for method in METHODS for key, schema in DESCRIPTIONS[method].HYPERPARAMETERS.items()}
    assert tuple(every["estimator"]["enum"]) == ESTIMATORS
    assert tuple(every["variance_baseline"]["enum"]) == BASELINES
    assert tuple(every["label_draw"]["enum"]) == LABEL_DRAWS
    assert set(every["optimizer"]["enum"]) <= {name.value for name in OptimizerNames}
    assert set(every["lr_scheduler"]["enum"]) <= {name.value for name in SchedulerType}
    [help_] = [field.metadata["help"] for field in dataclasses.fields(DPOConfig) if field.name == "loss_type"]
    assert all(f"`'{loss}'`" in help_ for loss in DESCRIPTIONS["dpo"].HYPERPARAMETERS["loss_type"]["enum"])


BY_TRL = {"kto": KTOConfig, "orpo": ORPOConfig, "cpo": CPOConfig, "online_dpo": OnlineDPOConfig, "grpo": GRPOConfig}
BY_TRL |= {"rloo": RLOOConfig}


@pytest.mark.parametrize(("method", "config"), BY_TRL.items(), ids=BY_TRL)
def test_methods_of_trl_have_its_names_defaults_and_choices(method, config):
    theirs = argument_defaults(config)
    fields = {field.name: field for field in dataclasses.fields(config)}
    for key, schema in DESCRIPTIONS[method].HYPERPARAMETERS.items():
        if key in TRAINING and key not in ("beta", "loss_type", "label_smoothing"):
            continue  # as for every method
        default = theirs[key][0] if isinstance(theirs[key], list) else theirs[key]  # of β, one for each epoch
        assert default_of(schema) == default, key
        known = fields[key].metadata.get("choices") or schema.get("enum", [])
        assert set(schema.get("enum", [])) <= set(known)


def test_every_argument_that_sail_adds_is_a_hyperparameter_or_of_the_machine():
    own = {field.name for field in dataclasses.fields(SAILConfig)} - {f.name for f in dataclasses.fields(DPOConfig)}
    ours = {THEIR_NAMES.get(key, key) for method in METHODS for key in DESCRIPTIONS[method].HYPERPARAMETERS}
    # how many responses are generated side by side, with which cache, and whether pairs share their prompt is the
    # device's; a reward model's sign is in its entry, and it is the only reward function; where vLLM stands and what it
    # may take is the plugin's default
    others = {"rollout_batch_size", "cache_implementation", "share_prompt", "reverse", "reward_weights"}
    assert {name for name in own - ours if not name.startswith("vllm_")} == others


@pytest.mark.parametrize(("theirs", "ours"), OWN_NAMES.items())
def test_a_name_of_the_library_is_told_ours(theirs, ours):
    method = "dpr" if ours == "variance_baseline" else "dpo"
    where = refusal(policy={theirs: 1}), with_task(method=method, **{theirs: 1})
    assert where[0].startswith(f"config: policy.{theirs}: unknown key (did you mean '{ours}'?)")
    assert where[1].startswith(f"config: tasks[2].{theirs}: unknown key (did you mean '{ours}'?)")


RUNS = [
    ({"method": "dpr", "gamma": 0.0}, True),
    ({"method": "dpr", "gamma": 0.1}, False),
    ({"method": "dpr", "g": 0.0}, True),
    ({"method": "dpr", "gamma": 0.0, "revkl": 0.1}, False),
    ({"method": "ddp", "rho": 0.0}, True),
    ({"method": "dpp"}, False),
    ({"method": "mix", "r": 0.2, "g": 0.3, "rho": 0.0, "gamma": 0.0}, True),
    ({"method": "mix", "r": 0.2, "g": 0.3, "rho": 0.0}, False),
    ({"method": "mix", "p": 0.2, "pi": 0.0}, True),
    ({"method": "mix"}, True),
]


@pytest.mark.parametrize(("task", "plain"), RUNS, ids=lambda value: str(value))
def test_a_sweep_allows_the_losses_that_the_trainer_allows(task, plain):
    """Any loss where no part of the gradient is added: a plain mixture."""
    options = trainer_options({key: value for key, value in task.items() if key != "method"})
    defaults = {rows.share: 0 for rows in DESCRIPTIONS[task["method"]].ROWS}
    defaults |= {k: default_of(s) for k, s in DESCRIPTIONS[task["method"]].HYPERPARAMETERS.items() if k in defaults}
    arguments = {**MACHINE, "max_steps": 1, "loss_type": ["ipo"], **defaults, **options}
    if plain:
        [run] = expand([{**task, "loss_type": "ipo"}], {}, "config")
        assert run.hyperparameters["loss_type"] == "ipo"
        assert SAILConfig(**arguments).loss_type == ["ipo"]
        return
    assert "loss_type: ipo in run" in with_task(**task, loss_type="ipo")
    with pytest.raises(ValueError, match="the extra gradients are defined for loss_type"):
        SAILConfig(**arguments)
