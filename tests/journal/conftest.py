from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from hlspub.journal import statements
from hlspub.journal.database import open_writer
from hlspub.journal.reader import JournalReader
from hlspub.records import Record
from tests import disks


class Book:
    """A journal that is written record by record, without the thread, and read beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = open_writer(path)
        self.reader = JournalReader(path)

    def write(self, *records: Record | Iterable[Record]) -> None:
        self.db.execute("BEGIN")
        for given in records:
            for record in given if isinstance(given, Iterable) else (given,):
                statements.write(self.db, record)
        self.db.execute("COMMIT")

    def refuses(self, record: Record, error: type[Exception], match: str | None = None) -> None:
        self.db.execute("BEGIN")
        with pytest.raises(error, match=match):
            statements.write(self.db, record)
        self.db.execute("ROLLBACK")

    def close(self) -> None:
        self.reader.close()
        self.db.close()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def book(path: Path) -> Iterator[Book]:
    book = Book(path)
    yield book
    assert book.reader.integrity() == []
    book.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disks.small_disk(tmp_path / "disk") as place:
        yield place
