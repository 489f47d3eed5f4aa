"""Responses by transformers: what a checkpoint's generation config may change of them, and what not."""

import json
import shutil

import pandas as pd
import pytest
import torch
from fixtures_models import chat_tokenizer, cpu_device, trunk_config
from transformers import AutoModelForCausalLM

from pipeline.generation.responses import generate_responses
from pipeline.models.checkpoints import load_policy, load_tokenizer, save_checkpoint

PROMPTS = [f"What is {word}?" for word in ("red", "old", "big", "sour", "small", "yellow")]
FRAME = pd.DataFrame({"prompt": PROMPTS, "prompt_id": list("abcdef")})
DECODING = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 12}
ASKED = {
    **{"temperature": 0.2, "top_k": 1, "repetition_penalty": 3.0, "encoder_repetition_penalty": 3.0},
    **{"no_repeat_ngram_size": 1, "encoder_no_repeat_ngram_size": 1, "prompt_lookup_num_tokens": 3},
    **{"dola_layers": "low", "token_healing": True, "min_new_tokens": 11, "suppress_tokens": [*range(100, 200)]},
}


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """Folder of a tiny policy whose responses end by 40 of its 320 tokens."""
    torch.manual_seed(5)
    tokenizer = chat_tokenizer()
    folder = tmp_path_factory.mktemp("policy") / "model"
    model = AutoModelForCausalLM.from_config(trunk_config("qwen2", tokenizer))
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, *range(40, 80)]
    save_checkpoint(model, tokenizer, folder)
    return folder


def respond(folder, do_sample):
    tokenizer, model = load_tokenizer(str(folder)), load_policy(str(folder)).eval()
    return generate_responses(DECODING | {"do_sample": do_sample}, {}, FRAME, model, tokenizer, 7, cpu_device(4))


@pytest.mark.parametrize("do_sample", [True, False])
def test_a_checkpoint_s_generation_config_gives_the_ends_and_nothing_else(policy, tmp_path, do_sample):
    asking = shutil.copytree(policy, tmp_path / "asking")
    file = asking / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | ASKED))
    plain, other = respond(policy, do_sample), respond(asking, do_sample)
    pd.testing.assert_frame_equal(plain, other)
    ends = [ids[-1] for ids, finished in zip(plain["response_ids"], plain["finished"], strict=True) if finished]
    assert len(ends) < len(plain) or do_sample
    assert plain["response_tokens"].nunique() > 2 and set(ends) & set(range(40, 80))
