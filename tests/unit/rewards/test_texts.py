"""Prompts and responses before a reward model: its authors' text, BOS and EOS once, cut at the beginning."""

from bisect import bisect_left

import pytest
from fixtures_models import llama_tokenizer
from fixtures_texts import DIALOGUE, PROMPTS, RESPONSES, TOKENIZERS

from pipeline.jobs.io import InputError
from pipeline.jobs.parts import part_names
from pipeline.models.templates import conversation
from pipeline.rewards.texts import default_format, reward_text

REFUSES_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "<|{{ m.role }}|>{{ m.content }}{{ eos_token }}{% endfor %}"
)
WRITTEN = {
    "beaver": ("BEGINNING OF CONVERSATION: USER: Why? ASSISTANT:So.", True),
    "eurus": ("[INST] Why? [/INST] So.", False),
    "ultrarm": ("Human: Why?\n\nAssistant: So.", False),
    "plain": ("Why?\n\nSo.", True),
}


def reward_token_ids(prompt, response, tokenizer, text_format):
    return reward_text(prompt, response, tokenizer, text_format).inputs["input_ids"]


@pytest.mark.parametrize("text_format", WRITTEN)
@pytest.mark.parametrize("name", TOKENIZERS)
def test_reward_texts_have_bos_once_and_eos_where_their_format_has_it(name, text_format):
    tokenizer = TOKENIZERS[name]
    for prompt in PROMPTS:
        for response in RESPONSES:
            text = reward_text(prompt, response, tokenizer, text_format)
            assert set(text.inputs) == {"input_ids"} and not text.truncated
            ids = text.inputs["input_ids"]
            turns = 2 if text_format == "beaver" and prompt is DIALOGUE else 1  # of the assistant, each with its end
            assert ids.count(tokenizer.eos_token_id) == WRITTEN[text_format][1] * turns
            assert not WRITTEN[text_format][1] or ids[-1] == tokenizer.eos_token_id
            if name == "llama":
                assert ids[0] == tokenizer.bos_token_id and ids.count(tokenizer.bos_token_id) == 1


@pytest.mark.parametrize("text_format", WRITTEN)
def test_the_authors_formats(text_format):
    tokenizer, (written, ends) = TOKENIZERS["llama"], WRITTEN[text_format]
    expected = [*tokenizer(written)["input_ids"], *([tokenizer.eos_token_id] if ends else [])]
    assert reward_token_ids("Why?", "So.", tokenizer, text_format) == expected
    assert reward_token_ids(conversation("Why?"), "So.", tokenizer, text_format) == expected


def test_every_format_is_chosen_by_its_models():
    names = {"LlamaForScore": "beaver", "EurusRewardModel": "eurus", "LlamaRewardModel": "ultrarm"}
    assert {architecture: default_format(architecture, True) for architecture in names} == names
    assert default_format("LlamaForSequenceClassification", True) == "chat_template"
    assert default_format("DebertaV2ForSequenceClassification", False) == "text_pair"


def test_a_dialogue_in_a_format_without_turns_is_joined_by_blank_lines():
    tokenizer = TOKENIZERS["llama"]
    text = "[INST] Which colour?\n\nYellow.\n\nSure? [/INST] Yes."
    expected = tokenizer(text)["input_ids"]
    assert reward_token_ids(DIALOGUE, "Yes.", tokenizer, "eurus") == expected


SYSTEM_DIALOGUE = [{"role": "system", "content": "Be brief."}, *DIALOGUE]
IN_TURNS = {
    "beaver": "BEGINNING OF CONVERSATION: USER: Be brief.\n\nWhich colour? ASSISTANT:Yellow.</s>"
    "USER: Sure? ASSISTANT:Yes.",
    "eurus": "[INST] Be brief.\n\nWhich colour?\n\nYellow.\n\nSure? [/INST] Yes.",
    "ultrarm": "Human: Be brief.\n\nWhich colour?\n\nYellow.\n\nSure?\n\nAssistant: Yes.",
    "plain": "Be brief.\n\nWhich colour?\n\nYellow.\n\nSure?\n\nYes.",
}


@pytest.mark.parametrize("text_format", part_names("reward_formats"))
def test_every_format_on_a_dialogue_of_three_turns_with_a_system_text(text_format):
    tokenizer = llama_tokenizer()
    if text_format == "chat_template":
        tokenizer.chat_template = REFUSES_SYSTEM
        text = "<|user|>Be brief.\n\nWhich colour?</s><|assistant|>Yellow.</s><|user|>Sure?</s><|assistant|>Yes.</s>"
        expected = tokenizer(text, add_special_tokens=False)["input_ids"]
    elif text_format == "text_pair":
        expected = tokenizer("Be brief.\n\nWhich colour?\n\nYellow.\n\nSure?", "Yes.")["input_ids"]
    else:
        ends = [tokenizer.eos_token_id] if WRITTEN[text_format][1] else []
        expected = tokenizer(IN_TURNS[text_format])["input_ids"] + ends
    assert reward_token_ids(SYSTEM_DIALOGUE, "Yes.", tokenizer, text_format) == expected


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
    inputs = reward_text("Why?", "So.", tokenizer, "text_pair").inputs
    assert set(inputs) == {"input_ids", "token_type_ids"} and set(inputs["token_type_ids"]) == {0, 1}


def test_an_unknown_format_is_refused_with_those_that_there_are():
    with pytest.raises(InputError, match="one of beaver, eurus, ultrarm, chat_template, text_pair, plain, not 'llama'"):
        reward_token_ids("Why?", "So.", TOKENIZERS["llama"], "llama")
    with pytest.raises(InputError, match="the reward model's tokenizer has no chat template"):
        reward_token_ids("Why?", "So.", TOKENIZERS["llama"], "chat_template")


def test_a_bos_in_the_text_is_not_a_second_one():
    tokenizer = TOKENIZERS["llama"]
    assert reward_token_ids("<s>Why?", "So.", tokenizer, "plain").count(tokenizer.bos_token_id) == 1


# the limit

LONG = " ".join(f"word{i}" for i in range(300))


@pytest.mark.parametrize("text_format", [*WRITTEN, "text_pair", "chat_template"])
@pytest.mark.parametrize("limit", [64, 200])
def test_a_long_prompt_loses_its_beginning(text_format, limit):
    tokenizer = TOKENIZERS["chat"] if text_format == "chat_template" else TOKENIZERS["llama"]
    text = reward_text(LONG, "It is yellow.", tokenizer, text_format, limit)
    ids = text.inputs["input_ids"]
    assert text.truncated and limit - 4 <= len(ids) <= limit
    # What is left is exactly the text of a shorter prompt: the format, BOS and EOS are whole.
    decoded = tokenizer.decode(ids, skip_special_tokens=True)
    assert "word299" in decoded and "It is yellow." in decoded and "word0 " not in decoded

    def of_start(i):
        return reward_token_ids(LONG[i:], "It is yellow.", tokenizer, text_format)

    first = bisect_left(range(len(LONG)), -len(ids) - 2, key=lambda i: -len(of_start(i)))  # the longer ones are before
    kept = next(LONG[i:] for i in range(first, len(LONG)) if of_start(i) == ids)
    assert LONG.endswith(kept) and len(kept) < len(LONG)
    same = reward_text("Why?", "It is yellow.", tokenizer, text_format, limit)
    assert not same.truncated and same == reward_text("Why?", "It is yellow.", tokenizer, text_format)


def test_a_text_at_its_limit_is_whole():
    tokenizer = TOKENIZERS["llama"]
    ids = reward_token_ids(LONG, "So.", tokenizer, "beaver")
    assert not reward_text(LONG, "So.", tokenizer, "beaver", len(ids)).truncated
    assert reward_text(LONG, "So.", tokenizer, "beaver", len(ids) - 1).truncated


def test_a_long_dialogue_loses_its_first_turns():
    tokenizer = TOKENIZERS["chat"]
    turns = [{"role": ("user", "assistant")[i % 2], "content": f"turn{i} " * 8} for i in range(9)]
    text = reward_text(turns, "Yes.", tokenizer, "chat_template", 150)
    decoded = tokenizer.decode(text.inputs["input_ids"])
    assert text.truncated and len(text.inputs["input_ids"]) <= 150
    assert decoded.startswith("<|user|>") and decoded.endswith("<|assistant|>Yes.<|end|>")
    assert "turn8" in decoded and "turn0" not in decoded and turns[0]["content"].startswith("turn0")


def test_a_response_that_is_too_long_alone_loses_its_end():
    tokenizer = TOKENIZERS["llama"]
    text = reward_text("Why?", LONG, tokenizer, "beaver", 100)
    decoded = tokenizer.decode(text.inputs["input_ids"])
    assert text.truncated and 96 <= len(text.inputs["input_ids"]) <= 100
    assert "ASSISTANT:word0 word1" in decoded and "Why?" not in decoded and "word299" not in decoded
    assert text.inputs["input_ids"][-1] == tokenizer.eos_token_id
    with pytest.raises(InputError, match="max_length 2: the format beaver needs"):
        reward_text("Why?", "So.", tokenizer, "beaver", 2)
