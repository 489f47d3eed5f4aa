"""The chat template of the tokenizer, with whatever end it has; it gets the turns of a dialogue.

A system text goes before the user's first where the template has no such role; a template that writes today's date
writes a fixed one.
"""

from pipeline.jobs.io import InputError
from pipeline.models.manners import rendered
from pipeline.models.templates import format_prompt, text_token_ids

ARCHITECTURES = ()


def tokens(prompt, answer: str, tokenizer) -> dict[str, list[int]]:
    """Token ids of the prompt's messages and the answer.

    Raises:
        InputError: the tokenizer has no chat template.
    """
    if tokenizer.chat_template is None:
        raise InputError("text_format chat_template: the reward model's tokenizer has no chat template")
    messages = [*format_prompt(prompt, tokenizer, {}), {"role": "assistant", "content": answer}]
    return {"input_ids": text_token_ids(rendered(messages, tokenizer, {}), tokenizer)}
