"""Lines in a log that say how far a long job is and when it will end."""

import time

from pipeline.jobs.processes import is_first_process, processes

SECONDS = 10.0  # between two lines


class Progress:
    """Counts what this process does, and says from time to time in the first process how far all of them are.

    Args:
        name: of what is counted, such as "responses".
        own: how many of them this process does.
        total: how many all processes do; as many each as this one where absent.
        work: of this process's, what time goes with, such as tokens; their number where absent.
        rate: unit of the rate, such as "rows/s", for lines that have it.
        seconds: the least between two lines.
    """

    def __init__(
        self,
        name: str,
        own: int,
        total: int | None = None,
        work: float | None = None,
        rate: str = "",
        seconds: float = SECONDS,
    ):
        self.name, self.own, self.rate, self.seconds = name, own, rate, seconds
        self.total = own * processes()[1] if total is None else total
        self.done = self.found = 0
        self.worked, self.left = 0.0, own if work is None else work
        self.started = self.last = time.monotonic()

    def add_found(self, count: int) -> None:
        """So many had been done before this process began."""
        self.done += count
        self.found += count
        self.left -= count

    def add(self, count: int, work: float | None = None, note: str = "", quiet: bool = False) -> None:
        """So many more are done; a line, unless the last one is recent.

        Args:
            work: what they took of all work.
            note: what else the line is to say.
            quiet: no line, whenever the last one was.
        """
        self.done += count
        self.worked += count if work is None else work
        self.left -= count if work is None else work
        if not quiet and time.monotonic() - self.last >= self.seconds:
            self.tell(note)

    def tell(self, note: str = "") -> None:
        """A line, whenever the last one was: "responses 128/512  20 s, about 60 s left"."""
        self.last = time.monotonic()
        if not (self.own and is_first_process()):
            return
        spent = self.last - self.started
        done = min(round(self.done / self.own * self.total), self.total)
        parts = [f"{self.name} {'about ' if self.total != self.own else ''}{done}/{self.total}"]
        parts += [f"{(self.done - self.found) / max(spent, 1e-9):.1f} {self.rate}"] if self.rate else []
        left = f", about {max(spent / self.worked * self.left, 0):.0f} s left" if self.worked else ""
        print("  ".join([*parts, *([note] if note else []), f"{spent:.0f} s{left}"]), flush=True)
