"""Reading a file of the transcoder's: only a whole one, only the one that was meant, and nothing else (P1, P2, P7).

Rule: the file is opened read-only, and nothing but reading is ever done to it. The bytes count when the file was, before
and after they were read, in the very state that the watcher saw settled: same device, inode, size, modification and change
time.

One change is allowed while reading: that the *name* goes, because the transcoder removed the file or renamed a newer one
over it. Then the bytes are still those of the settled file, whole, and dropping them would lose it for ever. That alone
moves the change time, so size and modification time of the open file have to vouch for it.
"""

import errno
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from hlspub.errors import DataError, FileChanged, FileGone, HlspubError, PermissionRefused, StorageError
from hlspub.model import FileIdentity

# Not to wait for a FIFO's writer, and no terminal to take over, should such a thing take the file's place at this instant.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})


class SourceFailed(StorageError):  # noqa: N818 -- read as a sentence where it is caught
    """The disk of the file that is read fails, not the one that is written to."""


@contextmanager
def settled(source: Path, expected: FileIdentity) -> Generator[int]:
    """Lend a descriptor of the file, at its start; what was read from it counts when this ends without an error.

    Raises:
        FileGone: it is not there any more.
        FileChanged: it is not in the state `expected`, before or after.
        PermissionRefused: this user may not read it.
        DataError: it is no regular file.
        SourceFailed: its disk fails.
    """
    try:
        _check_regular(source, source.stat())  # before opening: a device may act on being opened
        handle = os.open(source, _FLAGS)
    except OSError as error:
        raise _explain(source, error) from error
    try:
        found = os.fstat(handle)
        _check_regular(source, found)
        if FileIdentity.of(found) != expected:
            raise FileChanged(f"{source} changed after it had settled", hint="It is taken when it has settled again.")
        yield handle
        _check_unchanged(handle, source, expected)
    finally:
        os.close(handle)


def read_settled(source: Path, expected: FileIdentity, limit: int) -> bytes:
    """The bytes of a settled file of at most `limit` bytes: a playlist's.

    Raises:
        DataError: it is longer, or no regular file.
        FileGone, FileChanged, PermissionRefused, StorageError: as `settled`.
    """
    with settled(source, expected) as handle:
        if expected.size > limit:
            raise DataError(f"{source} has {expected.size} bytes, more than the {limit} that are read of such a file")
        parts: list[bytes] = []
        left = expected.size
        while left:
            try:
                part = os.read(handle, left)
            except OSError as error:
                raise _explain(source, error) from error
            if not part:
                raise FileChanged(f"{source} became shorter while it was read", hint="It has to settle again.")
            parts.append(part)
            left -= len(part)
    return b"".join(parts)


def _check_regular(source: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise DataError(
            f"{source} is {_kind(found.st_mode)}, not a regular file", hint="Only regular files are published."
        )


def _check_unchanged(handle: int, source: Path, expected: FileIdentity) -> None:
    after = FileIdentity.of(os.fstat(handle))
    try:
        named = FileIdentity.of(source.stat())
    except OSError as error:
        if error.errno not in _GONE:
            raise _explain(source, error) from error
        named = None
    if after == expected == named:
        return
    same_file = named is not None and (named.device, named.inode) == (expected.device, expected.inode)
    if same_file or (after.size, after.mtime_ns) != (expected.size, expected.mtime_ns):
        raise FileChanged(f"{source} changed while it was read", hint="It is taken when it has settled again.")


def _explain(source: Path, error: OSError) -> HlspubError:
    if error.errno in _GONE:
        return FileGone(f"{source} is gone", hint="It was removed before it could be read.")
    if isinstance(error, PermissionError):
        return PermissionRefused(
            f"{source}: this user may not read it",
            hint="Give hlspub's user the transcoder's group (SupplementaryGroups=), and that group read permission.",
        )
    if error.errno == errno.ELOOP:
        return DataError(f"{source} is a symbolic link that leads in circles")
    return SourceFailed(
        f"{source} cannot be read: {error.strerror}", hint="Look at the kernel's log (dmesg) for its disk."
    )


def _kind(mode: int) -> str:
    kinds = (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((word for is_kind, word in kinds if is_kind(mode)), "something else")
