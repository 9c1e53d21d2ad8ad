"""The one thread that writes to the journal.

Rule: jobs are written in the order in which they came. Everything that waits is written as one transaction (group commit),
each job under a savepoint of its own, so that one job's bug is answered to that job alone. A job is answered after the
commit that holds it, never before.

While the disk refuses, the thread keeps what it was given and tries again, at most `_LONGEST_S` apart; it says so once when
that begins and once when it is over. Only `stop()` ends the trying: one last try, then the jobs are answered with the error.
A damaged journal, or a bug here, answers every job with that error from then on.
"""

import sqlite3
from asyncio import Future
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Condition, Thread
from time import monotonic

from hlspub.errors import JournalError, StorageError
from hlspub.journal import statements
from hlspub.journal.trouble import explain
from hlspub.records import Record

_FIRST_S = 0.1  # wait before the second try; it doubles
_LONGEST_S = 5.0


@dataclass(frozen=True, slots=True)
class JournalBlocked:
    """The disk refuses the journal; what is written waits. It is tried again until it works."""

    error: str
    hint: str


@dataclass(frozen=True, slots=True)
class JournalResumed:
    """The journal is written again, after `tries` in vain."""

    tries: int


JournalEvent = JournalBlocked | JournalResumed


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Records that belong together, and who waits for them. The thread never touches the future, its `deliver` does."""

    records: tuple[Record, ...]
    future: "Future[None]"


Outcome = tuple[Job, BaseException | None]


class Writer:
    """The thread and its queue. `deliver` gets the outcomes of a commit, `report` the changes; both run in the thread.

    `commits` counts transactions. `failure` is why the thread serves no more, or why it gave up writes when it was stopped.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        path: Path,
        *,
        deliver: Callable[[Sequence[Outcome]], None],
        report: Callable[[JournalEvent], None],
    ) -> None:
        self.commits = 0
        self.failure: BaseException | None = None
        self._db = db
        self._path = path
        self._deliver = deliver
        self._report = report
        self._changed = Condition()
        self._jobs: list[Job] = []
        self._pings: list[Job] = []
        self._stopping = False
        self._thread = Thread(target=self._run, name="journal", daemon=True)  # an abrupt end is a crash: safe
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job; one without records is a ping, which is answered as soon as the thread turns to it.

        Raises:
            JournalError: the journal is closed or damaged (or whatever bug ended the thread).
        """
        with self._changed:
            if self.failure is not None:
                raise self.failure
            if self._stopping:
                raise JournalError("the journal is closed", hint="This is a bug in hlspub; please report it.")
            (self._jobs if job.records else self._pings).append(job)
            self._changed.notify()

    def stop(self) -> None:
        """Write what is queued, or give up after one more try, and end the thread. Blocking; idempotent."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        batch: list[Job] = []
        try:
            while batch := self._next():
                self._deliver(self._write(batch))
            # On a full disk what was committed stays in the log, and the next start moves it.
            with suppress(sqlite3.OperationalError):
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except BaseException as bug:  # noqa: BLE001 -- it is raised again, in everyone who waits and in close()
            self.failure = bug
            self._deliver([(job, bug) for job in (*batch, *self._take())])
        finally:
            self._db.close()

    def _next(self) -> list[Job]:
        """Wait for jobs and take all of them; none: the end."""
        with self._changed:
            self._answer_pings()
            while not self._jobs and not self._stopping:
                self._changed.wait()
                self._answer_pings()
            return self._take()

    def _take(self) -> list[Job]:
        with self._changed:
            jobs, self._jobs = self._jobs, []
            return jobs

    def _answer_pings(self) -> None:
        pings, self._pings = self._pings, []
        if pings:
            self._deliver([(ping, None) for ping in pings])

    def _write(self, batch: Sequence[Job]) -> list[Outcome]:
        """Commit a batch; try for as long as the disk refuses."""
        for tries in count(1):
            if self.failure is not None:
                break
            try:
                outcomes = self._commit(batch)
            except sqlite3.Error as error:
                trouble = explain(error, self._path) or error
                self._roll_back()
                if not isinstance(trouble, StorageError):
                    self.failure = trouble
                    break
                if tries == 1:
                    self._report(JournalBlocked(str(trouble), trouble.hint))
                if not self._wait(min(_LONGEST_S, _FIRST_S * 2 ** min(tries - 1, 10))):
                    self.failure = trouble
            else:
                if tries > 1:
                    self._report(JournalResumed(tries - 1))
                return outcomes
        return [(job, self.failure) for job in batch]

    def _wait(self, seconds: float) -> bool:
        """Wait before another try; false: there is to be none. Pings are answered, for the thread lives."""
        with self._changed:
            if self._stopping:
                return False
            deadline = monotonic() + seconds
            while not self._stopping and (left := deadline - monotonic()) > 0:
                self._answer_pings()
                self._changed.wait(left)
            return True

    def _commit(self, batch: Sequence[Job]) -> list[Outcome]:
        """Write a batch as one transaction.

        Raises:
            sqlite3.Error: SQLite refused the transaction, not one job of it.
        """
        self._db.execute("BEGIN IMMEDIATE")
        outcomes = [(job, self._apply(job)) for job in batch]
        self._db.execute("COMMIT")
        self.commits += 1
        return outcomes

    def _apply(self, job: Job) -> BaseException | None:
        """Write one job's records, all or none; returns the bug that none of them stands for."""
        self._db.execute("SAVEPOINT job")
        try:
            for record in job.records:
                statements.write(self._db, record)
        except Exception as bug:
            if isinstance(bug, sqlite3.Error) and explain(bug, self._path) is not None:
                raise
            self._db.execute("ROLLBACK TO job")
            self._db.execute("RELEASE job")
            return bug
        self._db.execute("RELEASE job")
        return None

    def _roll_back(self) -> None:
        if self._db.in_transaction:  # SQLite may have rolled back by itself
            self._db.execute("ROLLBACK")
