"""How a chat template puts things, as seen on examples: system turns, the end of a response, thoughts, dates."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

THOUGHT, THOUGHT_END = "<think>", "</think>"
CLOCK = "strftime_now"  # the function that transformers gives to chat templates
DATE = "2024-07-26"  # of templates that write today's, where the entry has none
QUESTION, ANSWER, SYSTEM = "What is it?", "An answer.", "A rule to keep."


@dataclass(frozen=True)
class Manner:
    """How a chat template puts things.

    Attributes:
        takes_system: whether it has a place for a system turn.
        end: the token that ends a response, as text; None where there is none.
        behind: what it writes behind that, which is left out.
        missing_end: the end of sequence, where the template itself writes no end.
        opens_thought: whether a prompt ends in an opened thought.
        empties_thought: whether an answer without thoughts begins with an empty one that is no part of the prompt.
        thinks: whether it knows thoughts.
        writes_date: whether it writes today's date.
    """

    takes_system: bool
    end: str | None
    behind: str
    missing_end: str
    opens_thought: bool
    empties_thought: bool
    thinks: bool
    writes_date: bool


def rendered(turns: list[dict], tokenizer: PreTrainedTokenizerBase, entry: dict, generation: bool = False) -> str:
    """Messages as the text that the chat template makes of them, with the entry's variables and its date.

    Args:
        generation: whether the assistant's answer is to follow.
    """
    variables = template_variables(tokenizer, entry)
    return tokenizer.apply_chat_template(turns, add_generation_prompt=generation, tokenize=False, **variables)


def template_variables(tokenizer: PreTrainedTokenizerBase, entry: dict) -> dict:
    """What the chat template is given besides messages: the entry's variables, and its date where it writes one."""
    variables = dict(entry.get("chat_template_kwargs", {}))
    if CLOCK in str(tokenizer.chat_template):
        variables["chat_template"] = _dated(tokenizer.get_chat_template(), entry.get("date", DATE))
    return variables


def _dated(template: str, day: str) -> str:
    """A chat template in whose text the function that gives today's date gives that of a day."""
    today = date.fromisoformat(day)
    parts = [f"replace('%{code}', {today.strftime(f'%{code}')!r})" for code in "aAbBdejmuyYHIMSp"]
    return f"{{% macro {CLOCK}(form) %}}{{{{ form | {' | '.join(parts)} }}}}{{% endmacro %}}{{{{ '' }}}}{template}"


def manner_of(tokenizer: PreTrainedTokenizerBase, entry: dict) -> Manner:
    """How the tokenizer's chat template puts things with the entry's variables.

    Raises:
        jinja2.TemplateError: it refuses a question with its answer.
    """
    variables = json.dumps({key: entry[key] for key in ("chat_template_kwargs", "date") if key in entry})
    return _manner(tokenizer, str(tokenizer.chat_template), variables)


def end_token_ids(model, tokenizer: PreTrainedTokenizerBase, entry: dict) -> list[int]:
    """The tokens that end a response: of the tokenizer, the model's generation config and the chat template."""
    configured = model.generation_config.eos_token_id
    ends = {tokenizer.eos_token_id, *(configured if isinstance(configured, list) else [configured])}
    if tokenizer.chat_template is not None and (end := manner_of(tokenizer, entry).end):
        ends.add(tokenizer.convert_tokens_to_ids(end))
    return sorted(ends - {None})


def without_system(turns: list[dict]) -> list[dict]:
    """Messages whose system texts stand before the first text of the user."""
    texts = [turn["content"] for turn in turns if turn["role"] == "system"]
    rest = [turn for turn in turns if turn["role"] != "system"]
    first = next((i for i, turn in enumerate(rest) if turn["role"] == "user"), None)
    if first is None:
        return turns
    texts.append(rest[first]["content"])
    rest[first] = rest[first] | {"content": "\n\n".join(texts)}
    return rest


@lru_cache(maxsize=64)
def _manner(tokenizer: PreTrainedTokenizerBase, template: str, variables: str) -> Manner:
    entry = json.loads(variables)
    asked = [{"role": "user", "content": QUESTION}]
    start = rendered(asked, tokenizer, entry, True)
    head, _, tail = rendered([*asked, {"role": "assistant", "content": ANSWER}], tokenizer, entry).rpartition(ANSWER)
    special = {str(tokenizer.convert_ids_to_tokens(i)) for i in tokenizer.added_tokens_decoder}
    special |= set(tokenizer.all_special_tokens)
    written = [token for token in special if token.strip() and token in tail]
    # The one that stands first, the longest of those that begin there.
    end = min(written, key=lambda token: (tail.index(token), -len(token)), default=None)
    behind = tail[tail.index(end) + len(end) :] if end else tail if not tail.strip() else ""
    opens = start.rstrip().endswith(THOUGHT)
    return Manner(
        takes_system=_takes_system(tokenizer, entry),
        end=end or tokenizer.eos_token,
        behind=behind,
        missing_end="" if end else tokenizer.eos_token or "",
        opens_thought=opens,
        empties_thought=not opens and THOUGHT in head[len(start) :] and head.startswith(start),
        thinks=THOUGHT_END in template,
        writes_date=CLOCK in template,
    )


def _takes_system(tokenizer: PreTrainedTokenizerBase, entry: dict) -> bool:
    """Whether a system turn is neither refused nor left out."""
    from jinja2 import TemplateError

    turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
    try:
        return SYSTEM in rendered(turns, tokenizer, entry)
    except TemplateError:
        return False


def template_notes(tokenizer: PreTrainedTokenizerBase, entry: dict) -> list[str]:
    """What is to be known of how a model's prompts and responses are put, a sentence each."""
    name = entry.get("path", "the model")
    if tokenizer.chat_template is None:
        if entry.get("sft") is False:
            return [
                f"warning: {name} has no chat template, so it is a base model that nothing has taught to answer, and "
                "sft: false lets policies start from it as it is"
            ]
        return []
    manner, found = manner_of(tokenizer, entry), []
    left_out = f"; the template's {manner.behind!r} behind it is no part of them" if manner.behind else ""
    found.append(f"{name}: responses end with {manner.end!r}{left_out}")
    if not manner.takes_system:
        found.append(f"{name}: its chat template has no system role; system texts stand before the first user text")
    if manner.writes_date:
        found.append(f"{name}: its chat template writes today's date, which is {entry.get('date', DATE)} here")
    if manner.opens_thought or manner.empties_thought:
        what = "its prompts open a thought" if manner.opens_thought else "it puts an empty thought before an answer"
        found.append(
            f"warning: {name}: {what}, which answers without thoughts train it to leave empty; "
            "chat_template_kwargs: {enable_thinking: false} says so in the prompt, where the template knows that"
        )
    return found
