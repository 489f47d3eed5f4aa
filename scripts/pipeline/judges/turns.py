"""Responses to sets of prompts, turn by turn: what a judge compares, and its verdicts afterwards.

A set's prompts may have several turns. Each turn is judged by itself, after the conversation that led to it, which is
another one for the run and for its opponent: so a table has `baseline_prompt` beside `prompt`.
"""

import json

import pandas as pd

from pipeline.columns.prompts import CHECK, REFERENCE, SET_COLUMNS
from pipeline.columns.verdicts import TURN
from pipeline.jobs.io import InputError, check_distinct_prompts
from pipeline.judges.prompts import dialogue
from pipeline.models.templates import Text, as_text, conversation, response_text

KEYS = ["prompt_id", TURN]
MARK = ":"  # between the turn and the id of a prompt, where a judge tells rows apart by one name


def set_pairs(
    responses: pd.DataFrame, baseline: pd.DataFrame | None, prompts: pd.DataFrame, opponent: str
) -> pd.DataFrame:
    """A row for each turn of a set that has two answers to compare, or one to check.

    Args:
        responses: prompt_id, prompt, response of the run, as `pipeline.generation.turns.answer_prompts` gives them.
        baseline: of the run that it is compared with; None where the opponent is REFERENCE or CHECK.
        prompts: SET_COLUMNS.
        opponent: its name.

    Returns:
        prompt_id, turn, prompt, response, baseline_prompt, baseline_response, reference, category, row, in the set's
        order. Against REFERENCE there are those that have one; against CHECK baseline_response is empty.

    Raises:
        InputError: a prompt has no response, or one too many; no prompt has a reference.
    """
    own = by_turn(responses, prompts, "the run")
    if opponent == CHECK:
        other = own.assign(response="")
    elif opponent == REFERENCE:
        other = reference_turns(prompts)
    else:
        other = by_turn(baseline, prompts, "the baseline")
    other = other.rename(columns={"prompt": "baseline_prompt", "response": "baseline_response"})
    table = own.merge(other, on=KEYS, validate="one_to_one")
    details = prompts[["prompt_id", REFERENCE, "category", "row"]]
    table = table.merge(details, on="prompt_id", validate="many_to_one")
    answers = zip(table[REFERENCE], table[TURN], strict=True)
    found = [None if given is None else given[turn - 1] for given, turn in answers]
    table[REFERENCE] = pd.Series(found, dtype=object)  # in which None stays what it is
    table["row"] = [json.loads(text) for text in table["row"]]
    return table


def by_turn(responses: pd.DataFrame, prompts: pd.DataFrame, who: str = "the run") -> pd.DataFrame:
    """Responses with a row for each turn: prompt_id, turn (from 1), prompt, response, in the set's order.

    Raises:
        InputError: a prompt of the set has no response, or stands in the responses twice.
    """
    check_distinct_prompts(responses, f"{who} has")
    known = responses.set_index("prompt_id")
    if absent := [name for name in prompts["prompt_id"] if name not in known.index]:
        raise InputError(f"{who} has no response to {len(absent)} of the set's prompts, {absent[0]} the first")
    rows = []
    for name, prompt, further in zip(prompts["prompt_id"], prompts["prompt"], prompts["further"], strict=True):
        asked, response = as_text(known.at[name, "prompt"]), response_text(as_text(known.at[name, "response"]))
        if not len(further):
            rows.append((name, 1, asked, response))
            continue
        start = len(conversation(as_text(prompt)))
        answers = [turn["content"] for turn in asked[start::2]] + [response]
        rows += [(name, i + 1, asked[: start + 2 * i], answer) for i, answer in enumerate(answers)]
    return pd.DataFrame(rows, columns=[*KEYS, "prompt", "response"])


def reference_turns(prompts: pd.DataFrame) -> pd.DataFrame:
    """A set's reference answers, as `by_turn` has responses, of the prompts that have some.

    Raises:
        InputError: none has.
    """
    rows = []
    for name, prompt, further, given in prompts[SET_COLUMNS[:4]].itertuples(index=False):
        asked = as_text(prompt)
        for i, answer in enumerate([] if given is None else given):
            rows.append((name, i + 1, asked, str(answer)))
            if i < len(further):
                said = [{"role": "assistant", "content": str(answer)}, {"role": "user", "content": further[i]}]
                asked = [*conversation(asked), *said]
    if not rows:
        raise InputError("no prompt of the set has a reference answer; take `reference` out of its columns")
    return pd.DataFrame(rows, columns=[*KEYS, "prompt", "response"])


def asked_turns(prompts: pd.DataFrame) -> pd.DataFrame:
    """What a set asks, as `by_turn` has responses, before anything is answered: prompts are the user's turns alone."""
    rows = []
    for name, prompt, further in zip(prompts["prompt_id"], prompts["prompt"], prompts["further"], strict=True):
        said = [{"role": "user", "content": text} for text in further]
        start = as_text(prompt)
        rows += [(name, i + 1, [*conversation(start), *said[:i]] if i else start) for i in range(len(said) + 1)]
    return pd.DataFrame(rows, columns=[*KEYS, "prompt"])


def has_turns(prompts: pd.DataFrame) -> bool:
    """Whether any prompt of a set has several turns."""
    return any(len(further) for further in prompts["further"])


def named_turns(table: pd.DataFrame, prompts: pd.DataFrame) -> pd.DataFrame:
    """A table with rows for turns, with one name for each row as its prompt_id where the set has several turns."""
    if not has_turns(prompts):
        return table
    return table.assign(prompt_id=table[TURN].astype(str) + MARK + table["prompt_id"])


def unnamed_turns(verdicts: pd.DataFrame, prompts: pd.DataFrame) -> pd.DataFrame:
    """Verdicts on `named_turns`, with the prompts' own ids and a column `turn` where the set has several turns."""
    if not has_turns(prompts):
        return verdicts
    parts = verdicts["prompt_id"].str.split(MARK, n=1)
    return verdicts.assign(prompt_id=parts.str[1], turn=parts.str[0].astype("int64"))


def side_by_side(prompt: Text, other: Text, response: str, other_response: str) -> tuple[Text, str, str]:
    """What two conversations share, and each of their answers with what led to it.

    Args:
        prompt, other: that the two responses are to; where they are equal, nothing changes.

    Returns:
        The shared turns, and either response, the turns before it that are not shared included.
    """
    own, others = conversation(prompt), conversation(other)
    if own == others:
        return prompt, response, other_response
    pairs = zip(own, others, strict=False)
    count = next((i for i, (one, two) in enumerate(pairs) if one != two), min(len(own), len(others)))
    led = [
        dialogue([*turns[count:], {"role": "assistant", "content": answer}])
        for turns, answer in ((own, response), (others, other_response))
    ]
    return own[:count], led[0], led[1]
