"""Weights held in 4 bits by bitsandbytes, which is an extra: nf4 with double quantisation."""

import importlib.util

import torch

from pipeline.jobs.io import InputError


def four_bit(what: str, dtype: torch.dtype, torch_device: str, **fields):
    """The configuration of transformers that holds a model's weights in 4 bits.

    Args:
        what: wants it, for messages, such as "adapter qlora".
        dtype: that is computed in.
        torch_device: that the model is loaded to.
        fields: further fields of BitsAndBytesConfig.

    Raises:
        InputError: it is a CPU, or bitsandbytes is not installed.
    """
    if torch_device == "cpu":
        raise InputError(f"{what} needs a CUDA device, this one is {torch_device}; leave it out or use one")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(f"{what} needs the package bitsandbytes, which is not installed (envs/requirements-gpu.txt)")
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        **fields,
    )
