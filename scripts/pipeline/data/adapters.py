"""Adapters: the rows of a source, in its own schema, become (prompt, chosen, rejected).

An adapter takes a batch as an arrow table and a counter of dropped rows, and returns the pairs as a table with the
columns prompt, chosen and rejected. All three are text, or all three are lists of messages {role, content}: dialogues
(hh_rlhf always, plain where the source has them) are messages, with `prompt` ending at the user's turn and `chosen`
and `rejected` holding what the assistant says to it. That is the conversational format of TRL's DPOTrainer. Prompts
carry no model's template.

Further columns, where the source has what they hold: `score_margin` (float64, the score of the chosen response minus
that of the rejected), `completions` (lists of text, all responses to the prompt, by which a row may be too long),
`bt_prob` (float64, as in the source) and `source` (text, a kind of prompt by which results are told apart).

Rows that hold no usable pair are dropped with a reason: `no_preference` (a tie, or no label), `prompts_differ`,
`several_turns` (arena) or `malformed` (the row lacks what the adapter needs, e.g. it has not four completions). What is
wrong with malformed rows, and what was changed in others, is counted in the notes of a `pipeline.data.tally.Tally`. A
column of the wrong type is an `InputError`.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns.pairs import PAIR_COLUMNS
from pipeline.data.columns import Columns
from pipeline.jobs.io import InputError
from pipeline.jobs.parts import load_part, part_names

Convert = Callable[[pa.Table, Counter], pa.Table]


@dataclass(frozen=True)
class Adapter:
    """How the rows of one source are read.

    Attributes:
        contents: columns that must be there and hold no nulls.
        labels: columns that must be there; a null means that there is no preference.
        convert: (table of these columns, counter of dropped rows, which it adds to) -> table of pairs.
        choose: of a source whose columns have several names: (all columns of a table) -> (contents, labels), which then
            take the place of the two above.
    """

    contents: tuple[str, ...]
    labels: tuple[str, ...]
    convert: Convert
    choose: Callable[[list[str]], tuple[tuple[str, ...], tuple[str, ...]]] | None = None

    @property
    def columns(self) -> Columns:
        """All columns that the source must have, or what chooses them."""
        if self.choose:
            return lambda present: self.of(present).columns
        return [*self.contents, *self.labels]

    def of(self, present: list[str]) -> "Adapter":
        """The adapter of a table that has these columns.

        Raises:
            InputError: they are none that it knows.
        """
        if not self.choose:
            return self
        contents, labels = self.choose(present)
        return Adapter(contents, labels, self.convert)


def adapter_for(spec: dict) -> Adapter:
    """The adapter of a data spec's source.

    Raises:
        InputError: there is no such source, or the source has no such preference.
    """
    if spec["source"] not in part_names("sources"):
        raise InputError(f"source: {spec['source']!r} is unknown; it must be one of {', '.join(part_names('sources'))}")
    return load_part("sources", spec["source"], "adapter").adapter(spec)


def pair_schema(type_: pa.DataType) -> pa.Schema:
    """The schema of pairs whose prompt, chosen and rejected are all of `type_` (TEXT or MESSAGES)."""
    return pa.schema([(name, type_) for name in PAIR_COLUMNS])


def preferred(prompt: pa.Array, first: pa.Array, second: pa.Array, first_wins: pa.Array) -> pa.Table:
    """Pairs of which the first response is the chosen one where `first_wins`."""
    chosen, rejected = pc.if_else(first_wins, first, second), pc.if_else(first_wins, second, first)
    return pa.table({"prompt": prompt, "chosen": chosen, "rejected": rejected})


def drop(table: pa.Table, mask: pa.Array, reason: str, dropped: Counter) -> pa.Table:
    """The rows that a mask does not name; those it names, null included, are counted as dropped for the reason."""
    keep = pc.invert(pc.fill_null(mask, True))
    dropped[reason] += len(table) - (pc.sum(keep).as_py() or 0)
    return table.filter(keep)
