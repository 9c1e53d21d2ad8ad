import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from hlspub.errors import ExitCode, InputError, JournalDamaged, JournalError, StorageError
from hlspub.journal import schema, statements
from hlspub.journal.database import open_reader, open_writer
from hlspub.journal.reader import JournalReader
from tests.journal import acts
from tests.support.powerless import NOBODY, powerless

NEXT = (*schema.MIGRATIONS, "ALTER TABLE stream ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue';")


def filled(path: Path) -> None:
    """A journal that was closed well."""
    with closing(open_writer(path)) as db:
        for record in (*acts.started(), acts.taken("a.ts")):
            statements.write(db, record)


def test_a_new_journal_is_synced_checked_and_strict(path: Path) -> None:
    with closing(open_writer(path)) as db:
        pragmas = {
            name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "foreign_keys")
        }
        assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(schema.MIGRATIONS)
        tables = {name: strict for _, name, kind, _, _, strict in db.execute("PRAGMA table_list") if kind == "table"}
        assert {"file", "block", "shard"} < set(tables)
        assert [name for name, strict in tables.items() if not strict and not name.startswith("sqlite_")] == []
    assert not list(path.parent.glob("*.backup"))


def test_every_foreign_key_has_an_index(path: Path) -> None:
    """Without one, each row that is reclaimed costs a scan of the table that refers to it."""
    with closing(open_writer(path)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            indexes = [
                [column for _, _, column in db.execute(f"PRAGMA index_info({index})")]
                for _, index, *_ in db.execute(f"PRAGMA index_list({table})")
            ]
            keys: dict[int, list[str]] = {}
            for key, _, _, column, *_ in db.execute(f"PRAGMA foreign_key_list({table})"):
                keys.setdefault(key, []).append(column)
            short = ("stream_id", "target_id")  # few rows, never removed one by one
            for columns in keys.values():
                covered = any(index[: len(columns)] == columns for index in indexes)
                prefix = any(index[0] == columns[0] == "session_id" and index[1:2] == columns[1:2] for index in indexes)
                assert covered or prefix or columns[0] in short, (table, columns)


def test_an_older_journal_is_backed_up_and_migrated(path: Path) -> None:
    filled(path)
    with closing(open_writer(path, NEXT)) as db:
        assert db.execute("SELECT name, colour FROM stream").fetchall() == [("main", "blue")]
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(NEXT)
    (backup,) = path.parent.glob("*.backup*")
    assert backup.name == f"journal.db.v{len(schema.MIGRATIONS)}.backup"
    with JournalReader(backup) as reader:
        assert [file.path for file in reader.files(1)] == ["a.ts"]
        assert reader.integrity() == []


def test_a_released_journal_keeps_its_rows(path: Path) -> None:
    with closing(open_writer(path, schema.MIGRATIONS[:1])) as db:
        for record in (*acts.started(), acts.taken("a.ts"), *acts.playlist("i.m3u8", 1, "a.ts")):
            statements.write(db, record)
        db.execute("INSERT INTO interval VALUES (1, 'i.m3u8', 'b.ts', 1, NULL, NULL, 'segment', 7)")
    open_writer(path).close()
    with JournalReader(path) as reader:
        assert [file.path for file in reader.files(1)] == ["a.ts", "i.m3u8"]
        assert [(i.path, i.bound, i.sequence) for i in reader.intervals(1)] == [("a.ts", 1, 0), ("b.ts", None, 7)]
        assert reader.passed(1) == []
        assert reader.integrity() == []


def test_one_backup_a_version_is_kept_the_newest(path: Path) -> None:
    filled(path)
    (path.parent / f"journal.db.v{len(schema.MIGRATIONS)}.backup").write_bytes(b"of a migration that was cut off")
    (path.parent / f"journal.db.v{len(schema.MIGRATIONS)}.backup.tmp").write_bytes(b"of another")
    open_writer(path, NEXT).close()
    (backup,) = path.parent.glob("*.backup*")
    with JournalReader(backup) as reader:
        assert reader.integrity() == []


def test_a_migration_without_room_for_a_backup_changes_nothing(small_disk: Path) -> None:
    path, ballast = small_disk / "journal.db", small_disk / "ballast"
    filled(path)
    with closing(open_writer(path)) as db:
        db.execute("UPDATE session SET settings = hex(zeroblob(300000))")
    ballast.write_bytes(bytes(1_000_000))
    before = path.read_bytes()
    with pytest.raises(StorageError, match="no room for a copy") as caught:
        open_writer(path, NEXT)
    assert "room" in caught.value.hint
    assert path.read_bytes() == before
    assert not list(small_disk.glob("*.backup*"))
    ballast.unlink()
    open_writer(path, NEXT).close()
    assert list(small_disk.glob("*.backup"))


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE extra (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1);",
        "CREATE TABLE extra (x INTEGER) STRICT; DELETE FROM car;",
    ],
    ids=["an error", "a row whose parent is gone"],
)
def test_a_migration_that_fails_changes_nothing(path: Path, script: str) -> None:
    filled(path)
    with pytest.raises((sqlite3.OperationalError, JournalError)):
        open_writer(path, (*schema.MIGRATIONS, script))
    with JournalReader(path) as reader:
        assert [file.path for file in reader.files(1)] == ["a.ts"]
        assert reader.integrity() == []
    with closing(open_writer(path, NEXT)) as db:  # and the next try is not in its own way
        assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'extra'").fetchone() == (0,)


def test_a_newer_journal_is_refused(path: Path) -> None:
    open_writer(path, NEXT).close()
    for opener in (open_writer, open_reader):
        with pytest.raises(
            JournalError, match=f"has version {len(NEXT)}; this hlspub knows versions up to {len(schema.MIGRATIONS)}"
        ) as caught:
            opener(path)
        assert caught.value.exit_code == ExitCode.CONFIG
        assert "newer" in caught.value.hint
        assert not isinstance(caught.value, JournalDamaged)


def test_a_journal_without_its_version_is_damaged(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA user_version = 0")
    with pytest.raises(JournalError, match="tables but no version"):
        open_writer(path)


def test_garbage_is_not_a_journal(path: Path) -> None:
    path.write_bytes(b"this is not a database, " * 400)
    for opener in (open_writer, open_reader):
        with pytest.raises(JournalDamaged, match="damaged: file is not a database") as caught:
            opener(path)
        assert "hlspub recover" in caught.value.hint
    assert path.read_bytes().startswith(b"this is not")


def test_a_truncated_journal_is_damaged(path: Path) -> None:
    filled(path)
    os.truncate(path, path.stat().st_size - 4096)
    with pytest.raises(JournalDamaged, match="damaged"):
        open_writer(path)


def test_another_programs_database_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")
    before = path.read_bytes()
    for opener in (open_writer, open_reader):
        with pytest.raises(JournalError, match="not a journal of hlspub"):
            opener(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [None, b""], ids=["none", "empty"])
def test_there_is_no_journal(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=str(path)) as caught:
        open_reader(path)
    assert caught.value.exit_code == ExitCode.NO_INPUT


def test_an_empty_file_becomes_a_journal(path: Path) -> None:
    path.touch()  # what a power cut may leave of the first start
    open_writer(path).close()
    open_reader(path).close()


_AS_ANOTHER = """
import sys
from pathlib import Path
from hlspub.errors import PermissionRefused
from hlspub.journal.database import open_reader, open_writer
for opener in (open_reader, open_writer):
    try:
        opener(Path(sys.argv[1]))
    except PermissionRefused as error:
        print(error.exit_code.name, error.hint)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
@pytest.mark.parametrize("mode", [0o700, 0o755], ids=["a closed directory", "a readable one"])
def test_another_user_is_told_so(tmp_path: Path, mode: int) -> None:
    home = tmp_path / "data"
    home.mkdir()
    filled(home / "journal.db")
    for path in (home, *home.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    home.chmod(mode)
    answer = subprocess.run(
        [*powerless(), sys.executable, "-c", _AS_ANOTHER, str(home / "journal.db")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = answer.stdout.splitlines()
    assert len(lines) == 2, answer.stderr
    assert all(line.startswith("NO_PERMISSION") and "as the user" in line for line in lines)


def test_a_reader_may_be_older_than_the_migration(path: Path) -> None:
    filled(path)
    with closing(open_reader(path)) as reader:
        open_writer(path, NEXT).close()
        assert reader.execute("SELECT name FROM stream").fetchall() == [("main",)]


def test_a_journal_needs_its_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        open_writer(tmp_path / "nowhere" / "journal.db")
