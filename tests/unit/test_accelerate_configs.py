"""config/accelerate by the readers of accelerate and DeepSpeed themselves."""

import os

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import DeepSpeedPlugin, DistributedType, FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env

from pipeline.config.schema import load_schema
from pipeline.models.devices import ROOT

FOLDER = ROOT / "config" / "accelerate"
TYPES = {
    "single": DistributedType.NO,
    "ddp": DistributedType.MULTI_GPU,
    "fsdp2": DistributedType.FSDP,
    "zero2": DistributedType.DEEPSPEED,
    "zero3": DistributedType.DEEPSPEED,
}


def launched(name, processes=4):
    """The arguments of `accelerate launch` with a config, as the rules call it."""
    command = ["--config_file", str(FOLDER / f"{name}.yaml"), "--num_processes", str(processes), "train.py"]
    return _validate_launch_command(launch_command_parser().parse_args(command))[0]


def test_there_is_a_file_for_each_way_that_a_device_can_name():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(TYPES)
    [device] = load_schema("devices")["patternProperties"].values()
    assert {*device["properties"]["distributed"]["enum"], "single"} == set(TYPES)


@pytest.mark.parametrize("name", TYPES)
def test_accelerate_reads_every_file(name):
    config = load_config_from_file(str(FOLDER / f"{name}.yaml"))
    assert config.distributed_type == TYPES[name]
    assert str(config.mixed_precision) == "no"  # precision is the device's
    if name != "single":
        assert config.main_process_port == 0  # two jobs on one machine do not meet
        assert launched(name).num_processes == 4


def test_a_job_of_two_processes_is_launched_as_one_on_gpus():
    arguments = launched("ddp", 2)
    assert arguments.multi_gpu and not (arguments.use_fsdp or arguments.use_deepspeed or arguments.cpu)


def with_environment(monkeypatch, made):
    """Set what accelerate's launcher sets for the processes."""
    for key, value in made.items():
        if os.environ.get(key) != value:
            monkeypatch.setenv(key, value)


def test_fsdp_is_of_version_two_and_saves_whole_weights(monkeypatch):
    with_environment(monkeypatch, prepare_multi_gpu_env(launched("fsdp2")))
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2 and plugin.reshard_after_forward is True
    assert plugin.state_dict_type.name == "FULL_STATE_DICT" and not plugin.cpu_ram_efficient_loading


@pytest.mark.parametrize(("name", "stage"), [("zero2", 2), ("zero3", 3)])
def test_deepspeed_reads_its_configs(name, stage, monkeypatch):
    pytest.importorskip("deepspeed", reason="deepspeed is not installed (envs/requirements-gpu.txt)")
    from deepspeed.runtime.config import DeepSpeedConfig

    arguments = launched(name)
    arguments.deepspeed_fields_from_accelerate_config = ",".join(
        load_config_from_file(str(FOLDER / f"{name}.yaml")).deepspeed_config
    )
    with_environment(monkeypatch, prepare_deepspeed_cmd_env(arguments)[1])
    config = DeepSpeedPlugin().deepspeed_config
    # What the trainer fills in from its own arguments; without processes beside it the reader counts one.
    filled = {"train_batch_size": 8, "train_micro_batch_size_per_gpu": 4, "gradient_accumulation_steps": 2}
    filled |= {"gradient_clipping": 1.0, "bf16": {"enabled": True}}
    assert {key for key, value in config.items() if value == "auto"} <= set(filled)
    read = DeepSpeedConfig({key: value for key, value in config.items() if value is not None} | filled)
    assert read.zero_optimization_stage == stage and read.zero_enabled
    assert read.zero_config.offload_optimizer is None or str(read.zero_config.offload_optimizer.device) == "none"
    assert read.zero_config.gather_16bit_weights_on_model_save == (stage == 3)
