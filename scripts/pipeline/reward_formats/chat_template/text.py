"""The chat template of the tokenizer, with whatever end it has; it gets the turns of a dialogue as they are."""

import re
from datetime import date

from pipeline.jobs.io import InputError
from pipeline.models.templates import conversation

ARCHITECTURES = ()
# Of templates that write the day's date, so that a text scores the same on every day. They ask for it by a function,
# for which none of ours can stand: transformers hands templates plain values alone.
TODAY = date(2024, 7, 26)
ASKED = re.compile(r"""strftime_now\(\s*(['"])(.*?)\1\s*\)""")


def tokens(prompt, answer: str, tokenizer) -> dict[str, list[int]]:
    """Token ids of the prompt's messages and the answer.

    Raises:
        InputError: the tokenizer has no chat template.
    """
    template = tokenizer.chat_template
    if template is None:
        raise InputError("text_format chat_template: the reward model's tokenizer has no chat template")
    dated = None  # of several named templates the tokenizer chooses itself
    if isinstance(template, str):
        dated = ASKED.sub(lambda found: repr(TODAY.strftime(found[2])), template)
    messages = [*conversation(prompt), {"role": "assistant", "content": answer}]
    found = tokenizer.apply_chat_template(messages, chat_template=dated, return_dict=True)
    return {"input_ids": found["input_ids"]}
