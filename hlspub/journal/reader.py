"""Reading the journal: beside the daemon, inside it, or after its death.

Rule: a reader has a connection of its own, read-only, and sees what was committed when a query began. It never makes the
writer wait, nor the writer it. `JournalReader` is used in one thread at a time; `JournalReads` lends readers to the loop.
"""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

from anyio import CapacityLimiter, to_thread

from hlspub.journal.database import open_reader
from hlspub.journal.receipts import ReceiptReads
from hlspub.journal.status import StatusReads
from hlspub.journal.trouble import explain

P = ParamSpec("P")
T = TypeVar("T")

# What the tables' constraints cannot say: a query that counts the rows that are wrong, and what they are.
_NO_BLOCK = "SELECT count(*) FROM car WHERE car_id NOT IN (SELECT car_id FROM block)"
_NO_CAR = "SELECT count(*) FROM shard WHERE shard_id NOT IN (SELECT shard_id FROM shard_car)"
_BACKWARDS = "SELECT count(*) FROM interval WHERE to_version <= from_version"
_WRONG_SEQ = """
SELECT count(*) FROM stream
WHERE last_seq <> (SELECT coalesce(max(seq), 0) FROM root WHERE root.stream_id = stream.stream_id)
"""
_INVARIANTS = (
    (_NO_BLOCK, "CARs without a block"),
    (_NO_CAR, "shards without a CAR"),
    (_BACKWARDS, "listings that end before they begin"),
    (_WRONG_SEQ, "streams whose last seq is not that of their newest announced root"),
)


class JournalReader(StatusReads, ReceiptReads):
    """A read-only connection to the journal at `path`, and every question that it answers.

    Raises:
        InputError: there is no journal.
        PermissionRefused: this user may not open it.
        JournalError: it is damaged, another program's, or of another version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = open_reader(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if isinstance(error, sqlite3.Error) and (ours := explain(error, self._path)) is not None:
            raise ours from error

    def close(self) -> None:
        """End the connection; idempotent."""
        self._db.close()

    def integrity(self) -> list[str]:
        """Everything that is wrong with the journal, in words; empty: nothing. Reads the whole file."""
        try:
            found = [text for (text,) in self._db.execute("PRAGMA integrity_check") if text != "ok"]
            found += [
                f"table {table} refers to a row of {parent} that is not there"
                for table, _, parent, _ in self._db.execute("PRAGMA foreign_key_check")
            ]
            for query, what in _INVARIANTS:
                count = self._db.execute(query).fetchone()[0]
                if count:
                    found.append(f"{count} {what}")
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return found


class JournalReads:
    """`threads` readers for the event loop, each opened when it is first needed."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        self._path = path
        self._limiter = CapacityLimiter(threads)
        self._idle: list[JournalReader] = []

    async def run(self, question: Callable[Concatenate[JournalReader, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Ask in a thread: `await reads.run(JournalReader.backlog, "local")`. What is long is used up there, not returned.

        Raises:
            InputError, PermissionRefused, JournalError, StorageError: the journal cannot be opened or read.
            TypeError: `question` returned an iterator, which would go on reading in another thread.
        """

        def ask() -> T:
            reader = self._idle.pop() if self._idle else JournalReader(self._path)
            try:
                answer = question(reader, *args, **kwargs)
            except sqlite3.Error as error:
                raise explain(error, self._path) or error from error
            finally:
                self._idle.append(reader)
            if isinstance(answer, Iterator):
                raise TypeError("an iterator has to be used up in the thread: ask with a function that does")
            return answer

        return await to_thread.run_sync(ask, limiter=self._limiter)

    def close(self) -> None:
        """End the idle connections; nobody may be asking."""
        while self._idle:
            self._idle.pop().close()
