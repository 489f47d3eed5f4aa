"""Responses from an OpenAI-compatible server: a real `transformers serve` with a tiny random policy."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from fixtures_endpoint import Answer, Endpoint, error
from fixtures_models import chat_tokenizer, cpu_device, trunk_config
from transformers import AutoModelForCausalLM

from pipeline.backends.server.generate import URL, ServedPolicy
from pipeline.backends.vllm.generate import vllm_responses
from pipeline.generation.responses import generate_responses
from pipeline.generation.sampling import request_seed
from pipeline.jobs.io import InputError
from pipeline.jobs.progress import Progress
from pipeline.models.checkpoints import load_tokenizer, save_checkpoint
from pipeline.models.templates import prompt_token_ids

GREEDY = {"do_sample": False, "temperature": 1.0, "top_p": 1.0, "max_new_tokens": 12}
SAMPLE = GREEDY | {"do_sample": True}
FRAME = pd.DataFrame({"prompt": [f"What is {word}?" for word in ("red", "old", "big", "sour", "small")]}).assign(
    prompt_id=list("abcde")
)


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """Folder of a tiny policy with a chat template."""
    torch.manual_seed(5)
    tokenizer = chat_tokenizer()
    folder = tmp_path_factory.mktemp("policy") / "model"
    save_checkpoint(AutoModelForCausalLM.from_config(trunk_config("qwen2", tokenizer)), tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def server():
    """Address of a server that loads the models that it is asked for."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", "--port", str(port), "--device", "cpu"]
    process = subprocess.Popen(
        command, env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://localhost:{port}/health", timeout=2)
                break
            except OSError:
                assert process.poll() is None, "the server ended"
                time.sleep(0.5)
        yield f"http://localhost:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def respond(folder, decoding, url=None, requests=4, seed=7):
    """Responses by a server, or by transformers in this process without one."""
    device = replace(cpu_device(requests), server_url=url)
    tokenizer = load_tokenizer(str(folder))
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    spec = decoding | {"backend": "server" if url else "transformers"}
    return generate_responses(spec, {}, FRAME, model, tokenizer, seed, device, str(folder))


def likeliest_texts(folder, prompt, count):
    """The texts of a prompt's likeliest next tokens."""
    tokenizer, model = load_tokenizer(str(folder)), AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = model(torch.tensor([prompt_token_ids(prompt, tokenizer, {})])).logits[0, -1]
    return {tokenizer.decode([token], skip_special_tokens=True) for token in logits.topk(count).indices.tolist()}


@pytest.mark.slow
def test_greedy_responses_are_those_of_this_process(policy, server):
    served, own = respond(policy, GREEDY, server), respond(policy, GREEDY)
    assert served["response"].tolist() == own["response"].tolist()
    assert served["prompt_id"].tolist() == own["prompt_id"].tolist() and served.columns.equals(own.columns)
    assert served.dtypes.equals(own.dtypes)
    assert served["finished"].tolist() == own["finished"].tolist()


@pytest.mark.slow
def test_a_checkpoint_s_own_decoding_does_not_reach_a_server_s_responses(policy, server, tmp_path):
    asking = shutil.copytree(policy, tmp_path / "asking")
    file = asking / "generation_config.json"
    asked = {"repetition_penalty": 3.0, "no_repeat_ngram_size": 1, "min_length": 400, "num_beams": 3}
    file.write_text(json.dumps(json.loads(file.read_text()) | asked))
    assert respond(asking, GREEDY, server)["response"].tolist() == respond(policy, GREEDY)["response"].tolist()


@pytest.mark.slow
def test_samples_follow_their_seeds_and_the_whole_distribution(policy, server):
    first, again, other = (respond(policy, SAMPLE, server, requests=1, seed=seed) for seed in (7, 7, 8))
    assert first["response"].tolist() == again["response"].tolist() != other["response"].tolist()
    assert first["response"].nunique() == len(FRAME)
    # One token of a nearly uniform distribution over 320: by a server's own top 50 it would always be one of these.
    flat = SAMPLE | {"temperature": 50.0, "max_new_tokens": 1}
    likeliest = [likeliest_texts(policy, prompt, 50) for prompt in FRAME["prompt"]]
    given = [respond(policy, flat, server, seed=seed)["response"] for seed in range(12)]
    others = [text not in texts for responses in given for text, texts in zip(responses, likeliest, strict=True)]
    assert sum(others) / len(others) > 0.2


@pytest.mark.slow
def test_a_policy_that_the_server_cannot_load_is_named(policy, server, tmp_path):
    device = replace(cpu_device(1), server_url=server)
    served = ServedPolicy("nobody/nothing", load_tokenizer(str(policy)), {}, device)
    with pytest.raises(InputError, match=r"localhost:\d+/v1: no response of nobody/nothing to the prompt \"What is"):
        served.respond(GREEDY, ["What is red?"], [1], [1])


def test_a_server_that_does_not_answer_is_not_waited_for_without_end(policy, monkeypatch):
    monkeypatch.setattr("pipeline.backends.server.generate.ATTEMPTS", 2)
    with socket.socket() as closed:
        closed.bind(("localhost", 0))
        url = f"http://localhost:{closed.getsockname()[1]}/v1"
        with pytest.raises(
            InputError, match=r"no response of .* to the prompt .*, 2 attempts at most: Connection error"
        ):
            respond(policy, GREEDY, url)


def test_a_killed_job_asks_for_what_is_not_there_yet(policy, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("pipeline.jobs.partial.SAVE_SECONDS", 0.0)
    monkeypatch.setattr("pipeline.backends.server.generate.Progress", partial(Progress, seconds=0))

    def answer(call):
        body = json.loads(call.data)
        if "generation_config" not in body:  # as `transformers serve` does, it knows no field of vLLM's
            return error(422)
        if fails and "sour" in body["prompt"]:
            return error(403)
        choice = {"index": 0, "finish_reason": "stop", "logprobs": None, "text": f"It is {body['seed']}."}
        content = {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}
        return Answer(json.dumps(content).encode())

    def respond(folder):
        served = ServedPolicy(str(policy), load_tokenizer(str(policy)), {}, replace(cpu_device(1), server_url=url))
        return served.respond(GREEDY, FRAME["prompt"].tolist(), [7, 8, 9, 10, 11], [1], folder)

    fails = True
    with Endpoint(answer) as server:
        url = server.url
        with pytest.raises(InputError, match="no response of"):
            respond(tmp_path)
        fails, before = False, len(server.calls)
        again = respond(tmp_path)
        asked = [json.loads(call.data)["prompt"] for call in server.calls[before:]]
        assert {word for word in ("red", "old", "big", "sour", "small") if word in str(asked)} == {"sour", "small"}
        assert "3 of 5 responses were given before" in capsys.readouterr().out
        assert [json.loads(call.data)["seed"] for call in server.calls[before:]][-2:] == [10, 11]
        assert again == respond(None)
        assert "responses 5/5" in capsys.readouterr().out


def test_the_environment_says_where_the_server_is_before_the_device(policy, monkeypatch):
    tokenizer = load_tokenizer(str(policy))
    device = replace(cpu_device(1), server_url="http://device/v1")
    assert ServedPolicy(str(policy), tokenizer, {}, device).url == "http://device/v1"
    monkeypatch.setenv(URL, "http://environment/v1")
    assert ServedPolicy(str(policy), tokenizer, {}, device).url == "http://environment/v1"
    monkeypatch.delenv(URL)
    with pytest.raises(InputError, match=r"set server_url of the device cpu in config/devices\.yaml, or the"):
        ServedPolicy(str(policy), tokenizer, {}, cpu_device(1))


def test_each_prompt_has_a_seed_of_its_own():
    seeds = {request_seed(seed, prompt) for seed in (1, 2) for prompt in ("a", "b", [{"role": "user", "content": "a"}])}
    assert len(seeds) == 6 and all(0 <= seed < 2**31 for seed in seeds)
    assert request_seed(1, "a") == request_seed(1, "a", 0) != request_seed(1, "a", 1)


def test_vllm_is_asked_for_where_it_is_missing_or_another_device_s(monkeypatch, policy):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    asked = GREEDY, [[1, 2]], str(policy), {}, [1], cpu_device(1), [1]
    with pytest.raises(InputError, match=r"decoding backend vllm needs the package vllm, .* install it, or use the"):
        vllm_responses(*asked)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    engine, lora = SimpleNamespace(LLM=None, SamplingParams=None), SimpleNamespace(LoRARequest=None)
    platforms = SimpleNamespace(current_platform=SimpleNamespace(device_type="cuda"))
    for name, module in {"": engine, ".lora": lora, ".lora.request": lora, ".platforms": platforms}.items():
        monkeypatch.setitem(sys.modules, f"vllm{name}", module)
    with pytest.raises(InputError, match=r"is for cuda here, and the device cpu is cpu; install the other of"):
        vllm_responses(*asked)
