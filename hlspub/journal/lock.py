"""One daemon a data directory: a lock that ends with its process, however that ends.

Rule: the lock is flock(2) on `<data_dir>/lock`, never the file's existence; the file stays and says in one line who holds it
and since when, so that the second one can tell its operator. It is never removed: a lock on a removed file guards nothing.
"""

import errno
import fcntl
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from hlspub.errors import AnotherInstance, InputError, PermissionRefused, StorageError

FILE_NAME = "lock"
_HELD = frozenset({errno.EWOULDBLOCK, errno.EACCES})
_LINE = 200  # bytes that are read of the holder's line


class InstanceLock:
    """The lock on `data_dir`, held from construction to `release`. `now`: Unix seconds, written into it.

    Raises:
        AnotherInstance: another process holds it; the message says which and since when.
        InputError: there is no such directory.
        PermissionRefused: this user may not write there.
        StorageError: the file system knows no locks, or fails.
    """

    def __init__(self, data_dir: Path, now: float) -> None:
        path = data_dir / FILE_NAME
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InputError(f"there is no directory {data_dir}", hint="Make it, or change data_dir.") from error
        except PermissionError as error:
            raise PermissionRefused(
                f"this user may not write to {data_dir}", hint="Run as the user who owns it, or change its owner."
            ) from error
        except OSError as error:
            raise _storage(path, error) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._handle, _LINE, 0).decode("utf-8", "replace").strip()
            os.close(self._handle)
            if error.errno not in _HELD:
                raise _storage(path, error) from error
            raise AnotherInstance(
                f"another hlspub uses {data_dir}: {holder or 'it does not say which'}",
                hint="Ask it with `hlspub status`, stop it, or give this one a data_dir of its own.",
            ) from error
        since = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        line = f"pid {os.getpid()}, since {since}\n".encode()
        with suppress(OSError):  # on a full disk the lock holds all the same; only its holder stays unsaid
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, line, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let go; idempotent."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _storage(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path} cannot be locked: {error.strerror}", hint="Put data_dir on a local file system with locks and room."
    )
