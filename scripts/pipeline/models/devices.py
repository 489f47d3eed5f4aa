"""What a device entry means for torch: device, precision, attention and batch sizes.

A device entry says machine matters only (see config/devices.yaml): nothing in it makes a result stale.
"""

import argparse
import importlib.util
import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pipeline.config.entries import read_entries
from pipeline.config.global_batch import batch_sizes, split_batch
from pipeline.config.schemas.devices import AUTO
from pipeline.jobs.gathering import own_torch_device
from pipeline.jobs.io import InputError
from pipeline.jobs.memory import keep_freed_blocks, return_large_blocks
from pipeline.jobs.processes import processes

ROOT = Path(__file__).resolve().parents[3]
SWITCHES = ("share_prompt", "kernels", "tf32", "dataloader_workers", "generation_cache")


@dataclass(frozen=True)
class Device:
    """A resolved device.

    Attributes:
        name: the entry's name.
        type: "cpu" or "cuda".
        dtype: of the weights outside training and of autocast in training.
        attention: transformers' attn_implementation.
        batch_sizes: rows per device and step, by stage; "auto" where as many as fit are to be.
        description: for records, such as the GPU's own name.
        server_url: where an OpenAI-compatible server for the decoding backend server is, if any.
        checkpoint_seconds: between two checkpoints of a training.
        activation_checkpointing: "auto", "always" or "never", see config/devices.yaml.
        side_by_side: jobs on this machine at a time, which share its memory.
        share_prompt, kernels, tf32, dataloader_workers, generation_cache: see config/README.md.
    """

    name: str
    type: str
    dtype: torch.dtype
    attention: str
    batch_sizes: dict[str, int | str]
    description: str
    server_url: str | None = None
    checkpoint_seconds: float = 300
    activation_checkpointing: str = AUTO
    side_by_side: int = 1
    share_prompt: bool = False
    kernels: bool = False
    tf32: bool = False
    dataloader_workers: int = 0
    generation_cache: str = "dynamic"

    def model_kwargs(self) -> dict:
        """For from_pretrained of a model that is only read."""
        return {"dtype": self.dtype, "attn_implementation": self.attention}

    @property
    def torch_device(self) -> str:
        """The torch device of this process: of several on CUDA each has its own."""
        return own_torch_device(self.type)

    def record(self) -> dict:
        """What was chosen, for records: name, type, dtype, attention, processes, description; switches if any is on."""
        chosen = {"name": self.name, "type": self.type, "dtype": str(self.dtype).removeprefix("torch.")}
        chosen |= {"attention": self.attention, "processes": processes()[1], "description": self.description}
        return chosen | ({"switches": self.switches} if self.switches else {})

    @property
    def switches(self) -> list[str]:
        """What is on of that by which values may differ in their last digits, or which responses are sampled."""
        on = [name for name in ("share_prompt", "kernels", "tf32") if getattr(self, name)]
        return on + ([f"generation_cache {self.generation_cache}"] if self.cache_implementation else [])

    @property
    def cache_implementation(self) -> str | None:
        """Transformers' name of the cache of generation, None where it is its usual one."""
        return None if self.generation_cache == "dynamic" else self.generation_cache

    def finds_rows(self, stage: str) -> bool:
        """Whether the batch size of a stage is to be found: as many rows as fit."""
        return self.batch_sizes[stage] == AUTO

    def checkpoints_activations(self, stage: str) -> bool:
        """Whether layers are computed again in the backward pass, as long as no row was found not to fit otherwise."""
        if self.activation_checkpointing == AUTO:
            return self.type == "cuda" and not self.finds_rows(stage)
        return self.activation_checkpointing == "always"

    def training_kwargs(self, stage: str, global_batch_size: int, count: int | None = None) -> dict:
        """Precision and batch arguments of a TRL trainer, the global batch split over processes and steps.

        Where the rows are to be found it is one, until `pipeline.training.fitting` knows better.

        Args:
            count: how many processes there are; as this job was launched when None.

        Raises:
            InputError: the global batch is no multiple of the per-device batch times processes.
        """
        count = processes()[1] if count is None else count
        rows, name = self.batch_sizes[stage], f"device {self.name}"
        per_device, accumulation = split_batch(rows, global_batch_size, count, stage, name)
        return {
            "per_device_train_batch_size": per_device,
            "gradient_accumulation_steps": accumulation,
            "bf16": self.type == "cuda" and self.dtype == torch.bfloat16,
            "fp16": self.type == "cuda" and self.dtype == torch.float16,
            "use_cpu": self.type == "cpu",
            "activation_checkpointing": self.checkpoints_activations(stage),
            "dataloader_pin_memory": self.type == "cuda",
            "dataloader_num_workers": self.dataloader_workers,
            **({"tf32": True} if self.tf32 else {}),
        }


def resolve_device(name: str, entry: dict) -> Device:
    """The device that an entry names, on this machine.

    Precision `auto` is float32 on a CPU, bfloat16 on a GPU of compute capability 8.0 and above, else float16.

    Raises:
        InputError: the entry wants CUDA, a precision or an attention that this machine does not have.
    """
    has_cuda = torch.cuda.is_available()
    if entry["accelerator"] == "cuda" and not has_cuda:
        raise InputError(f"device {name}: it needs a CUDA device and torch sees none; use the device auto or cpu")
    kind = "cuda" if has_cuda and entry["accelerator"] != "cpu" else "cpu"
    capability = torch.cuda.get_device_capability() if kind == "cuda" else None
    precision = entry["precision"]
    if precision == "auto":
        precision = "fp32" if kind == "cpu" else "bf16" if capability >= (8, 0) else "fp16"
    if kind == "cuda" and precision == "bf16" and capability < (8, 0):
        raise InputError(f"device {name}: compute capability {capability} has no bf16; use precision fp16 or auto")
    attention = "sdpa" if entry["attention"] == "auto" else entry["attention"]
    if attention == "flash_attention_2":
        needs = f"device {name}: FlashAttention-2 needs"
        if capability is None or capability < (8, 0):
            raise InputError(f"{needs} compute capability 8.0 or above; use attention sdpa")
        if precision == "fp32":
            raise InputError(f"device {name}: FlashAttention-2 has no fp32; use precision bf16, fp16 or auto")
        if importlib.util.find_spec("flash_attn") is None:
            raise InputError(f"{needs} the package flash-attn; use attention sdpa")
    if entry["tf32"] and (capability is None or capability < (8, 0)):
        raise InputError(f"device {name}: tf32 needs CUDA of compute capability 8.0 or above; leave it off")
    return Device(
        name=name,
        type=kind,
        dtype={"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision],
        attention=attention,
        batch_sizes=dict(entry["per_device_batch_size"]),
        description=torch.cuda.get_device_name() if kind == "cuda" else "cpu",
        server_url=entry.get("server_url"),
        checkpoint_seconds=entry["checkpoint_seconds"],
        activation_checkpointing=entry["activation_checkpointing"],
        **{name: entry[name] for name in SWITCHES},
    )


def device_from_arguments(arguments: argparse.Namespace, model: dict | None = None) -> Device:
    """The device that the arguments name, and torch set to the number of threads that they ask for.

    Args:
        model: the model's entry, where it tells whether the model is loaded or trained from scratch.
    """
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = named_device(arguments.device)
    if device.type == "cpu" and processes()[1] > 1:
        os.environ["ACCELERATE_USE_CPU"] = "true"  # else it takes the processes for those of GPUs
    loaded = arguments.side_by_side > 0 and "architecture" not in (model or {})
    sizes = batch_sizes({"per_device_batch_size": device.batch_sizes}, loaded)
    if device.type == "cpu" and AUTO in sizes.values():
        return_large_blocks()
    elif device.type == "cpu" and not loaded:
        keep_freed_blocks()
    return replace(device, batch_sizes=sizes, side_by_side=max(arguments.side_by_side, 1))


def named_device(name: str) -> Device:
    """The device of an entry of config/devices.yaml.

    Raises:
        InputError: there is no such entry, or this machine is no such device.
    """
    entries = read_entries("devices", {}, ROOT, "config/devices.yaml")
    if name not in entries:
        raise InputError(f"--device {name}: config/devices.yaml has {', '.join(entries)}")
    return resolve_device(name, entries[name])
