"""Responses from vLLM in this process, where its package is installed and the device is CUDA."""

import importlib.util
from pathlib import Path

from pipeline.generation.sampling import Sampling, request_seed
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
    seeds = [request_seed(sampling.seed, text) for text in sampling.texts]
    found = vllm_responses(sampling.decoding, prompts, sampling.path, sampling.entry, seeds, sampling.device)
    return dict(enumerate(found))


def vllm_responses(
    decoding: dict, prompts: list[list[int]], path: str, entry: dict, seeds: list[int], device: Device
) -> list[list[int]]:
    """Token ids of a response per prompt, its end of sequence included.

    Args:
        decoding: do_sample, temperature, top_p, max_new_tokens.
        prompts: token ids.
        path: the policy, hub id or folder; an adapter is loaded as one on the base model that it names.
        seeds: one for each prompt.

    Raises:
        InputError: vLLM is not installed, or the device is not CUDA.
    """
    if importlib.util.find_spec("vllm") is None:
        raise InputError(
            "decoding backend vllm needs the package vllm, which is not installed: install it, or use the backend "
            "transformers, or server with a vLLM that runs elsewhere"
        )
    if device.type != "cuda":
        raise InputError(f"decoding backend vllm needs a CUDA device, {device.name} is {device.type}; use transformers")
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest

    local_folder(path)
    adapter = adapter_config(path, entry) if is_adapter(path, entry) else {}
    options = {"enable_lora": True, "max_lora_rank": adapter["r"]} if adapter else {}
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
    parameters = [SamplingParams(**chosen, max_tokens=decoding["max_new_tokens"], seed=seed) for seed in seeds]
    outputs = model.generate(
        [{"prompt_token_ids": ids} for ids in prompts],
        parameters,
        lora_request=LoRARequest("policy", 1, str(Path(path).resolve()) if Path(path).is_dir() else path)
        if adapter
        else None,
    )
    return [list(output.outputs[0].token_ids) for output in outputs]
