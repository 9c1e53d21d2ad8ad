import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import pytest

from hlspub.errors import JournalError, StorageError
from hlspub.journal.journal import Journal
from hlspub.journal.reader import JournalReader
from hlspub.journal.statements import RecordRefused
from hlspub.journal.writer import JournalBlocked, JournalEvent
from hlspub.records import Record, SessionEnded, StreamDeclared
from tests.journal import acts

pytestmark = pytest.mark.anyio
PATIENCE_S = 20.0


class Heard:
    """What the journal said, and waiting for it."""

    def __init__(self) -> None:
        self.events: list[JournalEvent] = []
        self._more = anyio.Event()

    def __call__(self, event: JournalEvent) -> None:
        self.events.append(event)
        self._more.set()

    async def until(self, count: int) -> None:
        while len(self.events) < count:
            self._more = anyio.Event()
            await self._more.wait()


@asynccontextmanager
async def opened(path: Path, heard: Heard | None = None) -> AsyncIterator[Journal]:
    journal = await Journal.open(path, on_event=heard)
    try:
        with anyio.fail_after(PATIENCE_S):
            yield journal
    finally:
        await journal.close()


def locked(path: Path) -> sqlite3.Connection:
    """Another program that holds the journal's write lock until it is closed."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    return db


def names(path: Path) -> list[str]:
    """The streams, in the order in which they were declared."""
    with closing(sqlite3.connect(path)) as db:
        return [name for (name,) in db.execute("SELECT name FROM stream ORDER BY stream_id")]


def declared(number: int) -> list[Record]:
    return [StreamDeclared(f"s{number:03d}", "/srv", 1.0)]


async def test_what_was_written_is_there_when_write_returns(path: Path) -> None:
    async with opened(path) as journal:
        await journal.write([*acts.started(), acts.taken("a.ts")])
        with JournalReader(path) as reader:
            assert [file.path for file in reader.files(1)] == ["a.ts"]


async def test_everything_that_waits_is_one_commit_in_its_order(path: Path) -> None:
    async with opened(path, heard := Heard()) as journal:
        other = locked(path)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.write, declared(0))
            await heard.until(1)  # the first one is in the thread's hands
            for number in range(1, 500):
                tasks.start_soon(journal.write, declared(number))
                if number == 1:
                    before = journal.commits
            await journal.ping()
            other.close()
        assert journal.commits - before == 2
        assert names(path) == [f"s{number:03d}" for number in range(500)]


async def test_one_calls_records_stand_or_fall_together_and_alone(path: Path) -> None:
    async with opened(path, heard := Heard()) as journal:
        other = locked(path)
        caught: list[Exception] = []

        async def wrong(records: list[Record]) -> None:
            try:
                await journal.write(records)
            except (RecordRefused, sqlite3.IntegrityError) as error:
                caught.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.write, declared(0))
            await heard.until(1)
            tasks.start_soon(journal.write, declared(1))
            tasks.start_soon(wrong, [*declared(2), SessionEnded(99, 1.0)])
            tasks.start_soon(wrong, [*declared(3), acts.taken("a.ts", session=99)])
            tasks.start_soon(wrong, [*declared(4), object()])  # pyright: ignore[reportArgumentType]
            tasks.start_soon(journal.write, declared(5))
            await journal.ping()
            other.close()
        assert journal.commits == 2
        assert [type(error) for error in caught] == [RecordRefused, sqlite3.IntegrityError, RecordRefused]
        assert names(path) == ["s000", "s001", "s005"]


async def test_a_cancelled_caller_is_written_all_the_same(path: Path) -> None:
    async with opened(path, heard := Heard()) as journal:
        other = locked(path)
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(journal.write, declared(number))
            await heard.until(1)
            tasks.cancel_scope.cancel()
        assert names(path) == []
        other.close()
        await journal.write(declared(3))
        assert names(path) == ["s000", "s001", "s002", "s003"]


async def test_a_bug_whose_caller_was_cancelled_is_said_by_the_loop(path: Path) -> None:
    said: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: said.append(context))
    async with opened(path, heard := Heard()) as journal:
        other = locked(path)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.write, [SessionEnded(99, 1.0)])
            await heard.until(1)
            tasks.cancel_scope.cancel()
        other.close()
        await journal.write(declared(0))
    loop.set_exception_handler(None)
    assert [type(context["exception"]) for context in said] == [RecordRefused]


async def test_the_thread_answers_while_the_disk_refuses(path: Path) -> None:
    async with opened(path, heard := Heard()) as journal:
        other = locked(path)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.write, declared(0))
            await heard.until(1)
            await journal.ping()
            assert names(path) == []
            other.close()


async def test_closing_gives_up_after_one_more_try_and_says_what_was_lost(path: Path) -> None:
    journal = await Journal.open(path, on_event=(heard := Heard()))
    other = locked(path)
    lost: list[str] = []

    async def write(number: int) -> None:
        try:
            await journal.write(declared(number))
        except StorageError as error:
            lost.append(str(error))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write, 0)
        await heard.until(1)
        tasks.start_soon(write, 1)
        await anyio.lowlevel.checkpoint()
        with pytest.raises(StorageError, match="locked"):
            await journal.close()
    other.close()
    assert len(lost) == 2
    assert names(path) == []
    assert [type(event) for event in heard.events] == [JournalBlocked]


async def test_closing_writes_what_is_queued_and_folds_the_log(path: Path) -> None:
    journal = await Journal.open(path)
    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(journal.write, declared(number))
        await anyio.lowlevel.checkpoint()
        await journal.close()
    assert len(names(path)) == 50
    assert sorted(file.name for file in path.parent.iterdir()) == ["journal.db"]
    await journal.close()
    for call in (journal.write(declared(0)), journal.ping()):
        with pytest.raises(JournalError, match="closed"):
            await call


async def test_session_numbers_go_on_after_a_restart(path: Path) -> None:
    async with opened(path) as journal:
        assert [journal.next_session(), journal.next_session()] == [1, 2]
        await journal.write([*acts.started(1), *acts.started(5)])
    async with opened(path) as journal:
        assert journal.next_session() == 6


async def test_writing_nothing_writes_nothing(path: Path) -> None:
    async with opened(path) as journal:
        await journal.write([])
        assert journal.commits == 0


async def test_damage_found_while_writing_ends_the_writing(path: Path) -> None:
    async with opened(path) as journal:
        await journal.write([*acts.started(), *(acts.taken(f"{number:04d}.ts") for number in range(600))])
    acts.damage(path)
    journal = await Journal.open(path)
    with pytest.raises(JournalError, match="damaged") as caught:
        await journal.write([acts.taken("9999.ts")])
    assert "hlspub recover" in caught.value.hint
    for call in (journal.write(declared(0)), journal.ping(), journal.close()):
        with pytest.raises(JournalError, match="damaged"):
            await call
