"""The journal as the event loop sees it: `write` returns when the records are on the disk.

Rule: nothing here waits but for the writer's thread, and nothing of it is lost by waiting less: a caller that is cancelled
leaves its records in the queue, and they are written. The counters are read once, at the start, so that a number can be given
without asking the disk.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Self

from anyio import CancelScope, sleep, to_thread

from hlspub.errors import StorageError
from hlspub.journal import schema
from hlspub.journal.database import open_writer
from hlspub.journal.writer import Job, JournalBlocked, JournalEvent, JournalResumed, Outcome, Writer
from hlspub.records import Record

_LOOK_S = 2.0  # how often a disk that refuses is tried while the journal is being opened


class Journal:
    """The one writer of a data directory's journal. Make it with `open`, on the loop that uses it; end it with `close`."""

    def __init__(self, writer: Writer, next_session: int) -> None:
        self._writer = writer
        self._sessions = count(next_session)

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        on_event: Callable[[JournalEvent], None] | None = None,
        migrations: Sequence[str] = schema.MIGRATIONS,
    ) -> Self:
        """Open the journal at `path`, made or migrated where needed, and start its writer.

        `on_event` is called on the loop when the disk begins to refuse and when it ceases to. Who listens so waits for the
        disk here too: a service that ended instead would soon be started no more.

        Raises:
            JournalError: it is damaged, another program's, or from a newer hlspub.
            StorageError: this machine's disk refuses, and nobody listens.
            PermissionRefused: its directory may not be written.
        """
        loop = asyncio.get_running_loop()
        db, newest = await _open_patiently(path, migrations, on_event)

        # One call into the loop a commit. `from_thread.run_sync` would hold the writer up until the loop had time for it.
        def deliver(outcomes: Sequence[Outcome]) -> None:
            loop.call_soon_threadsafe(_settle, loop, outcomes)

        def report(event: JournalEvent) -> None:
            if on_event is not None:
                loop.call_soon_threadsafe(on_event, event)

        return cls(Writer(db, path, deliver=deliver, report=report), newest + 1)

    @property
    def commits(self) -> int:
        """Transactions committed since the journal was opened."""
        return self._writer.commits

    def next_session(self) -> int:
        """A number for a new session, never given before."""
        return next(self._sessions)

    async def write(self, records: Sequence[Record]) -> None:
        """Write records in one transaction, after all that were handed over before; returns when they are on the disk.

        A full or failing disk makes it wait. Cancelling the wait does not take the records back.

        Raises:
            RecordRefused, sqlite3.IntegrityError: a record is wrong; none of this call's was written. A bug.
            JournalError: the journal is damaged.
            StorageError: the journal was closed while the disk still refused.
        """
        if records:
            await self._submit(tuple(records))

    async def ping(self) -> None:
        """Return when the writer's thread has answered: it lives, whether or not the disk lets it write."""
        await self._submit(())

    async def close(self) -> None:
        """Write what is queued, fold the log into the database and end the thread. Not cancellable; idempotent.

        Raises:
            StorageError: the disk still refused; what was queued is lost, and its callers know.
            JournalError: the journal was found damaged.
        """
        with CancelScope(shield=True):
            await to_thread.run_sync(self._writer.stop)
        if self._writer.failure is not None:
            raise self._writer.failure

    async def _submit(self, records: tuple[Record, ...]) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writer.submit(Job(records, future))
        await future


async def _open_patiently(
    path: Path, migrations: Sequence[str], on_event: Callable[[JournalEvent], None] | None
) -> tuple[sqlite3.Connection, int]:
    """Open it; while the disk refuses, try again, if someone is told."""
    for tries in count(1):
        try:
            opened = await to_thread.run_sync(_open, path, migrations)
        except StorageError as why:
            if on_event is None:
                raise
            if tries == 1:
                on_event(JournalBlocked(str(why), why.hint))
            await sleep(_LOOK_S)
        else:
            if tries > 1 and on_event is not None:
                on_event(JournalResumed(tries - 1))
            return opened
    raise AssertionError("the loop above returns or raises")


def _open(path: Path, migrations: Sequence[str]) -> tuple[sqlite3.Connection, int]:
    """The connection, and the newest session's number."""
    db = open_writer(path, migrations)
    newest: int = db.execute("SELECT coalesce(max(session_id), 0) FROM session").fetchone()[0]
    return db, newest


def _settle(loop: asyncio.AbstractEventLoop, outcomes: Sequence[Outcome]) -> None:
    """Tell those who wait, on the loop. A bug whose caller no longer waits is said by the loop."""
    for job, error in outcomes:
        if job.future.done():
            if error is not None:
                loop.call_exception_handler(
                    {"message": "records were refused; their writer no longer waits", "exception": error}
                )
        elif error is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(None)
