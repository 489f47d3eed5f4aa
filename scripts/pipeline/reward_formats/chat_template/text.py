"""The chat template of the tokenizer, with whatever end it has; it gets the turns of a dialogue as they are."""

from pipeline.jobs.io import InputError
from pipeline.models.templates import conversation

ARCHITECTURES = ()


def tokens(prompt, answer: str, tokenizer) -> dict[str, list[int]]:
    """Token ids of the prompt's messages and the answer.

    Raises:
        InputError: the tokenizer has no chat template.
    """
    if tokenizer.chat_template is None:
        raise InputError("text_format chat_template: the reward model's tokenizer has no chat template")
    messages = [*conversation(prompt), {"role": "assistant", "content": answer}]
    return {"input_ids": tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"]}
