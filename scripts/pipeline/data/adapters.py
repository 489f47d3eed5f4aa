"""Adapters: the rows of a source, in its own schema, become (prompt, chosen, rejected).

An adapter takes a batch as an arrow table and a counter of dropped rows, and returns the pairs as a table with the
columns prompt, chosen and rejected. All three are text, or all three are lists of messages {role, content}: dialogues
(hh_rlhf always, plain where the source has them) are messages, with `prompt` ending at the user's turn and `chosen`
and `rejected` holding what the assistant says to it. That is the conversational format of TRL's DPOTrainer. Prompts
carry no model's template.

Further columns, where the source has what they hold: `score_margin` (float64, the score of the chosen response minus
that of the rejected), `completions` (lists of text, all responses to the prompt, by which a row may be too long) and
`bt_prob` (float64, as in the source).

Rows that hold no usable pair are dropped with a reason: `no_preference` (a tie, or no label), `prompts_differ` or
`malformed` (the row lacks what the adapter needs, e.g. it has not four completions). A column of the wrong type is an
`InputError`.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns.pairs import PAIR_COLUMNS
from pipeline.data.columns import (
    MESSAGES,
    TEXT,
    flat_number_field,
    flat_text_field,
    is_list,
    is_zero_or_one,
    list_column,
    message_rows,
    missing,
    number_column,
    text_column,
    text_field,
)
from pipeline.jobs.io import InputError

Convert = Callable[[pa.Table, Counter], pa.Table]


@dataclass(frozen=True)
class Adapter:
    """How the rows of one source are read.

    Attributes:
        contents: columns that must be there and hold no nulls.
        labels: columns that must be there; a null means that there is no preference.
        convert: (table of these columns, counter of dropped rows, which it adds to) -> table of pairs.
    """

    contents: tuple[str, ...]
    labels: tuple[str, ...]
    convert: Convert

    @property
    def columns(self) -> list[str]:
        """All columns that the source must have."""
        return [*self.contents, *self.labels]


def adapter_for(source: str, preference: str | None = None, relabel: bool = False) -> Adapter:
    """The adapter of a source.

    Args:
        source: its name.
        preference: helpful (default) or harmless; matters to pku only.
        relabel: whether labels are to be drawn from the column bt_prob, which plain can have.

    Raises:
        InputError: there is no such source or preference.
    """
    if source == "pku":
        label = PKU_LABELS.get(preference or "helpful")
        if label is None:
            raise InputError(f"preference: {preference!r} is unknown; it must be one of {', '.join(PKU_LABELS)}")
        return Adapter(("prompt", "response_0", "response_1"), (label,), partial(pku, label=label))
    if source == "plain" and relabel:
        return Adapter((*PAIR_COLUMNS, "bt_prob"), (), plain)
    if source not in ADAPTERS:
        raise InputError(f"source: {source!r} is unknown; it must be one of pku, {', '.join(ADAPTERS)}")
    return ADAPTERS[source]


# The published names: better_response_id is the more helpful response, safer_response_id the less harmful one.
PKU_LABELS = {"helpful": "better_response_id", "harmless": "safer_response_id"}


def pku(table: pa.Table, dropped: Counter, label: str) -> pa.Table:
    """PKU-SafeRLHF: prompt, response_0, response_1 and `label`, the number (0 or 1) of the preferred response."""
    table = _drop(table, missing(number_column(table, label)), "no_preference", dropped)
    table = _drop(table, pc.invert(is_zero_or_one(number_column(table, label))), "malformed", dropped)
    first, second = text_column(table, "response_0"), text_column(table, "response_1")
    return _preferred(text_column(table, "prompt"), first, second, pc.equal(number_column(table, label), 0))


def webgpt(table: pa.Table, dropped: Counter) -> pa.Table:
    """webgpt_comparisons: question.full_text, answer_0, answer_1; the higher of score_0 and score_1 is preferred."""
    first, second = number_column(table, "score_0"), number_column(table, "score_1")
    unscored = pc.or_(missing(first), missing(second))
    table = _drop(table, pc.or_kleene(unscored, pc.equal(first, second)), "no_preference", dropped)
    table = _drop(table, pc.is_null(text_field(table, "question", "full_text")), "malformed", dropped)
    first_wins = pc.greater(number_column(table, "score_0"), number_column(table, "score_1"))
    prompt = text_field(table, "question", "full_text")
    pairs = _preferred(prompt, text_column(table, "answer_0"), text_column(table, "answer_1"), first_wins)
    margin = pc.abs(pc.subtract(number_column(table, "score_0"), number_column(table, "score_1")))
    return pairs.append_column("score_margin", margin)


def summarize(table: pa.Table, dropped: Counter) -> pa.Table:
    """summarize_from_feedback, comparisons: info {subreddit, title, post}, two summaries {text}, choice (0 or 1).

    Rows about news articles, which the source's validation split has, come without a post and count as malformed.
    """
    table = _drop(table, missing(number_column(table, "choice")), "no_preference", dropped)
    table = _drop(table, pc.invert(is_zero_or_one(number_column(table, "choice"))), "malformed", dropped)
    for field in ("subreddit", "title", "post"):
        table = _drop(table, pc.is_null(text_field(table, "info", field)), "malformed", dropped)
    table = _drop(table, pc.not_equal(pc.list_value_length(list_column(table, "summaries")), 2), "malformed", dropped)
    texts = flat_text_field(table, "summaries", "text")
    incomplete = pc.or_(pc.is_null(texts[0::2]), pc.is_null(texts[1::2]))
    table = _drop(table, incomplete, "malformed", dropped)
    texts = flat_text_field(table, "summaries", "text")
    parts = ["SUBREDDIT: r/", text_field(table, "info", "subreddit"), "\nTITLE: ", text_field(table, "info", "title")]
    parts += ["\nPOST: ", text_field(table, "info", "post"), "\nTL;DR:"]
    joined = [pa.scalar(part, TEXT) if isinstance(part, str) else part for part in parts]
    prompt = pc.binary_join_element_wise(*joined, pa.scalar("", TEXT))
    return _preferred(prompt, texts[0::2], texts[1::2], pc.equal(number_column(table, "choice"), 0))


def ultrafeedback(table: pa.Table, dropped: Counter) -> pa.Table:
    """UltraFeedback: instruction and four completions {response, overall_score}; the highest against the lowest.

    Among equal scores the first completion is taken; rows whose highest and lowest score tie carry no preference.
    """
    table = _drop(table, pc.not_equal(pc.list_value_length(list_column(table, "completions")), 4), "malformed", dropped)
    complete = pc.and_(
        pc.is_valid(flat_text_field(table, "completions", "response")),
        pc.is_finite(pc.fill_null(flat_number_field(table, "completions", "overall_score"), float("nan"))),
    )
    incomplete = ~complete.to_numpy(zero_copy_only=False).reshape(-1, 4).all(axis=1)
    table = _drop(table, pa.array(incomplete), "malformed", dropped)
    scores = flat_number_field(table, "completions", "overall_score").to_numpy().reshape(-1, 4)
    tied = scores.max(axis=1, initial=-np.inf) == scores.min(axis=1, initial=np.inf)
    table, scores = _drop(table, pa.array(tied), "no_preference", dropped), scores[~tied]
    responses = flat_text_field(table, "completions", "response")
    first = 4 * np.arange(len(table))
    highest, lowest = (first + best for best in (scores.argmax(axis=1), scores.argmin(axis=1)))
    return pa.table(
        {
            "prompt": text_column(table, "instruction"),
            "chosen": responses.take(pa.array(highest)),
            "rejected": responses.take(pa.array(lowest)),
            "score_margin": scores.ravel()[highest] - scores.ravel()[lowest],
            "completions": pa.LargeListArray.from_arrays(4 * np.arange(len(table) + 1), responses),
        }
    )


def hh_rlhf(table: pa.Table, dropped: Counter) -> pa.Table:
    """hh-rlhf: chosen and rejected are whole dialogues; the pair is what each says after its last "Assistant:"."""
    prompts, chosen, rejected = [], [], []
    dialogues = zip(text_column(table, "chosen").to_pylist(), text_column(table, "rejected").to_pylist(), strict=True)
    for chosen_dialogue, rejected_dialogue in dialogues:
        prompt, chosen_response = split_dialogue(chosen_dialogue)
        other_prompt, rejected_response = split_dialogue(rejected_dialogue)
        if prompt is None or other_prompt is None:
            dropped["malformed"] += 1
        elif prompt != other_prompt:
            dropped["prompts_differ"] += 1
        else:
            prompts.append(prompt)
            chosen.append([{"role": "assistant", "content": chosen_response}])
            rejected.append([{"role": "assistant", "content": rejected_response}])
    return pa.table({"prompt": prompts, "chosen": chosen, "rejected": rejected}, schema=pair_schema(MESSAGES))


_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


def split_dialogue(dialogue: str) -> tuple[list[dict[str, str]] | None, str]:
    """Cut a dialogue of "\\n\\nHuman: …\\n\\nAssistant: …" turns at its last "\\n\\nAssistant:".

    Returns:
        (prompt, response): the messages before the cut, turns of one speaker in a row joined, and the stripped text
        after it. The prompt is None where the dialogue does not go from a user's turn to the assistant's.
    """
    head, _, response = ("\n\n" + dialogue.lstrip()).rpartition("\n\nAssistant:")
    before, *turns = _TURN.split(head)
    messages = []
    for name, text in zip(turns[::2], turns[1::2], strict=True):
        if messages and messages[-1]["role"] == _ROLES[name]:
            messages[-1]["content"] += "\n\n" + text.strip()
        else:
            messages.append({"role": _ROLES[name], "content": text.strip()})
    whole = messages and messages[0]["role"] == messages[-1]["role"] == "user" and not before.strip()
    return (messages if whole and not _TURN.search(response) else None), response.strip()


def plain(table: pa.Table, dropped: Counter) -> pa.Table:
    """prompt, chosen, rejected: all text, or `prompt` a list of messages and the responses messages or text."""
    given = {"bt_prob": number_column(table, "bt_prob")} if "bt_prob" in table.column_names else {}
    if not is_list(table["prompt"].type):
        return pa.table({name: text_column(table, name) for name in PAIR_COLUMNS} | given)
    rows = {"prompt": message_rows(table, "prompt")}
    for name in ("chosen", "rejected"):
        if is_list(table[name].type):
            rows[name] = message_rows(table, name)
        else:
            texts = text_column(table, name).to_pylist()
            rows[name] = [[{"role": "assistant", "content": text}] for text in texts]
    usable = [None not in row for row in zip(*rows.values(), strict=True)]
    dropped["malformed"] += len(usable) - sum(usable)
    pairs = pa.table(rows, schema=pair_schema(MESSAGES))
    for name, values in given.items():
        pairs = pairs.append_column(name, values)
    return pairs.filter(pa.array(usable, pa.bool_()))


ADAPTERS = {
    "ultrafeedback": Adapter(("instruction", "completions"), (), ultrafeedback),
    "hh_rlhf": Adapter(("chosen", "rejected"), (), hh_rlhf),
    "summarize": Adapter(("info", "summaries"), ("choice",), summarize),
    "webgpt": Adapter(("question", "answer_0", "answer_1"), ("score_0", "score_1"), webgpt),
    "plain": Adapter(tuple(PAIR_COLUMNS), (), plain),
    "world": Adapter(tuple(PAIR_COLUMNS), (), plain),
}


def pair_schema(type_: pa.DataType) -> pa.Schema:
    """The schema of pairs whose prompt, chosen and rejected are all of `type_` (TEXT or MESSAGES)."""
    return pa.schema([(name, type_) for name in PAIR_COLUMNS])


def _preferred(prompt: pa.Array, first: pa.Array, second: pa.Array, first_wins: pa.Array) -> pa.Table:
    chosen, rejected = pc.if_else(first_wins, first, second), pc.if_else(first_wins, second, first)
    return pa.table({"prompt": prompt, "chosen": chosen, "rejected": rejected})


def _drop(table: pa.Table, mask: pa.Array, reason: str, dropped: Counter) -> pa.Table:
    keep = pc.invert(pc.fill_null(mask, True))
    dropped[reason] += len(table) - (pc.sum(keep).as_py() or 0)
    return table.filter(keep)
