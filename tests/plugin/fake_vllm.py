"""What stands for vLLM where it is not installed: an engine and a server's client that hold a real tiny model.

Their weights are those that they are given, and a response is drawn token by token by its request's own seed.
"""

import sys
from types import ModuleType, SimpleNamespace

import torch
from transformers import AutoModelForCausalLM
from trl.generation import vllm_generation


def sample(model, ids: list[int], seed: int, most: int, ends: list[int], temperature: float) -> tuple[list, list]:
    """Token ids and their log-probabilities."""
    draw, out, logps = torch.Generator().manual_seed(seed), [], []
    while len(out) < most and (not out or out[-1] not in ends):
        with torch.no_grad():
            scores = (model(torch.tensor([ids + out])).logits[0, -1] / temperature).log_softmax(-1)
        token = torch.multinomial(scores.exp(), 1, generator=draw).item()
        out.append(token)
        logps.append(scores[token].item())
    return out, logps


class FakeLLM:
    """`vllm.LLM`, as far as TRL uses it."""

    made: list = []  # noqa: RUF012

    def __init__(self, model, **options):
        self.options, self.requests, self.resets = options, [], 0
        self.model = AutoModelForCausalLM.from_pretrained(model).eval()
        torch.manual_seed(options["seed"])  # as vLLM does
        runner = SimpleNamespace(
            model=SimpleNamespace(load_weights=self.load), reload_weights=self.load, get_model=lambda: self.model
        )
        executor = SimpleNamespace(driver_worker=SimpleNamespace(model_runner=runner))
        self.llm_engine = SimpleNamespace(model_executor=executor)
        self.made.append(self)

    def load(self, weights_iterator):
        parameters = dict(self.model.named_parameters())
        for name, weight in weights_iterator:
            parameters[name].data.copy_(weight)

    def reset_prefix_cache(self):
        self.resets += 1

    def generate(self, prompts, sampling_params, use_tqdm):
        outputs = []
        for prompt, own in zip(prompts, sampling_params, strict=True):
            self.requests.append((prompt["prompt_token_ids"], own.seed))
            ids, logps = sample(
                *(self.model, prompt["prompt_token_ids"], own.seed),
                *(own.max_tokens, own.stop_token_ids, own.temperature),
            )
            each = [{token: SimpleNamespace(rank=1, logprob=logp)} for token, logp in zip(ids, logps, strict=True)]
            outputs.append(
                SimpleNamespace(
                    prompt_token_ids=prompt["prompt_token_ids"],
                    outputs=[SimpleNamespace(token_ids=ids, logprobs=each)],
                )
            )
        return outputs


class FakeClient:
    """TRL's `VLLMClient`: keeps what it is asked and sent."""

    def __init__(self, **where):
        self.where, self.calls, self.weights = where, [], {}

    def init_communicator(self, device):
        self.calls.append(("communicator", str(device)))

    def update_named_params(self, metadata, parameters):
        self.calls.append(("weights", metadata))
        self.weights = {name: weight.clone() for name, weight in parameters}

    def reset_prefix_cache(self):
        self.calls.append(("reset",))

    def generate(self, prompts, features=None, **parameters):
        self.calls.append(("generate", prompts, parameters))
        (ids,) = prompts
        seed = parameters["generation_kwargs"]["seed"]
        token, end = seed % 50, parameters["generation_kwargs"]["stop_token_ids"][0]
        return {
            "prompt_ids": [ids],
            "completion_ids": [[token, end, token]],
            "logprobs": [[[-1.0], [-2.0], [-3.0]]],
            "logprob_token_ids": [[[token], [end], [token]]],
        }


def install(monkeypatch):
    """Let TRL take these for vLLM."""
    monkeypatch.setattr(vllm_generation, "is_vllm_available", lambda *_, **__: True)
    monkeypatch.setattr(vllm_generation, "LLM", FakeLLM, raising=False)
    monkeypatch.setattr(vllm_generation, "SamplingParams", SimpleNamespace, raising=False)
    monkeypatch.setattr(vllm_generation, "VLLMClient", FakeClient)
    monkeypatch.setattr(FakeLLM, "made", [])
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):  # TRL sets them for vLLM
        monkeypatch.setenv(name, "0")  # so that what is set is taken back
        monkeypatch.delenv(name)
    names = ["vllm", "model_executor", "layers", "vocab_parallel_embedding"]
    for i in range(len(names)):
        monkeypatch.setitem(sys.modules, ".".join(names[: i + 1]), ModuleType(names[i]))
    sys.modules["vllm.model_executor.layers.vocab_parallel_embedding"].VocabParallelEmbedding = type("None_", (), {})
