"""Prompts and responses before a model: the prompt's tokens stand in front of the response's, BOS and EOS once."""

import numpy as np
import pytest
from fixtures_models import PLAIN_ENTRY, chat_tokenizer, llama_tokenizer, neox_tokenizer

from pipeline.templates import (
    REWARD_FORMATS,
    as_text,
    conversation,
    format_prompt,
    format_response,
    prompt_token_ids,
    response_text,
    reward_inputs,
)

TOKENIZERS = {"chat": chat_tokenizer(), "llama": llama_tokenizer(), "neox": neox_tokenizer()}
PLAIN = ["llama", "neox"]
DIALOGUE = [
    {"role": "user", "content": "Which colour?"},
    {"role": "assistant", "content": "Yellow."},
    {"role": "user", "content": "Sure?"},
]
PROMPTS = ["Which colour has a lemon?", "ends with a space ", "{braces} and %s", "\nline\n", DIALOGUE]
RESPONSES = ["It is yellow.", " indented", "\n\nnew lines", "", ".", [{"role": "assistant", "content": "as a message"}]]
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


def reward_token_ids(prompt, response, tokenizer, text_format):
    return reward_inputs(prompt, response, tokenizer, text_format)["input_ids"]


@pytest.mark.parametrize("text_format", sorted(REWARD_FORMATS))
@pytest.mark.parametrize("name", TOKENIZERS)
def test_reward_texts_have_bos_and_eos_once(name, text_format):
    tokenizer = TOKENIZERS[name]
    for prompt in PROMPTS:
        for response in RESPONSES:
            assert set(reward_inputs(prompt, response, tokenizer, text_format)) == {"input_ids"}
            ids = reward_token_ids(prompt, response, tokenizer, text_format)
            assert ids[-1] == tokenizer.eos_token_id and ids.count(tokenizer.eos_token_id) == 1
            if name == "llama":
                assert ids[0] == tokenizer.bos_token_id and ids.count(tokenizer.bos_token_id) == 1


@pytest.mark.parametrize(
    ("text_format", "written"),
    [
        ("beaver", "BEGINNING OF CONVERSATION: USER: Why? ASSISTANT:So."),
        ("eurus", "[INST] Why? [/INST] So."),
        ("ultrarm", "Human: Why?\n\nAssistant: So."),
        ("plain", "Why?\n\nSo."),
    ],
)
def test_the_authors_formats(text_format, written):
    tokenizer = TOKENIZERS["llama"]
    expected = [*tokenizer(written)["input_ids"], tokenizer.eos_token_id]
    assert reward_token_ids("Why?", "So.", tokenizer, text_format) == expected
    assert reward_token_ids(conversation("Why?"), "So.", tokenizer, text_format) == expected


def test_a_dialogue_in_a_format_without_turns_is_joined_by_blank_lines():
    tokenizer = TOKENIZERS["llama"]
    text = "[INST] Which colour?\n\nYellow.\n\nSure? [/INST] Yes."
    expected = [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
    assert reward_token_ids(DIALOGUE, "Yes.", tokenizer, "eurus") == expected


def test_a_text_that_ends_with_eos_is_not_given_a_second():
    tokenizer = TOKENIZERS["llama"]
    assert reward_token_ids("Why?", "So.</s>", tokenizer, "beaver").count(tokenizer.eos_token_id) == 1


def test_a_chat_template_of_a_reward_model_has_its_own_bos_and_eos():
    tokenizer = llama_tokenizer()
    tokenizer.chat_template = (
        "{{ bos_token }}{% for message in messages %}{{ message['content'] }}{{ eos_token }}{% endfor %}"
    )
    ids = reward_token_ids("Why?", "So.", tokenizer, "chat_template")
    assert ids.count(tokenizer.bos_token_id) == 1 and ids.count(tokenizer.eos_token_id) == 2
    assert reward_token_ids(DIALOGUE, "Yes.", tokenizer, "chat_template").count(tokenizer.eos_token_id) == 4


def test_a_text_pair_is_two_segments():
    tokenizer = TOKENIZERS["llama"]
    ids = reward_token_ids("Why?", "So.", tokenizer, "text_pair")
    assert ids == tokenizer("Why?", "So.")["input_ids"] and ids.count(tokenizer.bos_token_id) == 1
    assert ids == reward_token_ids(conversation("Why?"), "So.", tokenizer, "text_pair")
    tokenizer = llama_tokenizer(model_input_names=["input_ids", "token_type_ids", "attention_mask"])
    inputs = reward_inputs("Why?", "So.", tokenizer, "text_pair")
    assert set(inputs) == {"input_ids", "token_type_ids"} and set(inputs["token_type_ids"]) == {0, 1}


def test_an_unknown_format_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match="one of chat_template, text_pair, beaver, eurus, ultrarm, plain, not 'llama'"):
        reward_token_ids("Why?", "So.", TOKENIZERS["llama"], "llama")
