"""A real file system with no room left: nothing is lost, nothing is corrupt, and it goes on by itself."""

import os
from pathlib import Path

import anyio
import pytest

from hlspub.errors import StorageError
from hlspub.journal.journal import Journal
from hlspub.journal.reader import JournalReader
from hlspub.journal.writer import JournalBlocked, JournalEvent, JournalResumed
from tests.journal import acts

PATIENCE_S = 30.0


def fill(place: Path) -> Path:
    """Take all the room that is left."""
    ballast = place / "ballast"
    handle = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        while True:
            os.write(handle, bytes(4096))
    except OSError:
        return ballast
    finally:
        os.close(handle)


@pytest.mark.anyio
async def test_writes_wait_for_room(small_disk: Path) -> None:
    path = small_disk / "journal.db"
    events: list[JournalEvent] = []
    heard = anyio.Event()

    def listen(event: JournalEvent) -> None:
        events.append(event)
        heard.set()

    journal = await Journal.open(path, on_event=listen)
    await journal.write([*acts.started(), acts.taken("0.ts")])
    ballast = fill(small_disk)
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            for number in range(1, 60):
                tasks.start_soon(journal.write, [acts.taken(f"{number}.ts")])
            await heard.wait()
            await journal.ping()
            with JournalReader(path) as reader:
                assert [file.path for file in reader.files(1)] == ["0.ts"]
                assert reader.integrity() == []
            ballast.unlink()
        blocked, resumed = events
    assert isinstance(blocked, JournalBlocked)
    assert "full" in blocked.error
    assert "room" in blocked.hint
    assert isinstance(resumed, JournalResumed)
    with JournalReader(path) as reader:
        assert [shard.id for shard in reader.pending_shards("local", 1e9, 99)] == list(range(1, 121, 2))
        assert reader.integrity() == []
    await journal.close()


@pytest.mark.anyio
async def test_stopping_on_a_full_disk_corrupts_nothing(small_disk: Path) -> None:
    path = small_disk / "journal.db"
    heard = anyio.Event()
    journal = await Journal.open(path, on_event=lambda _: heard.set())
    await journal.write([*acts.started(), acts.taken("0.ts")])
    ballast = fill(small_disk)
    refused: list[StorageError] = []

    async def write() -> None:
        try:
            await journal.write([acts.taken(f"{number}.ts") for number in range(1, 60)])
        except StorageError as error:
            refused.append(error)

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            await heard.wait()
            with pytest.raises(StorageError, match="full"):
                await journal.close()
    assert len(refused) == 1
    ballast.unlink()
    journal = await Journal.open(path)
    await journal.close()
    with JournalReader(path) as reader:
        assert [file.path for file in reader.files(1)] == ["0.ts"]
        assert reader.integrity() == []


@pytest.mark.anyio
async def test_there_is_no_room_for_a_journal(small_disk: Path) -> None:
    ballast = fill(small_disk)
    path = small_disk / "journal.db"
    with pytest.raises(StorageError) as caught:
        await Journal.open(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint
    ballast.unlink()
    await (await Journal.open(path)).close()


@pytest.mark.anyio
async def test_who_listens_waits_for_room_to_open(small_disk: Path) -> None:
    ballast = fill(small_disk)
    path = small_disk / "journal.db"
    events: list[JournalEvent] = []

    def listen(event: JournalEvent) -> None:
        events.append(event)
        ballast.unlink(missing_ok=True)

    with anyio.fail_after(PATIENCE_S):
        journal = await Journal.open(path, on_event=listen)
        await journal.write(acts.started())
        await journal.close()
    blocked, resumed = events
    assert isinstance(blocked, JournalBlocked)
    assert str(path) in blocked.error
    assert "room" in blocked.hint
    assert isinstance(resumed, JournalResumed)
