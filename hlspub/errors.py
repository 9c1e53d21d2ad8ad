"""The error tree: whose fault, whether another try helps, and what to do now.

    HlspubError
    ├── ConfigError          the operator: a wrong key, value or file                    exit 78
    ├── InputError           the operator: no such directory, file or root              exit 66
    ├── PermissionRefused    the operator: a file or socket that may not be opened      exit 77
    ├── AnotherInstance      the operator: the data_dir is in use                       exit 75
    ├── DataError            what was handed in: bytes that are not what they claim     exit 65
    │   ├── CidError             a CID that does not parse
    │   ├── BlockError           a dag-pb, UnixFS or hash that is wrong
    │   ├── CarError             a CAR that is truncated, overlong or lies
    │   ├── IpnsError            a name, key or record of IPNS that is none, or not signed
    │   └── PlaylistError        a playlist that is not one, or not whole
    ├── FileGone             the transcoder: a file vanished before it was read; nothing to retry
    ├── FileChanged          the transcoder: a file changed while it was read; settle again
    ├── StorageError         this machine: disk full, I/O error; retried until there is room    exit 74
    ├── JournalError         this machine: the journal is another program's or version's       exit 78
    │   └── JournalDamaged       it is damaged, gone, or older than what was published
    └── TargetError          a target: unreachable, refusing, lying                     exit 69

Anything else that is raised is a bug: the process ends with 70 and the journal makes that safe.
Every error carries `hint`, one sentence that tells the reader what to do.
"""

from collections.abc import Generator
from contextlib import contextmanager
from enum import IntEnum


class ExitCode(IntEnum):
    """The sysexits(3) codes that the commands end with; systemd prints their names."""

    OK = 0
    USAGE = 64
    DATA = 65
    NO_INPUT = 66
    UNAVAILABLE = 69
    SOFTWARE = 70
    IO = 74
    TEMPORARY = 75
    NO_PERMISSION = 77
    CONFIG = 78


class HlspubError(Exception):
    """What went wrong, and in `hint` what to do about it."""

    exit_code = ExitCode.SOFTWARE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(HlspubError):
    """The configuration is wrong; the message lists every mistake found."""

    exit_code = ExitCode.CONFIG


class InputError(HlspubError):
    """What the command was pointed at does not exist."""

    exit_code = ExitCode.NO_INPUT


class PermissionRefused(HlspubError):  # noqa: N818 -- read as a sentence where it is caught
    """A file, directory or socket may not be opened by this user."""

    exit_code = ExitCode.NO_PERMISSION


class AnotherInstance(HlspubError):  # noqa: N818 -- as above
    """Another process holds this data_dir."""

    exit_code = ExitCode.TEMPORARY


class DataError(HlspubError):
    """Bytes that are not what they claim to be. `offset` is in bytes from their start, when known."""

    exit_code = ExitCode.DATA

    def __init__(self, message: str, *, offset: int | None = None, hint: str = "") -> None:
        super().__init__(message if offset is None else f"{message} (at byte {offset})", hint=hint)
        self.offset = offset


class CidError(DataError):
    """A CID that does not parse or uses a codec or hash that has no place here."""


class BlockError(DataError):
    """A block whose bytes do not match its CID, or do not decode."""


class CarError(DataError):
    """A CAR that is truncated, overlong, of the wrong version, or whose blocks lie."""


class IpnsError(DataError):
    """A name, a key or a record of IPNS that is none, or that its key did not sign."""


class PlaylistError(DataError):
    """A playlist that is not one (HTML, not UTF-8, no EXTM3U) or is not whole yet."""


class FileGone(HlspubError):  # noqa: N818 -- as above
    """A file vanished between being noticed and being read."""


class FileChanged(HlspubError):  # noqa: N818 -- as above
    """A file changed while it was read; it has to settle again."""


class StorageError(HlspubError):
    """This machine's disk refused: full, read-only, failing. Retried until there is room."""

    exit_code = ExitCode.IO


class JournalError(HlspubError):
    """The journal is not one that this hlspub can go on with."""

    exit_code = ExitCode.CONFIG


class JournalDamaged(JournalError):  # noqa: N818 -- as above
    """The journal is damaged, gone, or older than what was published; `hlspub recover` makes it good."""


class TargetError(HlspubError):
    """A target could not be reached, refused, or answered what cannot be true.

    `retry_s` is the wait in seconds that the target or the adapter asks for; None when another try cannot help
    until a person acts.
    """

    exit_code = ExitCode.UNAVAILABLE

    def __init__(self, message: str, *, retry_s: float | None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_s = retry_s


@contextmanager
def one_error() -> Generator[None]:
    """Let an expected error out of the task groups that it passed through; groups that hold a bug stay whole.

    Raises:
        HlspubError: the first of those that were raised at the same time.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        expected, bugs = group.split(HlspubError)
        if bugs is not None or expected is None:
            raise
        first: BaseException = expected
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from group
