"""Counts of a source's rows: what was dropped by reason, and beside it what was found and changed."""

from collections import Counter

# Kinds of notes: the shapes that were found; rows that were changed, by what; malformed rows, by what is wrong with
# them; pairs that rows have beyond their first.
SHAPE, CHANGED, MALFORMED, FURTHER = "shape", "changed", "malformed", "further_pairs"


class Tally(Counter):
    """Dropped rows by reason.

    Attributes:
        notes: rows by (kind, what), for the card.
    """

    def __init__(self, *counts):
        super().__init__(*counts)
        self.notes: Counter = Counter()

    def take(self, dropped: Counter, notes: Counter) -> None:
        """Add the counts of a batch."""
        self.update(dropped)
        self.notes.update(notes)

    def of(self, kind: str) -> dict[str, int]:
        """The notes of a kind, the most frequent first."""
        found = [(what, count) for (other, what), count in self.notes.items() if other == kind and count]
        return dict(sorted(found, key=lambda item: (-item[1], item[0])))


def note(dropped: Counter, kind: str, what: str, rows: int = 1) -> None:
    """Count rows for the card; a counter that is no `Tally` counts what is dropped alone."""
    if isinstance(dropped, Tally):
        dropped.notes[kind, what] += rows


def in_words(counts: dict[str, int], details: dict[str, int] | None = None) -> str:
    """Counts as "empty 2, malformed 3 (tool calls 3)"; "none" where there are none.

    Args:
        counts: rows by reason.
        details: malformed rows by what is wrong with them.
    """
    parts = []
    for reason, count in counts.items():
        more = in_words(details) if reason == "malformed" and details else ""
        parts += [f"{reason} {count:,}" + (f" ({more})" if more else "")] if count else []
    return ", ".join(parts) or "none"
