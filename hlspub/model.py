"""The frozen values that travel between the rooms.

Rule: what crosses a room's door is declared here, so that edges need not import one another. Paths are relative to the
stream's directory, in POSIX form, as they stand in the published tree. Times are Unix seconds (float) of the injected clock;
sizes are bytes; file times are nanoseconds as `stat` gives them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from hlspub.ipld.block import BlockAt
from hlspub.ipld.cid import Cid


class Clock(Protocol):
    """Time, passed in so that a test can own it."""

    def now(self) -> float:
        """Unix seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, from an arbitrary start."""
        ...


class StatResult(Protocol):
    """The five fields of `os.stat_result` that identify a file's state."""

    @property
    def st_dev(self) -> int: ...  # noqa: D102 -- as stat(2) has it
    @property
    def st_ino(self) -> int: ...  # noqa: D102 -- as above
    @property
    def st_size(self) -> int: ...  # noqa: D102 -- as above
    @property
    def st_mtime_ns(self) -> int: ...  # noqa: D102 -- as above
    @property
    def st_ctime_ns(self) -> int: ...  # noqa: D102 -- as above


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What `stat` says of a file; while it is unchanged, so are the bytes (P1)."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, stat: StatResult) -> Self:
        """The identity of the file that `stat` describes."""
        return cls(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


class SettledBy(StrEnum):
    """How the watcher knows that a file is finished."""

    CLOSED = "closed"  # IN_CLOSE_WRITE
    MOVED = "moved"  # renamed into place
    QUIET = "quiet"  # unchanged for `settle`, and something later vouches for it


@dataclass(frozen=True, slots=True)
class Settled:
    """A finished file: its path, its state at that instant and when that was noticed."""

    path: str
    identity: FileIdentity
    by: SettledBy
    noticed_at: float


class FileKind(StrEnum):
    """What a file is to a stream."""

    PLAYLIST = "playlist"
    MEDIA = "media"  # segments, initialization sections, subtitles
    KEY = "key"  # an HLS content key: stays unless publish_keys (P8)
    OTHER = "other"


class CarKind(StrEnum):
    """A file CAR holds one settled file; a node CAR the directory blocks that a new root needs."""

    FILE = "file"
    NODES = "nodes"


@dataclass(frozen=True, slots=True)
class Car:
    """A CAR that lies whole and synced in the spool. `key` is its file name there: unique, and safe in a path.

    `sha256` is the digest of all its bytes, where it was asked for.
    """

    key: str
    kind: CarKind
    root: Cid
    size_bytes: int
    blocks: tuple[BlockAt, ...]
    sha256: bytes | None = None


@dataclass(frozen=True, slots=True)
class Packed:
    """A file that was read once: its CID, its length, its cumulative size (`tsize`, UnixFS) and its CAR."""

    cid: Cid
    size_bytes: int
    tsize: int
    car: Car


@dataclass(frozen=True, slots=True)
class Receipt:
    """A target's confirmation of one shard; `note` is what the target said, for people."""

    target: str
    shard: int
    confirmed_at: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Publication:
    """A root made available: the `seq`-th of its stream."""

    stream: str
    session: str
    seq: int
    root: Cid
    entry: str
    final: bool
    published_at: float
    latency_s: float
