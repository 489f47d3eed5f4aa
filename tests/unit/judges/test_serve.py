"""The openai judge against `transformers serve` with tiny models on a CPU."""

import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
import torch
from fixtures_judges import make_judge, pairs
from fixtures_models import chat_tokenizer, trunk_config
from transformers import AutoModelForCausalLM

from pipeline.judges.verdicts import judge_by_model

VERDICT = "SCORES: A=7 B=10"
pytestmark = pytest.mark.slow


def save_model(folder: Path, verdict: bool) -> None:
    """A tiny model that says whatever its random weights say, or one that says VERDICT to everything.

    That one has a token for VERDICT. Its layers add nothing, so the next token depends on the last one alone: VERDICT
    after any other, the end after VERDICT.
    """
    torch.manual_seed(0)
    tokenizer = chat_tokenizer()
    tokenizer.add_tokens([VERDICT])
    config = trunk_config("llama", tokenizer, max_position_embeddings=4096, tie_word_embeddings=False)
    model = AutoModelForCausalLM.from_config(config)
    if verdict:
        said, end = tokenizer.convert_tokens_to_ids(VERDICT), tokenizer.eos_token_id
        with torch.no_grad():
            for layer in model.model.layers:
                layer.self_attn.o_proj.weight.zero_()
                layer.mlp.down_proj.weight.zero_()
            embeddings, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
            embeddings.zero_()
            head.zero_()
            embeddings[:, 0] = 1
            embeddings[said, 0], embeddings[said, 1] = 0, 1
            head[said, 0], head[end, 1] = 1, 1
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folders = {name: tmp_path_factory.mktemp("models") / name for name in ("random", "verdict")}
    for name, folder in folders.items():
        save_model(folder, name == "verdict")
    return folders


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a server that loads the model that a request names."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log"
    command = [Path(sys.executable).parent / "transformers", "serve", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(log.parent)}
    with open(log, "w") as output:
        process = subprocess.Popen([*command, "--device", "cpu"], stdout=output, stderr=output, env=environment)
    try:
        for _ in range(600):
            assert process.poll() is None, log.read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        else:
            raise AssertionError(log.read_text())
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def replies(folder: Path) -> list[tuple]:
    with closing(sqlite3.connect(folder / "PP.sqlite")) as connection:
        query = "select content, returned_model, prompt_tokens, completion_tokens from replies"
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("structured", ["auto", "none"])
def test_a_model_that_gives_verdicts(server, models, tmp_path, structured):
    name = str(models["verdict"])
    spec, service = make_judge("PP", base_url=server, model=name, structured=structured, timeout_seconds=120.0)
    verdicts = judge_by_model(pairs(3), spec, service, tmp_path, "dpr", 1, "chosen")
    assert set(verdicts["status"]) == {"parsed"} and len(verdicts) == 6
    first = verdicts[verdicts["order"] == "ab"]
    assert set(first["score_run"]) == {7} and set(first["score_baseline"]) == {10} and set(first["preference"]) == {0}
    assert set(verdicts.loc[verdicts["order"] == "ba", "preference"]) == {1}
    assert len(replies(tmp_path)) == 6
    for content, model, prompt_tokens, completion_tokens in replies(tmp_path):
        assert content.strip() == VERDICT and model.startswith(name) and prompt_tokens > 300 and completion_tokens >= 1
    assert verdicts["judge_model"].str.startswith(name).all()


def test_a_model_that_babbles_is_unparsed_and_bounded(server, models, tmp_path):
    name = str(models["random"])
    changes = {"model": name, "max_tokens": 8, "max_retries": 1, "max_failed_share": 1.0, "timeout_seconds": 120.0}
    spec, service = make_judge("PP", base_url=server, **changes)
    verdicts = judge_by_model(pairs(2), spec, service, tmp_path, "dpr", 1, "chosen")
    assert set(verdicts["status"]) == {"unparsed"} and verdicts["preference"].isna().all()
    assert len(replies(tmp_path)) == 8 and all(tokens <= 8 for *_, tokens in replies(tmp_path))
