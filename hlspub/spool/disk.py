"""What the disk's errors mean, and the calls that make a change durable.

Rule: an `OSError` leaves the spool as an error of ours that says what was done where, and what a person can do about it.
"""

import errno
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from hlspub.errors import PermissionRefused, StorageError

_ROOM = "Make room on that file system, or lower max_size; hlspub goes on by itself."
_HINTS: Mapping[int, str] = MappingProxyType(
    {
        errno.ENOSPC: _ROOM,
        errno.EDQUOT: "The user's disk quota is used up: raise it or make room; hlspub goes on by itself.",
        errno.EFBIG: "The file system or a limit of the service (LimitFSIZE) allows no file of that size.",
        errno.EROFS: "The file system is mounted read-only; the kernel's log (dmesg) says why when nobody asked for it.",
        errno.EIO: "Look at the kernel's log (dmesg) for this disk; hlspub tries again by itself.",
        errno.EMFILE: "Raise the number of files that the service may open (LimitNOFILE).",
        errno.ENFILE: "The machine has too many open files; hlspub tries again by itself.",
    }
)


@contextmanager
def explained(doing: str) -> Generator[None]:
    """Turn an `OSError` into an error that says what was being done.

    Raises:
        PermissionRefused: this user may not.
        StorageError: the disk refuses.
    """
    try:
        yield
    except PermissionError as error:
        raise PermissionRefused(
            f"{doing}: permission denied ({error.filename})", hint="Let the user that hlspub runs as own its data_dir."
        ) from error
    except OSError as error:
        raise StorageError(
            f"{doing}: {error.strerror or error}", hint=_HINTS.get(error.errno or 0, _HINTS[errno.EIO])
        ) from error


class Disk:
    """The calls that make a change durable. Stateless; a test records them, and knows what a power cut would leave."""

    def sync_file(self, handle: int) -> None:
        """Make the bytes of an open file durable."""
        os.fsync(handle)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


DISK = Disk()


def make_folder(folder: Path, *, mode: int, disk: Disk = DISK) -> None:
    """Make a folder with that mode, and what leads to it, so that its name is durable; one that is there is a success.

    Raises:
        OSError: it cannot be made.
    """
    missing: list[Path] = []
    there = folder
    while not there.exists():
        missing.append(there)
        there = there.parent
    with suppress(PermissionError):  # a parent that this user may not read: then it was made by another
        disk.sync_folder(there.parent)  # else whoever made it may have died before
    for each in reversed(missing):
        each.mkdir(mode=mode if each is folder else 0o777, exist_ok=True)
        disk.sync_folder(each.parent)


def write_all(handle: int, data: bytes | memoryview) -> None:
    """Write every byte; a disk that fills up midway makes `os.write` return early before it fails."""
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]
