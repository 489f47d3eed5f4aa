"""Devices: the global batch is met or refused with what would fit, machines that are not here are refused."""

import argparse

import pytest
import torch
import yaml
from fixtures_models import STAGES, cpu_device

from pipeline.config.entries import read_entries
from pipeline.config.global_batch import check_device, check_global_batches
from pipeline.config.settings import Settings
from pipeline.jobs.io import InputError
from pipeline.judge_kinds.reward.judge import reward_scorer
from pipeline.models.device_arguments import add_device_arguments
from pipeline.models.devices import ROOT, Device, device_from_arguments, resolve_device

ENTRIES = read_entries("devices", {}, ROOT, "config/devices.yaml")
CUDA = {"accelerator": "cuda"}


@pytest.fixture
def machine(monkeypatch):
    """Make torch report a GPU of a compute capability, or none."""

    def machine(capability=None):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A GPU")

    return machine


@pytest.mark.parametrize(
    ("per_device", "total", "processes", "rows", "steps"),
    [
        *((4, 32, 1, 4, 8), (32, 32, 1, 32, 1), (64, 32, 1, 32, 1), (4, 32, 4, 4, 2), (8, 32, 4, 8, 1)),
        *((1, 3, 3, 1, 1), (16, 32, 4, 8, 1)),  # no more rows than the global batch has for a process
    ],
)
def test_the_global_batch_is_met(per_device, total, processes, rows, steps):
    kwargs = cpu_device(per_device).training_kwargs("policy", total, processes)
    assert (kwargs["per_device_train_batch_size"], kwargs["gradient_accumulation_steps"]) == (rows, steps)
    assert rows * steps * processes == total
    assert (kwargs["bf16"], kwargs["fp16"], kwargs["use_cpu"]) == (False, False, True)


def test_a_stage_has_a_batch_of_its_own():
    device = Device("d", "cpu", torch.float32, "sdpa", {"sft": 2, "policy": 4}, "cpu")
    assert device.training_kwargs("sft", 8)["per_device_train_batch_size"] == 2
    assert device.training_kwargs("policy", 8)["gradient_accumulation_steps"] == 2


@pytest.mark.parametrize(
    ("per_device", "total", "processes", "fits"),
    [(5, 32, 1, "[1, 2, 4, 8, 16, 32]"), (3, 32, 4, "[1, 2, 4, 8]"), (5, 24, 4, "[1, 2, 3, 6]")],
)
def test_what_does_not_divide_is_refused_with_what_would(per_device, total, processes, fits):
    with pytest.raises(InputError) as error:
        cpu_device(per_device).training_kwargs("policy", total, processes)
    assert f"global batch of {total} is not a multiple of {per_device} rows" in str(error.value)
    assert f"per_device_batch_size.policy could be one of {fits}" in str(error.value)
    for rows in map(int, fits.strip("[]").split(",")):
        kwargs = cpu_device(rows).training_kwargs("policy", total, processes)
        assert kwargs["per_device_train_batch_size"] * kwargs["gradient_accumulation_steps"] * processes == total


def test_more_processes_than_divide_the_batch_are_refused():
    message = r"32 is not a multiple of 3 processes; a global batch of 30 or 33 would be, .* processes one of \[1, 2\]"
    with pytest.raises(InputError, match=message):
        cpu_device(4).training_kwargs("policy", 32, 3)
    with pytest.raises(InputError, match="2 is not a multiple of 4 processes; a global batch of 4 would be"):
        cpu_device(4).training_kwargs("policy", 2, 4)


def test_the_processes_are_those_that_were_launched(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "1")
    kwargs = cpu_device(4).training_kwargs("policy", 32)
    assert kwargs["per_device_train_batch_size"] * kwargs["gradient_accumulation_steps"] == 8
    assert cpu_device(4).record()["processes"] == 4


def config_with(device, **given):
    """A config of the tests on a device, with another global batch of all policies."""
    content = yaml.safe_load((ROOT / "tests" / "data" / "small.yaml").read_text("utf-8"))
    return content | {"device": device, "policy": content["policy"] | given}


def test_a_config_whose_batches_a_device_cannot_cut_is_refused_before_any_job():
    settings = Settings.from_config(config_with("a40x4"))
    check_global_batches(settings)  # 4 × 4 for sft and the reward model, 2 × 4 for the policies
    with pytest.raises(InputError) as error:
        check_global_batches(Settings.from_config(config_with("a40x4", global_batch_size=20)))
    assert str(error.value) == (
        "device a40x4, run dpo-beta0.1: a global batch of 20 is not a multiple of 4 rows per device × 4 processes; "
        "per_device_batch_size.policy could be one of [1, 5]"
    )
    with pytest.raises(
        InputError, match=r"device a40x4, run dpo-beta0\.1: a global batch of 6 is not a multiple of 4 pro"
    ):
        check_global_batches(Settings.from_config(config_with("a40x4", global_batch_size=6)))


@pytest.mark.parametrize("device", [name for name in ENTRIES if name.endswith("x4")])
def test_the_published_devices_take_the_published_global_batches(device):
    content = yaml.safe_load((ROOT / "config" / "t4.yaml").read_text("utf-8"))
    check_global_batches(Settings.from_config(content | {"device": device}))


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("capability", [None, (7, 5), (8, 0)])
def test_every_shipped_device_resolves_or_says_why_not(name, capability, machine):
    machine(capability)
    entry = ENTRIES[name]
    assert set(entry["per_device_batch_size"]) == {*STAGES, "score_tokens"}
    try:
        device = resolve_device(name, entry)
    except InputError as error:
        assert str(error).startswith(f"device {name}: ") and "; use " in str(error)
        assert (entry["accelerator"] == "cuda" and capability is None) or entry["precision"] == "bf16"
        return
    assert device.name == name and device.type == ("cpu" if capability is None or name == "cpu" else "cuda")
    assert device.batch_sizes == entry["per_device_batch_size"]
    for stage, total in (("sft", 160), ("policy", 32), ("reward", 32)):  # the published global batches
        device.training_kwargs(stage, total, entry["processes"])


def test_a_gpu_that_is_not_here_is_refused(machine):
    machine(None)
    with pytest.raises(InputError, match="device t4: it needs a CUDA device and torch sees none; use the device auto"):
        resolve_device("t4", ENTRIES["t4"])


@pytest.mark.parametrize(
    ("changes", "capability", "dtype", "flags"),
    [
        ({}, None, torch.float32, (False, False)),
        ({}, (8, 0), torch.bfloat16, (True, False)),
        ({}, (9, 0), torch.bfloat16, (True, False)),
        ({}, (7, 5), torch.float16, (False, True)),
        ({"precision": "fp32"}, (9, 0), torch.float32, (False, False)),
        ({"precision": "bf16", "accelerator": "cpu"}, (9, 0), torch.bfloat16, (False, False)),
    ],
)
def test_precision_is_what_the_machine_has(changes, capability, dtype, flags, machine):
    machine(capability)
    device = resolve_device("auto", ENTRIES["auto"] | changes)
    assert device.dtype == dtype and device.model_kwargs() == {"dtype": dtype, "attn_implementation": "sdpa"}
    kwargs = device.training_kwargs("policy", 32)
    assert (kwargs["bf16"], kwargs["fp16"]) == flags and kwargs["use_cpu"] == (device.type == "cpu")


@pytest.mark.parametrize(
    ("changes", "capability", "message"),
    [
        (CUDA | {"precision": "bf16"}, (7, 5), r"compute capability \(7, 5\) has no bf16; use precision fp16 or auto"),
        ({"attention": "flash_attention_2"}, (7, 5), "FlashAttention-2 needs compute capability 8.0 .*; use attention"),
        ({"attention": "flash_attention_2"}, None, "FlashAttention-2 needs compute capability 8.0 .*; use attention"),
        (
            {"attention": "flash_attention_2", "precision": "fp32"},
            (8, 0),
            "FlashAttention-2 has no fp32; use precision",
        ),
        ({"attention": "flash_attention_2"}, (8, 0), "FlashAttention-2 needs the package flash-attn; use attention"),
    ],
)
def test_what_the_machine_does_not_have_is_refused(changes, capability, message, machine):
    machine(capability)
    with pytest.raises(InputError, match=f"device auto: {message}"):
        resolve_device("auto", ENTRIES["auto"] | changes)


@pytest.mark.parametrize(
    ("device", "changes", "message"),
    [
        ("cpu", {}, "device cpu, model mine: adapter qlora needs CUDA; use a device that has it, or adapter lora"),
        ("a40x4", {"distributed": "fsdp2"}, "adapter qlora has weights that fsdp2 cannot hold in parts; use ddp"),
        ("a40x4", {"distributed": "zero3"}, "adapter qlora has weights that zero3 cannot hold in parts; use ddp"),
        ("a40x4", {"distributed": "zero2"}, None),
        ("a40x4", {}, None),
    ],
)
def test_four_bits_are_refused_where_they_cannot_be(device, changes, message):
    content = yaml.safe_load((ROOT / "config" / "t4.yaml").read_text("utf-8")) | {"device": device, "models": ["mine"]}
    content["definitions"] = {"models": {"mine": {"path": "my/model", "adapter": "qlora"}}}
    settings = Settings.from_config(content)
    settings.devices[device].update(changes)
    if message is None:
        check_device(settings)
        return
    with pytest.raises(InputError, match=message):
        check_device(settings)


def test_what_was_chosen_is_recorded(machine):
    machine((7, 5))
    record = resolve_device("auto", ENTRIES["auto"]).record()
    chosen = {"type": "cuda", "dtype": "float16", "attention": "sdpa", "processes": 1, "description": "A GPU"}
    assert record == {"name": "auto"} | chosen


def test_the_arguments_name_a_device_and_set_the_threads():
    parser = argparse.ArgumentParser()
    add_device_arguments(parser)
    before = torch.get_num_threads()
    try:
        assert device_from_arguments(parser.parse_args(["--device", "cpu", "--threads", "1"])).name == "cpu"
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert device_from_arguments(parser.parse_args([])).name == "auto"


def test_an_unknown_device_is_refused_with_those_that_there_are(tmp_path):
    parser = argparse.ArgumentParser()
    add_device_arguments(parser)
    message = "--device gpu: config/devices.yaml has auto, cpu, t4"
    with pytest.raises(InputError, match=message):
        device_from_arguments(parser.parse_args(["--device", "gpu"]))
    with pytest.raises(InputError, match=message):
        reward_scorer(tmp_path / "spec.yaml", "model", "gpu")
