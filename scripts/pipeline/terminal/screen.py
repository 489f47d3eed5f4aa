"""The table of what will run, and the bars that are drawn below all other output while it runs."""

import os
from collections.abc import Callable, Sequence
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline.terminal.run import UNKNOWN, Count

PER_SECOND = 2  # how often the bars are drawn: jobs have better use for the CPU
BAR, SHORTEST = 30, 10  # width of a bar, and of the shortest that there is
GAP = 2  # between columns


def console(stream: TextIO, colors: bool) -> Console:
    """A terminal to draw on."""
    return Console(
        file=stream, force_terminal=True, force_interactive=True, no_color=not colors, highlight=False, markup=False
    )


def plan_table(counts: Sequence[Count]) -> Table:
    """The jobs of each rule and, where any time is known, about how long they take; all jobs last."""
    table = Table(show_footer=True, box=None, pad_edge=False, footer_style="bold")
    *rules, whole = counts
    table.add_column("rule", whole.name, no_wrap=True, overflow="crop")
    table.add_column("jobs", str(whole.total), justify="right", no_wrap=True)
    if whole.time != UNKNOWN:
        table.add_column("about", whole.time, justify="right", no_wrap=True)
    for count in rules:
        table.add_row(*[count.name, str(count.total), count.time][: len(table.columns)])
    return table


class Bars:
    """A bar for each rule: how many of its jobs are done, and the time left; below them one for all jobs.

    Args:
        counts: gives how far the jobs of each rule are, all jobs last.
        console: of the terminal.
    """

    def __init__(self, counts: Callable[[], Sequence[Count]], console: Console):
        self.counts, self.console = counts, console
        self.live = Live(
            get_renderable=self.draw, console=console, refresh_per_second=PER_SECOND, redirect_stdout=os.isatty(1)
        )

    def draw(self) -> Group:
        """The bars as they are now; where the terminal is too low for all, those of running rules and the next."""
        *rules, whole = self.counts()
        room = max(self.console.height - 3, 1)
        shown = set(sorted(range(len(rules)), key=lambda i: (not rules[i].running, not rules[i].left))[:room])
        rows = [*(count for i, count in enumerate(rules) if i in shown), whole]
        hidden = len(rules) - len(shown)
        return Group(self._table(rows), *([Text(f"and {hidden} more", "dim")] if hidden else []))

    def _table(self, counts: Sequence[Count]) -> Table:
        """Name, bar, numbers, state, time: what is running, then the bar, gives way where the terminal is narrow."""
        names = [Text(count.name, "" if count.left else "dim") for count in counts]
        numbers = [Text(f"{count.done}/{count.total}") for count in counts]
        times = [Text(count.time if count.time in ("", UNKNOWN) else f"{count.time} left") for count in counts]
        states = [_state(count) for count in counts]
        spare = self.console.width - sum(_width(column) for column in (names, numbers, times)) - 2 * GAP
        columns = [names, numbers, times]
        if spare >= _width(states) + GAP:
            columns.insert(2, states)
            spare -= _width(states) + GAP
        if spare >= SHORTEST + GAP:
            width = min(spare - GAP, BAR)
            columns.insert(1, [ProgressBar(max(count.total, 1), count.done, width=width) for count in counts])
        table = Table.grid(padding=(0, GAP, 0, 0))
        for column in columns:
            width = _width(column) + min(spare, 0) if column is names else _width(column)
            side = "left" if column in (names, states) else "right"
            table.add_column(no_wrap=True, overflow="crop", justify=side, width=max(width, 1))
        for row in zip(*columns, strict=True):
            table.add_row(*row)
        return table


def _state(count: Count) -> Text:
    states = [(count.failed, "failed", "red"), (count.running, "running", "cyan")]
    return Text(" ").join(Text(f"{number} {word}", color) for number, word, color in states if number)


def _width(column: Sequence) -> int:
    return max(cell.width if isinstance(cell, ProgressBar) else cell.cell_len for cell in column)


class Above:
    """A text stream that prints above the bars what ends in a whole line, as it is: not folded, colours kept.

    Args:
        console: of the bars.
        stream: the terminal itself, which is asked for all else.
    """

    def __init__(self, console: Console, stream: TextIO):
        self.console, self.stream, self.rest = console, stream, ""

    def write(self, text: str) -> int:
        """Take text; it is printed when a line ends with it."""
        self.rest += text
        if self.rest.endswith("\n"):
            lines, self.rest = self.rest[:-1], ""
            self.console.print(Text.from_ansi(lines), soft_wrap=True)
        return len(text)

    def __getattr__(self, name: str):
        return getattr(self.stream, name)
