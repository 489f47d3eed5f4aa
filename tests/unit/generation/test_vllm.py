"""The decoding backends vllm and server with a real vLLM on a CPU, against transformers' greedy decoding."""

import json
import signal
import socket
import subprocess
import time
import urllib.request
from dataclasses import replace

import pandas as pd
import pytest
import torch
from fixtures_models import chat_tokenizer, cpu_device
from fixtures_vllm import run_with_vllm, settings, tiny_llama, vllm_environment  # noqa: F401

from pipeline.generation.responses import generate_responses
from pipeline.models.checkpoints import load_policy, load_tokenizer
from sail.generation import sample_responses

pytestmark = pytest.mark.slow
WORDS = ("red", "old", "big", "sour", "small")
FRAME = pd.DataFrame({"prompt": [f"What is {word}?" for word in WORDS], "prompt_id": list("abcde")})
GREEDY = {"do_sample": False, "temperature": 1.0, "top_p": 1.0, "max_new_tokens": 8}


@pytest.fixture(scope="module")
def policy(vllm_environment, tmp_path_factory):  # noqa: F811
    """Folder of a tiny policy that has a chat template."""
    return tiny_llama(chat_tokenizer(), tmp_path_factory.mktemp("policy") / "model", seed=3)


def test_the_backend_vllm(vllm_environment, policy):  # noqa: F811
    """Greedy responses are transformers', sampled ones follow their seeds, and each ends at any of the ends."""
    model, tokenizer = load_policy(str(policy)).eval(), load_tokenizer(str(policy))
    ends = [tokenizer.eos_token_id, *range(40, 120)]
    command = ("-m", "unit.generation.vllm_respond", str(policy), json.dumps(ends))
    found = json.loads(run_with_vllm(vllm_environment, *command).rpartition("FOUND ")[2].splitlines()[0])
    decoding = {"max_new_tokens": 8, "temperature": 1.0, "top_p": 1.0, "batch_size": 1, "do_sample": False}
    known = {"pad_token_id": tokenizer.pad_token_id, "eos_token_ids": ends}
    assert found["greedy"] == sample_responses(model, found["prompts"], **known, **decoding)
    first, _, second, repeated = found["sampled"]
    assert first == repeated and first != second
    for ids in found["greedy"] + found["sampled"]:
        assert not set(ids[:-1]) & set(ends) and (ids[-1] in ends or len(ids) == 8)


@pytest.fixture(scope="module")
def served(vllm_environment, policy):  # noqa: F811
    """Address of a `vllm serve` that has the policy."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    options = ["--port", str(port), "--dtype", "float32", "--enforce-eager", "--max-num-seqs", "8"]
    command = [vllm_environment / "bin/vllm", "serve", policy, *options]
    process = subprocess.Popen(
        command, env=settings(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for _ in range(300):
            assert process.poll() is None
            try:
                urllib.request.urlopen(f"http://localhost:{port}/health", timeout=2)
                break
            except OSError:
                time.sleep(1)
        yield f"http://localhost:{port}/v1"
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def test_the_backend_server_with_vllm_serve(served, policy):
    """Greedy responses are transformers'; sampled ones are the same again, and others with another seed."""
    model, tokenizer = load_policy(str(policy)).eval(), load_tokenizer(str(policy))
    device = replace(cpu_device(4), server_url=served)

    def respond(decoding, seed, backend="server"):
        spec = decoding | {"backend": backend}
        return generate_responses(spec, {}, FRAME, model, tokenizer, seed, device, str(policy))

    torch.manual_seed(0)
    pd.testing.assert_frame_equal(respond(GREEDY, 1), respond(GREEDY, 1, "transformers"))
    sampled = [respond(GREEDY | {"do_sample": True}, seed) for seed in (1, 1, 2)]
    pd.testing.assert_frame_equal(sampled[0], sampled[1])
    assert sampled[0]["response_ids"].map(list).tolist() != sampled[2]["response_ids"].map(list).tolist()
