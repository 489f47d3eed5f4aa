"""Lines in a log that say how far a long job is and when it will end."""

import os
import time

SECONDS = 10.0  # between two lines


class Progress:
    """Counts what is done, and says so from time to time in the first process.

    Args:
        name: of what is counted, such as "responses".
        total: how many there are in all processes.
        seconds: the least between two lines.
    """

    def __init__(self, name: str, total: int, seconds: float = SECONDS):
        self.rank, self.processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.name, self.total, self.seconds = name, total, seconds
        self.start()

    def start(self) -> None:
        """Begin to count anew."""
        self.done = 0
        self.started = self.said = time.monotonic()

    def add(self, count: int) -> None:
        """So many more are done, by this process."""
        self.done += count * self.processes
        self.tell()

    def tell(self) -> None:
        """A line, unless the last one is recent."""
        now = time.monotonic()
        if self.rank or now - self.said < self.seconds:
            return
        self.said = now
        print(line(self.name, self.done, self.total, now - self.started), flush=True)


def line(name: str, done: int, total: int, spent: float) -> str:
    """A line of progress, the time that is left by the time that was spent."""
    done = min(done, total)
    left = f", about {spent / done * (total - done):.0f} s left" if done else ""
    return f"{name} {done}/{total}  {spent:.0f} s{left}"


def count_responses(model, total: int, seconds: float = SECONDS) -> None:
    """Have a model say how many responses it has given whenever it is asked to generate more.

    A call of `generate` without a cache begins a batch, so those before it are done.

    Args:
        model: a causal language model; its `generate` is wrapped.
        total: prompts of a round, after which a new round begins.
    """
    progress = Progress("responses", total, seconds)
    generate, open_rows = model.generate, 0

    def counted(*arguments, **options):
        nonlocal open_rows
        if options.get("past_key_values") is None:
            progress.add(open_rows)
            open_rows = len(options["input_ids"])
            if progress.done >= progress.total:
                progress.start()
        else:
            # A cache of what equal prompts share was made for fewer rows.
            open_rows = max(open_rows, len(options["input_ids"]))
            progress.tell()
        return generate(*arguments, **options)

    model.generate = counted
