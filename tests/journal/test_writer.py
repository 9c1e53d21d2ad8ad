"""The thread against a disk that refuses at every step of a transaction."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from threading import Condition

import pytest

from hlspub.errors import JournalDamaged, JournalError, StorageError
from hlspub.journal.database import open_writer
from hlspub.journal.statements import RecordRefused
from hlspub.journal.writer import Job, JournalBlocked, JournalEvent, JournalResumed, Outcome, Writer
from hlspub.records import Record, SessionEnded, StreamDeclared

PATIENCE_S = 20.0


class Moody(sqlite3.Connection):
    """A connection that refuses a statement, by its first words, as often as `refusals` says, with the error's code."""

    refusals: Counter[str]
    code: int

    def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:  # type: ignore[override]
        for beginning, left in self.refusals.items():
            if left and sql.strip().startswith(beginning):
                self.refusals[beginning] -= 1
                error = sqlite3.OperationalError("refused by the test")
                error.sqlite_errorcode = self.code
                raise error
        return super().execute(sql, *parameters)


class Bench:
    """A writer on a moody connection; what it told whom, in order."""

    def __init__(self, path: Path, code: int = sqlite3.SQLITE_FULL, **refusals: int) -> None:
        open_writer(path).close()
        self.path = path
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Moody)
        self.db.code = code
        self.db.refusals = Counter({name.replace("_", " "): count for name, count in refusals.items()})
        self.events: list[JournalEvent] = []
        self.outcomes: list[Outcome] = []
        self._told = Condition()
        self.loop = asyncio.new_event_loop()
        self.writer = Writer(self.db, path, deliver=self._deliver, report=self.events.append)

    def _deliver(self, outcomes: Sequence[Outcome]) -> None:
        with self._told:
            self.outcomes += outcomes
            self._told.notify()

    def submit(self, *records: Record) -> Job:
        job = Job(records, self.loop.create_future())
        self.writer.submit(job)
        return job

    def until(self, count: int) -> list[BaseException | None]:
        with self._told:
            assert self._told.wait_for(lambda: len(self.outcomes) >= count, PATIENCE_S)
            return [error for _, error in self.outcomes]

    def streams(self) -> list[str]:
        with closing(sqlite3.connect(self.path)) as db:
            return [name for (name,) in db.execute("SELECT name FROM stream ORDER BY stream_id")]

    def close(self) -> None:
        self.writer.stop()
        self.loop.close()


def declared(name: str) -> StreamDeclared:
    return StreamDeclared(name, "/srv", 1.0)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_READONLY])
@pytest.mark.parametrize("step", ["BEGIN", "SAVEPOINT", "INSERT_INTO_stream", "RELEASE", "COMMIT"])
def test_a_refused_transaction_is_written_later_and_in_order(path: Path, step: str, code: int) -> None:
    bench = Bench(path, code, **{step: 2})
    bench.submit(declared("a"), declared("b"))
    assert bench.until(1) == [None]
    bench.submit(declared("c"))
    assert bench.until(2) == [None, None]
    blocked, resumed = bench.events
    assert isinstance(blocked, JournalBlocked)
    assert str(path) in blocked.error
    assert blocked.hint
    assert resumed == JournalResumed(2)
    assert bench.writer.commits == 2
    assert bench.streams() == ["a", "b", "c"]
    bench.close()


def test_a_bug_in_one_job_outlives_the_disks_refusal(path: Path) -> None:
    bench = Bench(path, COMMIT=1)
    first = bench.submit(declared("a"))
    bench.submit(SessionEnded(9, 1.0))
    bench.submit(declared("b"))
    assert [type(error) for error in bench.until(3)] == [type(None), RecordRefused, type(None)]
    assert bench.outcomes[0][0] is first
    assert bench.streams() == ["a", "b"]
    bench.close()


def test_nothing_is_answered_before_its_commit(path: Path) -> None:
    bench = Bench(path, COMMIT=1_000_000)
    bench.submit(declared("a"))
    bench.submit()  # a ping
    assert bench.until(1) == [None]
    assert bench.outcomes[0][0].records == ()
    bench.writer.stop()
    assert [type(error) for error in bench.until(2)] == [type(None), StorageError]
    assert isinstance(bench.writer.failure, StorageError)
    bench.close()


def test_damage_is_final(path: Path) -> None:
    bench = Bench(path, sqlite3.SQLITE_CORRUPT, INSERT_INTO_stream=1)
    bench.submit(declared("a"))
    assert [type(error) for error in bench.until(1)] == [JournalDamaged]
    with pytest.raises(JournalError):
        bench.submit(declared("b"))
    assert bench.events == []
    assert bench.streams() == []
    bench.close()


def test_a_bug_of_the_writers_own_reaches_everyone(path: Path) -> None:
    bench = Bench(path, sqlite3.SQLITE_MISUSE, BEGIN=1)
    bench.submit(declared("a"))
    assert [type(error) for error in bench.until(1)] == [sqlite3.OperationalError]
    with pytest.raises(sqlite3.OperationalError):
        bench.submit()
    bench.close()
