"""What SQLite's errors mean to hlspub: this machine's trouble, a damaged journal, or a bug.

Rule: only errors that another try may cure become `StorageError`; they are never an answer to one caller, the writer keeps
what it was given and tries again. Damage becomes `JournalDamaged`. Everything else is a mistake in the code and stays so.

Source: sqlite.org/rescode.html; the low byte of an extended code is its primary code.
"""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from hlspub.errors import HlspubError, JournalDamaged, StorageError

_ROOM = "Make room on that file system; hlspub goes on by itself."
_DISK = "Look at the kernel's log (dmesg) for this disk; hlspub tries again by itself."
_MODE = "Make the directory writable for hlspub; it goes on by itself."
_OTHER = "Another program has the journal open for writing; hlspub goes on when it lets go."

_PASSING: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        sqlite3.SQLITE_FULL: ("the disk is full", _ROOM),
        sqlite3.SQLITE_IOERR: ("the disk reports an error", _DISK),
        sqlite3.SQLITE_READONLY: ("it is read-only", _MODE),
        sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", _MODE),
        sqlite3.SQLITE_PERM: ("it may not be accessed", _MODE),
        sqlite3.SQLITE_BUSY: ("it is locked", _OTHER),
        sqlite3.SQLITE_LOCKED: ("it is locked", _OTHER),
        sqlite3.SQLITE_NOMEM: (
            "there is no memory left",
            "Give the service more memory; hlspub tries again by itself.",
        ),
    }
)
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def explain(error: sqlite3.Error, path: Path) -> HlspubError | None:
    """The error of ours that `error`, met in the journal at `path`, stands for; None for a bug."""
    code: int | None = getattr(error, "sqlite_errorcode", None)  # absent where Python's module itself complains
    primary = -1 if code is None else code & 0xFF
    if primary in _PASSING:
        what, hint = _PASSING[primary]
        return StorageError(f"the journal {path}: {what} ({error})", hint=hint)
    if primary in _DAMAGE:
        return damaged(path, str(error))
    return None


def damaged(path: Path, what: str) -> JournalDamaged:
    """The error for a journal whose bytes are wrong."""
    return JournalDamaged(
        f"the journal {path} is damaged: {what}",
        hint="Stop hlspub and run `hlspub recover`: it rebuilds the journal from the local store and publications.jsonl, and "
        "keeps this one beside it.",
    )
