import sqlite3
from contextlib import closing
from pathlib import Path
from threading import get_ident

import anyio
import pytest

from hlspub.errors import InputError, JournalError
from hlspub.journal.journal import Journal
from hlspub.journal.reader import JournalReader, JournalReads
from hlspub.records import StreamDeclared
from tests.journal import acts
from tests.journal.conftest import Book


@pytest.mark.anyio
async def test_reading_beside_the_writer_sees_whole_commits_only(path: Path) -> None:
    """Each commit has one stream, one session and two files: a reader never finds them apart."""
    journal = await Journal.open(path)
    reads = JournalReads(path, threads=2)
    seen: list[int] = []

    def count(reader: JournalReader) -> int:
        streams = reader.streams()
        files = [len(list(reader.files(session.id))) for stream in streams for session in reader.sessions(stream.name)]
        assert files == [2] * len(streams)
        return len(streams)

    async def look() -> None:
        while not seen or seen[-1] < 40:
            seen.append(await reads.run(count))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look)
        tasks.start_soon(look)
        for number in range(1, 41):
            await journal.write(
                [
                    *acts.started(number, f"s{number}"),
                    acts.taken("a.ts", session=number),
                    acts.taken("b.ts", session=number),
                ]
            )
    reads.close()
    await journal.close()
    assert seen[-1] == 40


@pytest.mark.anyio
async def test_questions_are_asked_in_another_thread(path: Path) -> None:
    journal = await Journal.open(path)
    await journal.write([StreamDeclared("main", "/srv", 1.0)])
    reads = JournalReads(path)
    assert await reads.run(lambda _: get_ident()) != get_ident()
    assert await reads.run(JournalReader.last_seq, "main") == 0
    assert (await reads.run(JournalReader.backlog, target="kubo")).cars == 0
    with pytest.raises(TypeError, match="used up"):
        await reads.run(JournalReader.files, 1)
    assert await reads.run(lambda reader: list(reader.files(1))) == []
    reads.close()
    await journal.close()


@pytest.mark.anyio
async def test_asking_without_a_journal(path: Path) -> None:
    reads = JournalReads(path)
    with pytest.raises(InputError):
        await reads.run(JournalReader.streams)
    await (await Journal.open(path)).close()
    assert await reads.run(JournalReader.streams) == []
    reads.close()


@pytest.mark.anyio
async def test_reading_after_the_daemons_death(path: Path) -> None:
    """The log was not folded into the database when the process died; a reader finds what it holds."""
    journal = await Journal.open(path)
    await journal.write(acts.started())
    for suffix in ("", "-wal"):  # what another process would find now
        (path.parent / f"dead.db{suffix}").write_bytes(path.with_name(path.name + suffix).read_bytes())
    await journal.close()
    with JournalReader(path.parent / "dead.db") as reader:
        assert [session.id for session in reader.sessions("main")] == [1]
        assert reader.integrity() == []


def test_a_reader_cannot_write(book: Book) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        book.reader._db.execute("DELETE FROM stream")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("INSERT INTO car VALUES (9, 'k', 'file', x'00', 1, NULL)", "1 CARs without a block"),
        ("INSERT INTO shard (target_id, urgent, size, queued_at) VALUES (1, 0, 1, 1.0)", "1 shards without a CAR"),
        ("UPDATE interval SET to_version = 1", "1 listings that end before they begin"),
        ("UPDATE stream SET last_seq = 7", "1 streams whose last seq"),
        ("DELETE FROM car", "table file refers to a row of car"),
    ],
)
def test_integrity_says_what_is_wrong(path: Path, damage: str, said: str) -> None:
    book = Book(path)
    book.write(acts.started(), acts.taken("a.ts"), acts.playlist("live.m3u8", 1, "a.ts"))
    assert book.reader.integrity() == []
    book.db.execute("PRAGMA foreign_keys = OFF")
    book.db.execute(damage)
    assert any(said in line for line in book.reader.integrity())
    book.close()


def test_integrity_reads_every_page(path: Path) -> None:
    with closing(Book(path)) as book:
        book.write(acts.started(), (acts.taken(f"{number}.ts") for number in range(300)))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 4096 // 2 * 4096)
        file.write(b"\xff" * 4096)
    with JournalReader(path) as reader:
        assert reader.integrity() != []


def test_damage_met_while_reading_is_said_so(path: Path) -> None:
    with closing(Book(path)) as book:
        book.write(acts.started(), (acts.taken(f"{number}.ts") for number in range(600)))
    acts.damage(path)
    with JournalReader(path) as reader, pytest.raises(sqlite3.DatabaseError):
        list(reader.files(1))
    with pytest.raises(JournalError, match="damaged"), JournalReader(path) as reader:
        list(reader.files(1))


@pytest.mark.anyio
async def test_damage_met_while_asking_is_said_so(path: Path) -> None:
    with closing(Book(path)) as book:
        book.write(acts.started(), (acts.taken(f"{number}.ts") for number in range(600)))
    acts.damage(path)
    reads = JournalReads(path)
    with pytest.raises(JournalError, match="damaged"):
        await reads.run(lambda reader: list(reader.files(1)))
    reads.close()
