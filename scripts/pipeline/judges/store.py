"""Replies that were paid for, kept in SQLite: one file per judge, results/judgements/<judge>.sqlite.

A reply is committed to disk before it is used, so that whatever ends a job after that, it is not paid for again. The
file is no output of a rule, as Snakemake deletes the outputs of jobs that fail. Table `replies`:

- key, attempt: hash of the request and the judge; 1 for its first reply, more where it was asked again
- judge, model, returned_model: the judge's name, the model asked for, the id that the endpoint returned
- content, body: the model's text (null where there is none), and the whole reply as it came
- refusal, finish_reason: as the endpoint gives them
- prompt_tokens, completion_tokens, price_usd: as billed; estimated where the endpoint does not say; null without prices
- seconds, received_at, endpoint: how long it took, when it came (UTC), from where

Table `batches` has what was submitted to the Batch API: hash and keys of its requests, the most that it may take, its
ids, and its state, which is new until its replies are here.

Jobs of one judge take turns: whoever asks holds the lock of <judge>.lock, which the operating system frees when its
process ends, however it ends. So a request is asked by one job at a time, and limits and budget hold over all of them.
"""

import contextlib
import fcntl
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pipeline.jobs.io import InputError
from pipeline.jobs.refusals import full_disk
from pipeline.judges.replies import Reply, read_reply

TABLES = """
create table if not exists replies (
    key text not null, attempt integer not null, judge text not null, model text not null, returned_model text,
    content text, body text not null, refusal text, finish_reason text, prompt_tokens integer not null,
    completion_tokens integer not null, price_usd real, seconds real not null, received_at text not null,
    endpoint text not null, primary key (key, attempt)) without rowid;
create table if not exists batches (
    hash text primary key, keys text not null, most_usd real not null, file_id text, batch_id text,
    state text not null) without rowid;
"""
REPLY = (
    "case when content is null then body else substr(body, 1, 200) end, content, refusal, finish_reason,"
    " returned_model, prompt_tokens, completion_tokens, endpoint"
)
AT_ONCE = 500  # keys in a query


@dataclass(frozen=True)
class Paid:
    """What a reply took: tokens, US dollars (None without prices), seconds, and the address that it came from."""

    prompt_tokens: int
    completion_tokens: int
    price_usd: float | None
    seconds: float
    endpoint: str


class Store:
    """The replies of one judge. Open it with `open_store` or `read_store`.

    Args:
        lock: the open lock file, where it is held.
    """

    def __init__(self, path: Path, judge: str, lock: IO | None = None):
        self.path, self.judge, self._lock = path, judge, lock
        self.connection = _connect(path)

    def close(self) -> None:
        """Leave the file as other processes are to find it."""
        self.connection.close()

    @contextlib.contextmanager
    def left_to_others(self) -> Iterator[None]:
        """Inside, other jobs of the judge have their turn; afterwards it is this one's again."""
        self.close()
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self.connection = _connect(self.path)

    def replies(self, keys: Iterable[str]) -> dict[str, list[Reply]]:
        """The replies to those requests that have one, first attempt first; of bodies just the beginning.

        What is there without a text is read again: earlier versions kept errors as replies, and did not find all texts.
        """
        found, keys = {}, list(keys)
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            places = ", ".join("?" * len(part))
            query = f"select key, {REPLY} from replies where key in ({places}) order by key, attempt"
            for key, *row in self.connection.execute(query, part):
                reply = Reply(*row)
                read = reply if reply.content is not None else read_reply(reply.body.encode("utf-8", "replace"))
                if read is not None:
                    text = {"content": read.content, "refusal": read.refusal, "place": read.place}
                    found.setdefault(key, []).append(replace(reply, body=reply.body[:200], **text))
        return found

    def add(self, key: str, model: str, reply: Reply, paid: Paid) -> None:
        """Keep a reply; it is on disk when this returns."""
        content = (reply.model, reply.content, reply.body, reply.refusal, reply.finish_reason)
        taken = (paid.prompt_tokens, paid.completion_tokens, paid.price_usd, paid.seconds)
        received = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.connection.execute(
            "insert into replies values (?, (select count(*) + 1 from replies where key = ?),"
            " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (key, key, self.judge, model, *map(_storable, content), *taken, received, paid.endpoint),
        )

    def spent(self, prices: dict | None) -> float:
        """US dollars of all replies; those that came while the judge had no prices count at today's."""
        now = prices or {"input": 0.0, "output": 0.0}
        query = (
            "select coalesce(sum(coalesce(price_usd, (prompt_tokens * ? + completion_tokens * ?) / 1e6)), 0)"
            " from replies"
        )
        return self.connection.execute(query, (now["input"], now["output"])).fetchone()[0]

    def count(self) -> int:
        """How many replies there are."""
        return self.connection.execute("select count(*) from replies").fetchone()[0]


@contextlib.contextmanager
def open_store(folder: str | Path, judge: str) -> Iterator[Store]:
    """A judge's replies, to read and to add to; waits while another job of the judge has them."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        locked = open(folder / f"{judge}.lock", "a", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        if full_disk(error):
            raise
        raise InputError(f"{folder}: replies cannot be kept there ({error.strerror})") from error
    with locked as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print(f"another job asks the judge {judge}; this one waits for its turn", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.closing(Store(folder / f"{judge}.sqlite", judge, lock)) as store:
            try:
                store.connection.executescript(TABLES)
            except sqlite3.OperationalError as error:
                if full_disk(error):
                    raise
                raise InputError(f"{store.path}: replies cannot be kept there ({error})") from error
            yield store


@contextlib.contextmanager
def read_store(folder: str | Path, judge: str) -> Iterator[Store | None]:
    """A judge's replies, to read, also while a job adds to them; None where there are none yet."""
    path = Path(folder) / f"{judge}.sqlite"
    if not path.is_file():
        yield None
        return
    with contextlib.closing(Store(path, judge)) as store:
        store.connection.execute("pragma query_only = on")
        tables = {name for (name,) in store.connection.execute("select name from sqlite_master")}
        yield store if "replies" in tables else None


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    try:
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
    except sqlite3.DatabaseError as error:
        connection.close()
        if full_disk(error):
            raise
        raise InputError(f"{path}: not a readable SQLite file ({error}); move it away to start a new one") from error
    return connection


def _storable(text: str | None) -> str | None:
    """A text as UTF-8 can hold it: JSON may bring lone surrogates."""
    return text if text is None else text.encode("utf-8", "replace").decode("utf-8")
