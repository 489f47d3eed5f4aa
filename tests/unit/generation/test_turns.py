"""Prompts of several turns: each is asked after the policy's own answers."""

import pandas as pd
import torch
from fixtures_models import chat_tokenizer, cpu_device, trunk_config
from transformers import AutoModelForCausalLM

from pipeline.columns.responses import RESPONSE_COLUMNS
from pipeline.generation.prompts import read_prompts
from pipeline.generation.responses import generate_responses
from pipeline.generation.turns import answer_prompts, turn_seed
from pipeline.jobs.io import write_parquet

DECODING = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "max_new_tokens": 6}
FRAME = pd.DataFrame(
    {
        "prompt_id": ["a", "b", "c"],
        "prompt": ["What is red?", "What is old?", "What is big?"],
        "further": [["And blue?"], [], ["And small?", "And so?"]],
        "category": ["x", None, "y"],
    }
)


def test_each_turn_follows_the_policys_own_answer_and_columns_are_those_of_responses(tmp_path):
    torch.manual_seed(5)
    tokenizer = chat_tokenizer()
    models = AutoModelForCausalLM.from_config(trunk_config("qwen2", tokenizer)).eval(), tokenizer
    named = {"seed": 7, "device": cpu_device(4), "path": ""}
    found = answer_prompts(DECODING, {}, FRAME, *models, **named, kept=tmp_path / "kept")
    assert list(found.columns) == [*RESPONSE_COLUMNS, "category"] and found["category"].dropna().tolist() == ["x", "y"]
    assert found["prompt_id"].tolist() == ["a", "b", "c"]
    first = generate_responses(DECODING, {}, FRAME, *models, 7, cpu_device(4))
    roles = [[turn["role"] for turn in prompt] for prompt in found["prompt"]]
    assert roles == [["user", "assistant", "user"], ["user"], ["user", "assistant", "user", "assistant", "user"]]
    assert [prompt[1]["content"] for prompt in found["prompt"][[0, 2]]] == first["response"][[0, 2]].tolist()
    assert found["response"][1] == first["response"][1]
    second = pd.DataFrame({"prompt_id": ["a", "c"], "prompt": [found["prompt"][0], found["prompt"][2][:3]]})
    again = generate_responses(DECODING, {}, second, *models, turn_seed(7, 2), cpu_device(4))
    assert found["response"][0] == again["response"][0]
    assert found["prompt"][2][3]["content"] == again["response"][1]
    pd.testing.assert_frame_equal(answer_prompts(DECODING, {}, FRAME, *models, **named, kept=tmp_path / "kept"), found)
    write_parquet(found, tmp_path / "responses.parquet")


def test_a_set_of_one_turn_is_answered_like_a_split(tmp_path):
    torch.manual_seed(5)
    tokenizer = chat_tokenizer()
    models = AutoModelForCausalLM.from_config(trunk_config("qwen2", tokenizer)).eval(), tokenizer
    split = FRAME[["prompt_id", "prompt"]]
    write_parquet(split.assign(chosen="c", rejected="r"), tmp_path / "split.parquet")
    pd.testing.assert_frame_equal(read_prompts(tmp_path / "split.parquet"), split)
    named = {"seed": 7, "device": cpu_device(4), "path": ""}
    found = answer_prompts(DECODING, {}, split, *models, **named, kept=tmp_path / "kept")
    pd.testing.assert_frame_equal(found, generate_responses(DECODING, {}, split, *models, 7, cpu_device(4)))
