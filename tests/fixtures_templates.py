"""Chat templates as users bring them, on a tiny tokenizer, and models that have them."""

import torch
from fixtures_models import SIZES
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL = ["<pad>", "<bos>", "<end>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
# Roles in marks of their own, and a line break behind the end.
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# No system role, and a strict change of roles.
STRICT = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{ '<|im_start|>' + m.role + '\n' + m.content | trim + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# An empty thought before an answer that has none; where thinking is turned off, it belongs to the prompt.
THINKS = (
    "{% for m in messages %}{% set content = m.content.split('</think>')[-1] %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.role == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
# A thought is opened in the prompt and left out before an answer.
OPENS = CHATML.replace("assistant\n' }}{% endif", "assistant\n<think>\n' }}{% endif") + "{# </think> #}"
DATED = "{{ strftime_now('%d %b %Y') + ' ' }}" + CHATML


def marked_tokenizer(template: str | None, eos: str | None = "<end>", **fields) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with the marks of SPECIAL, of which the thoughts' are no special ones."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL[:5], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["What is red?\n\nIt is blue."] * 3, trainer)
    tokenizer.add_tokens(SPECIAL[5:])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token=eos, **{"pad_token": "<pad>", **fields}
    )
    fast.chat_template = template
    return fast


def save_marked(folder, template: str | None, **fields) -> str:
    """A tiny Llama with such a tokenizer in a folder; fields of its config."""
    tokenizer = marked_tokenizer(template)
    torch.manual_seed(0)
    tokens = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    LlamaForCausalLM(LlamaConfig(**{**SIZES, "vocab_size": len(tokenizer), **tokens, **fields})).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
