"""Rollouts by vLLM: TRL's `VLLMGeneration` with a seed for each response, and adapters that stay unmerged."""

import copy
import hashlib
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from accelerate.utils import is_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper, TrainableTokensWrapper
from trl.generation.vllm_generation import VLLMGeneration

from sail.generation import cut_at_end
from sail.internals import colocated_model, engine_options, gathered, weights_for
from sail.sharding import is_sharded, whole_parameters

REQUESTS = 64  # to a server at a time
VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # that TRL sets for vLLM


class Engine(VLLMGeneration):
    """A vLLM engine that samples with the policy's weights as they are.

    What differs from its parent: each response has its own seed; adapters are merged in copies, so that the weights of
    the model, which are its reference's, stay bit for bit; and colocated on a CPU it takes the weights as vLLM's layers
    need them there.

    Args:
        model, accelerator, processing_class: of the trainer.
        args: a `sail.SAILConfig` with `use_vllm`.
        ends: the tokens that end a response.

    Raises:
        ImportError: vLLM is not installed.
        ValueError: the model or the way it is trained is not one whose weights the engine can take.
    """

    def __init__(self, model: Any, accelerator: Any, processing_class: Any, args: Any, ends: list[int]):
        _check(model, accelerator, args.vllm_mode)
        self.seed, self.ends = args.seed, ends
        self.draw = ""
        self.synced: int | None = None
        length, known = args.vllm_max_model_length, getattr(model.config, "max_position_embeddings", None)
        if length is None and args.max_length is not None:
            length = min(args.max_length + args.rollout_max_new_tokens, known or args.max_length * 2)
        half = {"bf16": torch.bfloat16, "fp16": torch.float16}
        self.dtype = half.get(accelerator.mixed_precision, next(model.parameters()).dtype)
        super().__init__(
            model,
            accelerator,
            processing_class,
            mode=args.vllm_mode,
            server_base_url=args.vllm_server_base_url,
            server_host=args.vllm_server_host,
            server_port=args.vllm_server_port,
            server_timeout=args.vllm_server_timeout,
            group_port=args.vllm_group_port,
            tensor_parallel_size=args.vllm_tensor_parallel_size,
            gpu_memory_utilization=args.vllm_gpu_memory_utilization,
            max_model_length=length,
            max_num_seqs=args.rollout_batch_size,
            enable_sleep_mode=args.vllm_enable_sleep_mode,
            model_impl=args.vllm_model_impl,
            temperature=args.rollout_temperature,
            top_p=args.rollout_top_p,
            max_completion_length=args.rollout_max_new_tokens,
            generation_kwargs={"stop_token_ids": ends},
        )

    @property
    def together(self) -> bool:
        """Whether all processes must ask at once: they share the parameters, the server or an engine."""
        several = self.accelerator.num_processes > 1
        return several and (self.mode == "server" or self.tensor_parallel_size > 1 or is_sharded(self.accelerator))

    def respond(self, prompts: list[list[int]], step: int, refill: int) -> tuple[list[list[int]], list[list[float]]]:
        """A response to each prompt, by the weights as they are; equal prompts have independent ones.

        Args:
            prompts: token ids.
            step, refill: the optimizer step, and what tells its refills apart: the same ones draw the same.

        Returns:
            Token ids of each response up to and with its first end, and the log-probabilities of these tokens in the
            distribution that they were drawn from, temperature and top_p applied.
        """
        if self.synced != step:
            self.sync_weights()
            self.synced = step
        self.draw = f"{self.seed}:{step}:{refill}:{self.accelerator.process_index // self.tensor_parallel_size}"
        _, sampled, logps, _ = self.generate(prompts, None, 1)
        responses = [cut_at_end(list(ids), self.ends) for ids in sampled]
        return responses, [[tokens[0] for tokens in row[: len(ids)]] for ids, row in zip(responses, logps, strict=True)]

    def response_seeds(self, prompts: list[list[int]]) -> list[int]:
        """A seed for each prompt, from the run, the step, the refill, the prompt and how often it came before."""
        met: dict[tuple[int, ...], int] = {}
        seeds = []
        for ids in prompts:
            number = met[tuple(ids)] = met.get(tuple(ids), -1) + 1
            digest = hashlib.sha256(f"{self.draw}:{ids}:{number}".encode()).digest()
            seeds.append(int.from_bytes(digest[:8], "big") >> 1)
        return seeds

    def sync_weights(self):
        """Give the engine the model's weights as they are."""
        if self.mode == "server" or self.accelerator.device.type != "cpu":
            return super().sync_weights()
        # vLLM's layers keep packed copies of their weights on a CPU: the parent's way does not reach them.
        from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding

        runner = colocated_model(self)
        runner.reload_weights(weights_iterator=weights_for(self))
        for layer in runner.get_model().modules():
            if isinstance(layer, VocabParallelEmbedding):
                layer.quant_method.process_weights_after_loading(layer)  # a head that is tied to the embedding
        self.llm.reset_prefix_cache()

    def _init_vllm(self):
        options = {
            "dtype": str(self.dtype).removeprefix("torch."),
            "enable_prefix_caching": True,
            "generation_config": "vllm",  # no decoding of the checkpoint's own
            "skip_tokenizer_init": True,
        }
        if self.accelerator.device.type == "cpu":
            options["enforce_eager"] = True
        with engine_options(**options), _undisturbed(self.accelerator.device):
            super()._init_vllm()
        if self.mode == "colocate":
            self.llm.generate = _with_own_seeds(self.llm.generate, self.response_seeds)
        elif self.accelerator.is_main_process:
            self.vllm_client.generate = _one_by_one(self.vllm_client.generate, self.response_seeds)

    def _iter_named_params(self):
        if not is_peft_model(self.model):
            yield from super()._iter_named_params()
            return
        with gathered(self), whole_parameters(self.model, self.accelerator):
            yield from merged_weights(self.model)


@contextmanager
def _undisturbed(device: torch.device) -> Iterator[None]:
    """Keep what is set for the whole process when vLLM starts: random states, torch's threads, variables for vLLM.

    With the variables a trainer that is made later would take itself for one of several processes.
    """
    threads, python, arrays = torch.get_num_threads(), random.getstate(), np.random.get_state()
    variables = {name: os.environ.get(name) for name in VARIABLES}
    on_gpu = device.type == "cuda" and torch.cuda.is_available()
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        yield
    random.setstate(python)
    np.random.set_state(arrays)
    torch.set_num_threads(threads)
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _check(model: Any, accelerator: Any, mode: str) -> None:
    """Raise what the engine cannot be made for."""
    if getattr(model, "is_quantized", False):
        raise ValueError("use_vllm: the engine takes no quantized weights; load the model without, or unset use_vllm")
    if is_peft_model(model) and model.active_peft_config.is_prompt_learning:
        raise ValueError("use_vllm: virtual tokens cannot be merged into the engine's weights; unset use_vllm")
    if any(isinstance(module, TrainableTokensWrapper) for module in model.modules()):
        raise ValueError("use_vllm: trained tokens (trainable_token_indices) do not reach the engine; unset use_vllm")
    if accelerator.device.type != "cpu":
        return
    reason = "needs CUDA: TRL sends weights to the server by NCCL"
    if mode == "server":
        raise ValueError(f'vllm_mode="server" {reason}; on a CPU set vllm_mode="colocate"')
    if is_sharded(accelerator):
        raise ValueError("use_vllm with FSDP2 or ZeRO-3 needs CUDA; on a CPU leave the parameters whole")


def _with_own_seeds(generate, seeds_of):
    """The `generate` of a colocated engine, with a seed for each prompt."""

    def seeded(prompts, sampling_params, **kwargs):
        each = []
        for seed in seeds_of([prompt["prompt_token_ids"] for prompt in prompts]):
            own = copy.copy(sampling_params)
            own.seed = seed
            each.append(own)
        return generate(prompts, sampling_params=each, **kwargs)

    return seeded


def _one_by_one(generate, seeds_of):
    """The `generate` of a server's client, with a request for each prompt: a request has one seed."""

    def seeded(prompts, features=None, generation_kwargs=None, **kwargs):
        def ask(prompt, seed):
            return generate(prompts=[prompt], generation_kwargs={**(generation_kwargs or {}), "seed": seed}, **kwargs)

        with ThreadPoolExecutor(REQUESTS) as pool:
            answers = list(pool.map(ask, prompts, seeds_of(prompts)))
        return {key: [row for answer in answers for row in answer[key]] for key in answers[0]}

    return seeded


@torch.no_grad()
def merged_weights(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights of a PEFT model, its active adapters merged in, under the names of the model without adapters.

    One layer at a time is merged in place, copied and put back, bit for bit, before anything of it is given out.
    """
    base, layers = model.get_base_model(), {}  # type: ignore[var-annotated]
    copies: dict[str, dict] = {}
    for name, module in base.named_modules():
        if isinstance(module, BaseTunerLayer) and not any(name.startswith(f"{outer}.") for outer in layers):
            layers[name] = module  # of layers within layers the outermost
    for name, parameter in base.named_parameters():
        owner = next((outer for outer in layers if name.startswith(f"{outer}.")), None)
        if owner is not None:
            if owner not in copies:
                copies = {owner: _merged_layer(layers[owner])}
            inner = name.removeprefix(f"{owner}.")
            if inner in copies[owner]:
                yield f"{owner}.{inner}".replace(".base_layer", ""), copies[owner][inner]
        elif (plain := _saved_name(base, name, model.active_adapters)) is not None:
            yield plain, parameter.data


def _merged_layer(layer: Any) -> dict[str, torch.Tensor]:
    """Copies of a layer's own parameters, by their names within it, with its adapters merged in."""
    wrappers = [module for module in layer.modules() if isinstance(module, BaseTunerLayer)]
    adapters = {id(p) for module in wrappers for p in _adapter_parameters(module)}
    own = {name: p for name, p in layer.named_parameters() if id(p) not in adapters}
    before = {name: parameter.data.clone() for name, parameter in own.items()}
    try:
        for module in wrappers:
            module.merge()
        return {name: parameter.data.clone() for name, parameter in own.items()}
    finally:
        for name, parameter in own.items():
            parameter.data.copy_(before[name])
        for module in wrappers:
            module.merged_adapters.clear()


def _adapter_parameters(layer: Any) -> Iterator[torch.nn.Parameter]:
    """What a tuner's layer adds to the layer that it wraps."""
    for name in layer.adapter_layer_names:
        held = getattr(layer, name, None)
        if isinstance(held, torch.nn.Module):
            yield from held.parameters()


def _saved_name(base: torch.nn.Module, name: str, adapters: list[str]) -> str | None:
    """The plain name of a parameter outside the tuner's layers; None for one that another takes the place of."""
    parts = name.split(".")
    for i in range(len(parts)):
        if isinstance(base.get_submodule(".".join(parts[:i])), AuxiliaryTrainingWrapper):
            kind, adapter = parts[i], parts[i + 1]
            if kind == "original_module" or adapter not in adapters:
                return None
            return ".".join(parts[:i] + parts[i + 2 :])
    return name
