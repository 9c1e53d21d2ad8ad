from contextlib import closing
from pathlib import Path

import pytest

from hlspub.errors import ExitCode, JournalDamaged
from hlspub.journal import statements
from hlspub.journal.database import open_writer
from hlspub.journal.reader import JournalReader
from hlspub.pipeline.recovering_need import refuse_missing, refuse_older
from hlspub.records import Record, RootMade
from hlspub.spool.publications import PublicationLog, PublishedLine
from hlspub.spool.store import CarStore
from tests.journal import acts


def journal(data_dir: Path, *records: Record) -> None:
    with closing(open_writer(data_dir / "journal.sqlite")) as db:
        for record in records:
            statements.write(db, record)


def publish(data_dir: Path, made: RootMade, seq: int) -> None:
    line = PublishedLine("main", "label", seq, made.root, made.entry, made.final, "{}", 1.0)
    PublicationLog(data_dir / "publications.jsonl").append(line)


def older(data_dir: Path) -> None:
    with JournalReader(data_dir / "journal.sqlite") as reader:
        refuse_older(reader, data_dir)


def stock(data_dir: Path) -> None:
    store = CarStore(data_dir / "local")
    store.prepare()
    car = acts.file_car("x", size=1)
    store.path(car.key).parent.mkdir()
    store.path(car.key).write_bytes(b"x")


def test_a_first_start_is_one(tmp_path: Path) -> None:
    refuse_missing(tmp_path)
    journal(tmp_path)
    refuse_missing(tmp_path)
    older(tmp_path)
    CarStore(tmp_path / "local").prepare()
    older(tmp_path)


@pytest.mark.parametrize("empty", [False, True])
def test_a_journal_is_missing_beside_a_store(tmp_path: Path, empty: bool) -> None:
    stock(tmp_path)
    if empty:
        (tmp_path / "journal.sqlite").touch()
    with pytest.raises(JournalDamaged, match=r"there is no journal at .* holds CARs") as caught:
        refuse_missing(tmp_path)
    assert caught.value.exit_code == ExitCode.CONFIG
    assert "hlspub recover" in caught.value.hint


def test_a_journal_is_missing_beside_publications(tmp_path: Path) -> None:
    publish(tmp_path, acts.root_made(1), 1)
    with pytest.raises(JournalDamaged, match="names publications"):
        refuse_missing(tmp_path)


def test_a_journal_that_knows_nothing_beside_a_store(tmp_path: Path) -> None:
    stock(tmp_path)
    journal(tmp_path, acts.started()[0])
    with pytest.raises(JournalDamaged, match="is empty, but"):
        older(tmp_path)


def test_the_last_publication_is_known_or_about_to_be(tmp_path: Path) -> None:
    first, second = acts.root_made(1), acts.root_made(2)
    publish(tmp_path, first, 1)
    journal(tmp_path, *acts.started(), first)
    older(tmp_path)  # a crash came between the line and its row
    journal(tmp_path, acts.announced(1, 1), second)
    older(tmp_path)
    publish(tmp_path, first, 2)
    with pytest.raises(JournalDamaged, match="up to publication 1, and number 2 was announced"):
        older(tmp_path)  # another root than the one that waits


def test_a_line_that_no_journal_knows(tmp_path: Path) -> None:
    journal(tmp_path, *acts.started(), acts.root_made(1), acts.announced(1, 1))
    publish(tmp_path, acts.root_made(3), 3)
    with pytest.raises(JournalDamaged, match="number 3 was announced"):
        older(tmp_path)


def test_the_newest_line_of_each_stream_is_found_at_the_end_of_a_long_file(tmp_path: Path) -> None:
    log = PublicationLog(tmp_path / "publications.jsonl")
    made = acts.root_made(1)
    for seq in range(1, 4):
        for stream in ("a", "b"):
            log.append(PublishedLine(stream, "label", seq, made.root, made.entry, made.final, "{}", 1.0))
    with log.path.open("ab") as file:
        file.write(b'{"torn')
    assert [(line.stream, line.seq) for line in log.newest()] == [("a", 3), ("b", 3)]
    whole = log.path.read_bytes()
    log.path.write_bytes(b"x" * 300_000 + b"\n" + whole)
    assert [(line.stream, line.seq) for line in log.newest()] == [("a", 3), ("b", 3)]
    log.path.unlink()
    assert log.newest() == []
