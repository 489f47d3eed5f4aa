"""Verdicts of others: AlpacaEval's annotations, Chatbot Arena's votes, Arena-Hard's judgments, any table of verdicts.

Each becomes rows of one shape: run, baseline, prompt_id, seed, order, preference (0 to 1 for the run, NaN where there
is none), judge, len_run, len_baseline (characters, NaN where they are not known). What a file holds is told by the keys
of its first row:

    generator_1, generator_2, preference   AlpacaEval's annotations.json: 1 is for output_1, the baseline's, and 2 for
                                           output_2; 0 and 1.5 are ties
    model_a, model_b, winner               Chatbot Arena's votes: model_a, model_b or a tie
    model, baseline, games, uid            Arena-Hard's judgments: two games, the baseline shown first in the first
    run, baseline, prompt_id, preference   as `compute_winrate.py --verdicts` takes them; seed, order, judge, len_run
                                           and len_baseline where there are any
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from pipeline.data.prompt_ids import prompt_id
from pipeline.exchange.answers import Answer, read_answer
from pipeline.exchange.rows import Row
from pipeline.jobs.io import InputError

COLUMNS = ["run", "baseline", "prompt_id", "seed", "order", "preference", "judge", "len_run", "len_baseline"]
WINNERS = {"model_a": 1.0, "model_b": 0.0, "tie": 0.5, "tie (bothbad)": 0.5, "both_bad": 0.5}
GAMES = {">>": 1.0, ">": 1.0, "=": 0.5, "<": 0.0, "<<": 0.0}


@dataclass
class Votes:
    """What a file of verdicts holds.

    Attributes:
        kind: of the file, in words.
        frame: COLUMNS, a row a verdict.
        answers: responses that stand in the file too.
        battles: whether each verdict is on a prompt of its own, so that runs have none in common.
    """

    kind: str
    frame: pd.DataFrame
    answers: list[Answer] = field(default_factory=list)
    battles: bool = False


def read_votes(rows: list[Row]) -> Votes:
    """The verdicts of a file's rows.

    Raises:
        InputError: the rows are of no known kind, or one of them is not as that kind has it.
    """
    present = set(rows[0].content)
    for needed, read in KINDS.items():
        if set(needed) <= present:
            return read(rows)
    known = "; or ".join(", ".join(needed) for needed in KINDS)
    raise InputError(f"{rows[0].where} has the keys {', '.join(sorted(present))}; verdicts have {known}")


def _alpaca_eval(rows: list[Row]) -> Votes:
    found, answers = [], []
    for row in rows:
        given = number(row, "preference")
        if not (math.isnan(given) or given == 0 or 1 <= given <= 2):
            raise InputError(f"{row.where}: preference is {given:g}; AlpacaEval's is 1 to 2, or 0 for a tie")
        told = row.first("instruction")
        if not isinstance(told, str):
            raise InputError(f"{row.where}: there is no instruction")
        outputs = {which: row.first(f"output_{which}") for which in (1, 2)}
        names = {which: text(row, f"generator_{which}") for which in (1, 2)}
        for which, output in outputs.items():
            if isinstance(output, str):
                answers.append(Answer(row.where, output, told, prompt_id(told), names[which]))
        preference = 0.5 if given == 0 else given - 1
        lengths = [len(outputs[which]) if isinstance(outputs[which], str) else math.nan for which in (2, 1)]
        judge = row.first("annotator") or ""
        found.append((names[2], names[1], prompt_id(told), 0, "none", preference, str(judge), *lengths))
    return Votes("AlpacaEval's annotations", pd.DataFrame(found, columns=COLUMNS), answers)


def _arena(rows: list[Row]) -> Votes:
    found, answers = [], []
    ids = [row.first("question_id", "id", "prompt_id") for row in rows]
    unique = None not in ids and len(set(map(str, ids))) == len(ids)
    for place, row in enumerate(rows):
        winner = text(row, "winner").lower()
        if winner not in WINNERS:
            raise InputError(f"{row.where}: winner is {winner!r}; it must be one of {', '.join(WINNERS)}")
        name = str(ids[place]) if unique else f"battle{place:07d}"
        sides = {side: text(row, f"model_{side}") for side in ("a", "b")}
        if sides["a"] == sides["b"]:
            continue  # a model against itself says nothing
        lengths = []
        for side, model in sides.items():
            conversation = row.first(f"conversation_{side}")
            answer = None if conversation is None else _turns(conversation, row.where, name, model)
            answers += [answer] if answer else []
            lengths.append(len(answer.response) if answer else math.nan)
        found.append(
            (sides["a"], sides["b"], name, 0, "none", WINNERS[winner], str(row.first("judge") or ""), *lengths)
        )
    if not found:
        raise InputError(f"{rows[0].where}: no vote is between two models")
    return Votes("Chatbot Arena's votes", pd.DataFrame(found, columns=COLUMNS), answers, battles=True)


def _turns(conversation: list, where: str, name: str, model: str) -> Answer:
    """A conversation: its first message of the user is the prompt, all that follows the response."""
    whole = read_answer(Row(where, {"messages": conversation}))
    messages = [*(whole.prompt or []), {"role": "assistant", "content": whole.response}]
    first = next((place for place, message in enumerate(messages) if message["role"] == "user"), 0)
    rest = messages[first + 1 :]
    said = rest[0]["content"] if len(rest) == 1 else "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in rest)
    return Answer(where, said, messages[first]["content"], name, model)


def _arena_hard(rows: list[Row]) -> Votes:
    found = []
    for row in rows:
        games = row.first("games")
        names = text(row, "model"), text(row, "baseline"), text(row, "uid")
        for place, game in enumerate(games if isinstance(games, list) else []):
            score = (game or {}).get("score")
            sign = str(score or "").strip("AB[] ")
            if score is not None and sign not in GAMES:
                raise InputError(f"{row.where}: the score of game {place} is {score!r}, not such as A>B")
            first = math.nan if score is None else GAMES[sign]  # for what is named first, A or B
            shown_first = first if not str(score).strip("[ ").startswith("B") else 1 - first
            preference = shown_first if place % 2 else 1 - shown_first
            judge = str(row.first("judge") or "")
            found.append((*names, 0, "ab" if place % 2 else "ba", preference, judge, math.nan, math.nan))
    if not found:
        raise InputError(f"{rows[0].where}: there are no games")
    return Votes("Arena-Hard's judgments", pd.DataFrame(found, columns=COLUMNS))


def _plain(rows: list[Row]) -> Votes:
    found = []
    for row in rows:
        seed = number(row, "seed") if row.first("seed") is not None else 0
        if seed != int(seed):
            raise InputError(f"{row.where}: seed is {seed:g}; it must be a whole number")
        names = [text(row, key) for key in ("run", "baseline", "prompt_id")]
        preference, lengths = number(row, "preference"), [number(row, key) for key in ("len_run", "len_baseline")]
        if not (math.isnan(preference) or 0 <= preference <= 1):
            raise InputError(f"{row.where}: preference is {preference:g}; it must be 0 to 1, or null where not parsed")
        order, judge = str(row.first("order") or "none"), str(row.first("judge") or "")
        found.append((*names, int(seed), order, preference, judge, *lengths))
    return Votes("a table of verdicts", pd.DataFrame(found, columns=COLUMNS))


KINDS: dict[tuple[str, ...], Callable[[list[Row]], Votes]] = {
    ("generator_1", "generator_2", "preference"): _alpaca_eval,
    ("model_a", "model_b", "winner"): _arena,
    ("model", "baseline", "games", "uid"): _arena_hard,
    ("run", "baseline", "prompt_id", "preference"): _plain,
}


def text(row: Row, key: str) -> str:
    """A name in a row.

    Raises:
        InputError: there is none.
    """
    value = row.first(key)
    if value is None:
        raise InputError(f"{row.where}: there is no {key}")
    return str(value)


def number(row: Row, key: str) -> float:
    """A number in a row, NaN where there is none.

    Raises:
        InputError: it is something else.
    """
    value = row.first(key)
    try:
        if isinstance(value, bool):
            raise ValueError
        return math.nan if value is None else float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{row.where}: {key} is {value!r}; it must be a number, or null") from error
