"""Opening the journal: for the one writer, which makes and migrates it, and for any number of readers.

Rule: what is opened is checked at a cost that does not grow with it: that it is a SQLite file, that it is hlspub's, that its
version is known. A crash leaves nothing to repair, because SQLite's write-ahead log is a checksummed journal of its own; the
bytes of old pages are proved when they are read, and all of them by `integrity()`, which a person may call.

A migration is one transaction, after a whole copy was put beside the journal. WAL with `synchronous = FULL` syncs the log
before a commit returns, so what was acknowledged survives a power cut.

Never open the database file by any other call than SQLite's in a process that uses it: closing any descriptor of a file
drops all POSIX locks that the process holds on it (sqlite.org/howtocorrupt.html §2.2).
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from hlspub.errors import HlspubError, InputError, JournalError, PermissionRefused, StorageError
from hlspub.journal import schema
from hlspub.journal.trouble import damaged, explain

_BUSY_S = 1.0  # wait for another program's lock before it is reported
_CACHE_KIB = 4 * 1024  # for each connection; the kernel caches the rest of the file
_NEEDS_FILES = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})  # readers share memory by a file beside it
_BACKUP = ".backup"
_KEEP_WAL = 16 * 1024 * 1024  # bytes that the log's file may keep after a checkpoint

_WRITER = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA journal_size_limit = {_KEEP_WAL};
PRAGMA cache_size = -{_CACHE_KIB};
"""


def open_writer(path: Path, migrations: Sequence[str] = schema.MIGRATIONS) -> sqlite3.Connection:
    """Open the journal for writing, make it when there is none, migrate it when it is older. Blocking.

    Raises:
        JournalError: it is damaged, another program's, or from a newer hlspub.
        StorageError: this machine's disk refuses.
        InputError: there is no such directory.
        PermissionRefused: this user may not write there.
    """
    _check_access(path.parent, path, os.W_OK | os.X_OK)
    if path.exists():
        _check_access(path, path, os.R_OK | os.W_OK)
    # The thread that opens it is not the one that writes; never two at a time.
    db = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S, check_same_thread=False)
    try:
        version = _version(db, path, len(migrations))
        db.executescript(_WRITER)  # before anything is written: what a crash leaves unfinished, a reader can pass over
        if version < len(migrations):
            if version > 0:
                _back_up(db, path, version)
            _migrate(db, path, version, migrations)
        db.execute("PRAGMA foreign_keys = ON")  # not before: a migration may rebuild tables
    except BaseException as error:
        db.close()
        raise _ours(error, path) from error
    return db


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the journal for reading, beside a writer or without one.

    Raises:
        InputError: there is no journal.
        PermissionRefused: this user may not open it.
        JournalError: it is damaged, another program's, or of another version.
    """
    _check_access(path, path, os.R_OK)
    place = f"{path.absolute().as_uri()}?mode=ro"
    db = sqlite3.connect(place, uri=True, isolation_level=None, timeout=_BUSY_S, check_same_thread=False)
    try:
        _check_readable(_version(db, path, len(schema.MIGRATIONS)), path)
    except BaseException as error:
        db.close()
        if isinstance(error, sqlite3.OperationalError):
            if error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK:
                raise _no_journal(
                    path
                ) from error  # cut off while it was being made: only then it is not in WAL mode yet
            if error.sqlite_errorcode & 0xFF in _NEEDS_FILES:
                raise _no_permission(path) from error
        raise _ours(error, path) from error
    return db


def _check_access(thing: Path, journal: Path, mode: int) -> None:
    try:
        thing.stat()
    except PermissionError as error:
        raise _no_permission(journal) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _no_journal(journal) from error
    if not os.access(thing, mode):
        raise _no_permission(journal)


def _check_readable(version: int, path: Path) -> None:
    if version == 0:
        raise _no_journal(path)
    if version < len(schema.MIGRATIONS):
        raise JournalError(
            f"the journal {path} has version {version}, this hlspub reads version {len(schema.MIGRATIONS)}",
            hint="Start `hlspub run` once: it backs the journal up and migrates it.",
        )


def _version(db: sqlite3.Connection, path: Path, known: int) -> int:
    """The journal's version, 0 for an empty file."""
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    application: int = db.execute("PRAGMA application_id").fetchone()[0]
    tables: int = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if version == 0 and tables == 0:
        return 0
    if application != schema.APPLICATION_ID:
        raise JournalError(
            f"{path} is a SQLite database, but not a journal of hlspub",
            hint="Name another data_dir, or move that file elsewhere.",
        )
    if version > known:
        raise JournalError(
            f"the journal {path} has version {version}; this hlspub knows versions up to {known}",
            hint="It was written by a newer hlspub: install that one again. A copy from before its migration may lie "
            f"beside the journal ({path.name}.v*{_BACKUP}).",
        )
    if version == 0:
        raise damaged(path, "it has tables but no version")
    return version


def _back_up(db: sqlite3.Connection, path: Path, version: int) -> None:
    """Put a whole copy of the journal beside it, under a name that says its version; there is one a version.

    Raises:
        StorageError: there is no room for it; nothing was changed.
    """
    backup = path.with_name(f"{path.name}.v{version}{_BACKUP}")
    unfinished = backup.with_name(f"{backup.name}.tmp")
    unfinished.unlink(missing_ok=True)
    needed = db.execute("PRAGMA page_count").fetchone()[0] * db.execute("PRAGMA page_size").fetchone()[0]
    room = os.statvfs(path.parent)
    if needed > room.f_bavail * room.f_frsize:
        raise StorageError(
            f"no room for a copy of the journal {path} before its migration: {needed} bytes",
            hint="Make room on that file system; the journal is as it was.",
        )
    try:
        db.execute("VACUUM INTO ?", (str(unfinished),))
        _sync(unfinished)
        unfinished.rename(backup)
        _sync(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _migrate(db: sqlite3.Connection, path: Path, version: int, migrations: Sequence[str]) -> None:
    """Bring the journal from `version` to the newest one in one transaction; foreign keys are checked at its end."""
    newest = len(migrations)
    try:
        db.executescript("BEGIN IMMEDIATE;" + "".join(migrations[version:newest]))
        db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {newest}")
        _check_references(db, path)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _check_references(db: sqlite3.Connection, path: Path) -> None:
    broken = db.execute("PRAGMA foreign_key_check").fetchone()
    if broken is not None:
        raise damaged(
            path, f"its migration found rows of {broken[0]} that refer to rows of {broken[2]} that are not there"
        )


def _ours(error: BaseException, path: Path) -> BaseException:
    """The error of ours for one of SQLite's; any other as it is."""
    return (explain(error, path) or error) if isinstance(error, sqlite3.Error) else error


def _no_journal(path: Path) -> HlspubError:
    return InputError(
        f"there is no journal at {path}",
        hint="Check data_dir in the configuration; `hlspub run` makes the journal in it.",
    )


def _no_permission(path: Path) -> HlspubError:
    return PermissionRefused(
        f"this user may not open the journal {path}",
        hint="Run the command as the user that `hlspub run` runs as; also reading needs write access to the directory.",
    )
