"""Chat templates as users bring them: one end, system turns, thoughts, dates, the same in training and sampling."""

from datetime import date
from pathlib import Path

import pytest
import trl
from fixtures_templates import CHATML, DATED, OPENS, STRICT, THINKS, marked_tokenizer
from jinja2 import TemplateError
from transformers import GenerationConfig

from pipeline.config.schemas import models as schemas
from pipeline.jobs.io import InputError
from pipeline.models.manners import DATE, end_token_ids, manner_of, rendered, template_notes
from pipeline.models.templates import answer_of, format_prompt, pair_token_ids, prompt_token_ids

SYSTEM = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
DIALOGUE = [*SYSTEM, {"role": "assistant", "content": "So."}, {"role": "user", "content": "Sure?"}]
OFF = {"chat_template_kwargs": {"enable_thinking": False}}
ANSWERS = ["Yes.", "\n\nIt is.", " indented", "It is blue.\n"]
TEMPLATES = {"chatml": (CHATML, {}), "strict": (STRICT, {}), "opens": (OPENS, {}), "off": (THINKS, OFF)}
TEMPLATES |= {"thinks": (THINKS, {}), "dated": (DATED, {"date": "2026-02-03"})}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_response_follows_the_prompt_that_the_policy_answers_to_and_ends_with_one_token(name):
    template, entry = TEMPLATES[name]
    tokenizer = marked_tokenizer(template)
    for prompt in ("Why?", SYSTEM, DIALOGUE):
        start, responses = pair_token_ids(prompt, ANSWERS, tokenizer, entry)
        assert start == prompt_token_ids(prompt, tokenizer, entry)
        for ids, answer in zip(responses, ANSWERS, strict=True):
            assert tokenizer.convert_ids_to_tokens(ids[-1]) == "<|im_end|>"
            assert tokenizer.decode(ids).count("<|im_end|>") == 1
            assert answer.strip() == answer_of(tokenizer.decode(ids[:-1]), tokenizer, entry).strip()


def test_what_a_template_writes_behind_the_end_is_no_part_of_a_response():
    tokenizer = marked_tokenizer(CHATML)
    whole = tokenizer.apply_chat_template([SYSTEM[1], {"role": "assistant", "content": "So."}])["input_ids"]
    start, [ids] = pair_token_ids("Why?", ["So."], tokenizer, {})
    assert start + ids == whole[:-1] and tokenizer.decode(whole[-1:]) == "\n"


def test_a_template_without_an_end_gets_the_end_of_sequence():
    tokenizer = marked_tokenizer("{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}")
    _, [ids] = pair_token_ids("Why?", ["assistant: So."], tokenizer, {})
    assert ids[-1] == tokenizer.eos_token_id


def test_a_sample_ends_with_any_end_that_is_known():
    class Model:
        generation_config = GenerationConfig(eos_token_id=[7, 2])

    tokenizer = marked_tokenizer(CHATML)  # whose end of sequence is another than the template's
    assert end_token_ids(Model, tokenizer, {}) == sorted({2, 4, 7})
    Model.generation_config = GenerationConfig(eos_token_id=None)
    assert end_token_ids(Model, marked_tokenizer(None), {}) == [2]


def test_a_system_text_goes_where_the_template_has_a_place_for_it():
    assert format_prompt(SYSTEM, marked_tokenizer(CHATML), {}) == SYSTEM
    moved = format_prompt(DIALOGUE, marked_tokenizer(STRICT), {})
    assert moved == [{"role": "user", "content": "Be brief.\n\nWhy?"}, *DIALOGUE[2:]] and len(DIALOGUE) == 4
    silent = "{% for m in messages %}{% if m.role != 'system' %}{{ m.content + '<|im_end|>' }}{% endif %}{% endfor %}"
    assert format_prompt(SYSTEM, marked_tokenizer(silent), {})[0]["content"] == "Be brief.\n\nWhy?"
    with pytest.raises(TemplateError, match="roles must alternate"):
        prompt_token_ids([SYSTEM[1], SYSTEM[1]], marked_tokenizer(STRICT), {})


def test_a_base_models_template_holds_for_messages_and_names_other_roles():
    tokenizer, entry = marked_tokenizer(None), {"plain_template": "### Ask:\n{prompt}\n\n### Answer:\n"}
    assert format_prompt([SYSTEM[1]], tokenizer, entry) == format_prompt("Why?", tokenizer, entry)
    written = "System: Be brief.\n\n### Ask:\nWhy?\n\n### Answer:\nSo.\n\n### Ask:\nSure?\n\n### Answer:\n"
    assert format_prompt(DIALOGUE, tokenizer, entry) == written
    opened = [{"role": "assistant", "content": "Hello {you}."}, SYSTEM[1]]
    assert format_prompt(opened, tokenizer, entry).startswith("### Answer:\nHello {you}.\n\n### Ask:\nWhy?")


def test_thoughts_are_taken_off_where_the_template_knows_them():
    thinks, opens, plain = (marked_tokenizer(template) for template in (THINKS, OPENS, CHATML))
    assert answer_of("<think>\nWell.\n</think>\n\nYes.", thinks, {}) == "Yes."
    assert answer_of("Yes.", thinks, {}) == "Yes." and answer_of("Well.</think>Yes.", opens, {}) == "Yes."
    assert answer_of("<think>\nWell", thinks, {}) == "" == answer_of("Well", opens, {})  # that never ended
    assert answer_of("Yes, </think> is a mark.", thinks, OFF) == "Yes, </think> is a mark."
    thought = "<think>a</think>b"
    assert answer_of(thought, thinks, {"strip_thoughts": False}) == thought == answer_of(thought, plain, {})
    assert answer_of(thought, plain, {"strip_thoughts": True}) == "b"


def test_the_day_is_the_entrys_and_never_today():
    tokenizer = marked_tokenizer(DATED)
    assert rendered(SYSTEM, tokenizer, {}).startswith("26 Jul 2024 ") and DATE == "2024-07-26" == schemas.DATE
    assert rendered(SYSTEM, tokenizer, {"date": "2026-02-03"}).startswith("03 Feb 2026 ")
    assert f"{date.today():%d %b %Y}" in tokenizer.apply_chat_template(SYSTEM, tokenize=False)


def test_a_template_that_writes_a_prompt_otherwise_before_an_answer_is_refused():
    other = marked_tokenizer(CHATML.replace("assistant\n' }}{% endif", "assistant now\n' }}{% endif"))
    with pytest.raises(InputError, match=r"mine: its chat template writes a prompt in another way.*_kwargs"):
        pair_token_ids("Why?", ["So."], other, {"path": "mine"})
    silent = marked_tokenizer(None, eos=None)
    with pytest.raises(InputError, match="mine: its tokenizer has no end of sequence"):
        pair_token_ids("Why?", ["So."], silent, {"path": "mine", "plain_template": "{prompt}"})


def test_what_is_to_be_known_of_a_template_is_said():
    notes = {name: template_notes(marked_tokenizer(t), {"path": "m", **e}) for name, (t, e) in TEMPLATES.items()}
    said = {name: " ".join(lines) for name, lines in notes.items()}
    assert said["chatml"] == r"m: responses end with '<|im_end|>'; the template's '\n' behind it is no part of them"
    assert "system texts stand before the first user text" in said["strict"]
    assert "its prompts open a thought" in said["opens"] and "puts an empty thought before" in said["thinks"]
    assert "warning" not in said["off"] and "today's date, which is 2026-02-03" in said["dated"]
    assert template_notes(marked_tokenizer(None), {"sft": True}) == []
    [warned] = template_notes(marked_tokenizer(None), {"path": "m", "sft": False})
    assert warned.startswith("warning: m has no chat template, so it is a base model")


@pytest.mark.parametrize(
    ("name", "end", "takes_system", "opens"),
    [
        ("qwen2_5", "<|im_end|>", True, False),
        ("qwen3", "<|im_end|>", True, False),
        ("qwen3_5_think", "<|im_end|>", True, True),
        ("gemma", "<end_of_turn>", False, False),
        ("llama3_2", "<|eot_id|>", True, False),
        ("deepseek_r1_distill", "<｜end▁of▁sentence｜>", True, True),
        ("phi3", "<|end|>", True, False),
    ],
)
def test_published_templates(name, end, takes_system, opens):
    """As TRL's package has them."""
    template = (Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")
    tokenizer = marked_tokenizer(template)
    tokenizer.add_special_tokens({"eos_token": end})
    manner = manner_of(tokenizer, {})
    assert (manner.end, manner.takes_system, manner.opens_thought) == (end, takes_system, opens)
    for prompt in ("Why?", SYSTEM, DIALOGUE):
        start, responses = pair_token_ids(prompt, ["Yes.", "\n\nNo."], tokenizer, OFF)
        assert start == prompt_token_ids(prompt, tokenizer, OFF)
        for ids, answer in zip(responses, ("Yes.", "No."), strict=True):
            assert tokenizer.convert_ids_to_tokens(ids[-1]) == end
            assert answer_of(tokenizer.decode(ids[:-1]), tokenizer, OFF).strip() == answer
