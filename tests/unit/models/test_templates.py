"""Prompts and responses before a model: the prompt's tokens stand in front of the response's, BOS and EOS once."""

import numpy as np
import pytest
from fixtures_models import PLAIN_ENTRY
from fixtures_texts import DIALOGUE, PROMPTS, RESPONSES, TOKENIZERS

from pipeline.models.templates import (
    as_text,
    conversation,
    format_prompt,
    format_response,
    prompt_token_ids,
    response_text,
)

PLAIN = ["llama", "neox"]
TEMPLATES = ["Human: {prompt}\n\nAssistant: ", "[INST] {prompt} [/INST] ", "Q: {prompt}\nA:", "{prompt}  "]


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_prompts_tokens_are_a_prefix(name, template):
    tokenizer, entry = TOKENIZERS[name], {"plain_template": template}
    for prompt in PROMPTS:
        start = prompt_token_ids(prompt, tokenizer, entry)
        for response in RESPONSES:
            formatted = format_response(response, tokenizer, entry)
            if name == "chat":
                messages = [*format_prompt(prompt, tokenizer, entry), *formatted]
                whole = tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"]
            else:
                whole = tokenizer(format_prompt(prompt, tokenizer, entry) + formatted + tokenizer.eos_token)[
                    "input_ids"
                ]
            assert whole[: len(start)] == start, (prompt, response)
            assert response_text(response) in tokenizer.decode(whole, skip_special_tokens=True)
            assert whole[-1] == tokenizer.eos_token_id and len(whole) > len(start)
            if name == "llama":
                assert whole.count(tokenizer.bos_token_id) == 1 == start.count(tokenizer.bos_token_id)


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_template_is_filled_in(name):
    tokenizer = TOKENIZERS[name]
    assert format_prompt("What?", tokenizer, PLAIN_ENTRY) == "Human: What?\n\nAssistant:"
    assert format_response("This.", tokenizer, PLAIN_ENTRY) == " This."
    written = "Human: Which colour?\n\nAssistant: Yellow.\n\nHuman: Sure?\n\nAssistant:"
    assert format_prompt(DIALOGUE, tokenizer, PLAIN_ENTRY) == written
    # Text and a dialogue of one turn are the same.
    assert format_prompt(conversation("What?"), tokenizer, PLAIN_ENTRY) == "Human: What?\n\nAssistant:"


def test_a_chat_template_gets_messages():
    tokenizer = TOKENIZERS["chat"]
    assert format_prompt("What?", tokenizer, {}) == [{"role": "user", "content": "What?"}]
    assert format_prompt(DIALOGUE, tokenizer, {}) == DIALOGUE and format_prompt(DIALOGUE, tokenizer, {}) is not DIALOGUE
    assert format_response("This.", tokenizer, {}) == [{"role": "assistant", "content": "This."}]
    text = tokenizer.decode(prompt_token_ids(DIALOGUE, tokenizer, {}))
    assert text == "<|user|>Which colour?<|assistant|>Yellow.<|end|><|user|>Sure?<|assistant|>"


def test_cells_of_a_parquet_file_are_text_or_messages():
    assert as_text("text") == "text"
    assert as_text(np.array(DIALOGUE, dtype=object)) == DIALOGUE
    assert response_text("text") == "text" and response_text(DIALOGUE[:2]) == "Yellow."
