"""Ranked answers: a prompt, and answers with a rank each, the lowest being the best."""

from collections import Counter
from functools import partial
from itertools import pairwise

import pyarrow as pa

from pipeline.data.adapters import Adapter
from pipeline.data.columns import flat_number_field, flat_text_field
from pipeline.data.dialogues import is_dialogue_text, split_dialogue
from pipeline.data.messages import Turns, UnusableError, said
from pipeline.data.pairing import check_prompt, cleaned
from pipeline.data.shapes import as_table, column_turns, each_row, is_text_column
from pipeline.data.tally import FURTHER, note

Ranked = tuple[float, str]


def adapter(spec: dict) -> Adapter:
    """Its `pairs` is extremes (default) or adjacent."""
    return Adapter(("prompt", "answers"), (), partial(pairs, adjacent=spec.get("pairs") == "adjacent"))


def pairs(table: pa.Table, dropped: Counter, adjacent: bool = False) -> pa.Table:
    """prompt (text, or messages) and answers {answer, rank}; the difference of the ranks is the score margin.

    A prompt of turns "\\n\\nHuman: …\\n\\nAssistant: " becomes messages. Answers of one rank make no pair.
    """
    for of_type, field in ((flat_text_field, "answer"), (flat_number_field, "rank")):
        of_type(table, "answers", field)  # raises on another type
    texts = table["prompt"].to_pylist() if is_text_column(table, "prompt") else None
    dialogue = texts is None or any(map(is_dialogue_text, texts))
    turns, answers = column_turns(table, "prompt"), table["answers"].to_pylist()

    def read(row: int, changes: set[str]) -> list[tuple]:
        if texts and is_dialogue_text(texts[row]):
            prompt = _turns(texts[row])
        else:
            prompt = turns(row, changes) if dialogue else texts[row]
        if dialogue:
            check_prompt(prompt)
            prompt = cleaned(prompt)
        found = [
            (prompt, chosen, rejected, worse - better)
            for (better, chosen), (worse, rejected) in _ranked_pairs(answers[row], adjacent)
        ]
        if not found:
            raise UnusableError("no_preference")
        return found

    rows = each_row(len(table), read, dropped)
    kept = [pair for row in rows for pair in row or ()]
    note(dropped, FURTHER, "pairs", len(kept) - sum(row is not None for row in rows))
    if dialogue:
        kept = [(prompt, said(chosen), said(rejected), margin) for prompt, chosen, rejected, margin in kept]
    found = as_table([pair[:3] for pair in kept], dialogue)
    return found.append_column("score_margin", pa.array([pair[3] for pair in kept], pa.float64()))


def _ranked_pairs(answers: list[dict], adjacent: bool) -> list[tuple[Ranked, Ranked]]:
    """Pairs of (rank, text), the better one first.

    Raises:
        UnusableError: an answer lacks its text or rank, or there are not two.
    """
    ranked = [(answer["rank"], answer["answer"]) for answer in answers if answer]
    if len(ranked) < 2 or len(ranked) < len(answers) or any(None in each or each[0] != each[0] for each in ranked):
        raise UnusableError("malformed", "answers without text or rank, or fewer than two")
    ranked.sort(key=lambda answer: answer[0])
    some = list(pairwise(ranked)) if adjacent else [(ranked[0], ranked[-1])]
    return [(better, worse) for better, worse in some if better[0] < worse[0]]


def _turns(text: str) -> Turns:
    prompt, begun = split_dialogue(text)
    if prompt is None or begun:
        raise UnusableError("malformed", "a prompt that does not end where the assistant is to speak")
    return prompt
