"""What the journal answers: frozen values, never rows.

Times are Unix seconds, sizes bytes, paths as in the published tree. A CAR is named by its key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from hlspub.ipld.cid import Cid
from hlspub.model import CarKind, FileIdentity, FileKind
from hlspub.records import SessionState

_KINDS: Mapping[str, FileKind] = MappingProxyType({kind.value: kind for kind in FileKind})


@dataclass(frozen=True, slots=True)
class QueuedCar:
    """A CAR as a target is sent it. `sha256` is that of all its bytes, where it was asked for; `fleeting`: a playlist's."""

    key: str
    kind: CarKind
    root: Cid
    size_bytes: int
    sha256: bytes | None = None
    fleeting: bool = False


@dataclass(frozen=True, slots=True)
class PendingShard:
    """A shard that its target has not confirmed; `attempts` have failed so far. `error`: how the last one failed."""

    id: int
    attempts: int
    cars: tuple[QueuedCar, ...]
    error: str | None = None
    queued_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What one target has not confirmed.

    `failing` shards were tried in vain, and `parked` of them wait for a person. `next_try_at` is when the first of the
    others is due again; `last_error` says how a parked one failed, else the one that is due first.
    """

    cars: int
    bytes: int
    oldest_at: float | None
    failing: int
    parked: int
    last_error: str | None
    next_try_at: float | None


@dataclass(frozen=True, slots=True)
class SavedStream:
    """A stream that was configured at some time; `last_seq` is that of its last announced root, 0 before the first."""

    name: str
    directory: str
    last_seq: int


@dataclass(frozen=True, slots=True)
class SavedSession:
    """A session as it was left."""

    id: int
    stream: str
    label: str
    state: SessionState
    reason: str | None
    settings: str
    started_at: float
    ending_at: float | None
    ended_at: float | None
    last_taken_at: float | None
    segments: int


class SavedFile(NamedTuple):
    """A file version. There may be a hundred thousand: it is the row as it stands, and its parts are made when asked for."""

    path: str
    version: int
    kind_name: str
    raw_cid: bytes
    size_bytes: int
    tsize: int
    car_key: str
    device: int
    inode: int
    source_size: int
    mtime_ns: int
    ctime_ns: int
    taken_at: float

    @property
    def kind(self) -> FileKind:
        """What sort of file it is."""
        return _KINDS[self.kind_name]

    @property
    def cid(self) -> Cid:
        """The file's CID."""
        return Cid(self.raw_cid)

    @property
    def identity(self) -> FileIdentity:
        """The state of the file on disk when it was last read."""
        return FileIdentity(self.device, self.inode, self.source_size, self.mtime_ns, self.ctime_ns)


@dataclass(frozen=True, slots=True)
class Meant:
    """What a listing of a segment meant: version `bound` of `path`; None: a file that never came."""

    path: str
    sequence: int
    bound: int | None


@dataclass(frozen=True, slots=True)
class SavedPlaylist:
    """The facts of a playlist version, and the file version that is its bytes."""

    path: str
    version: int
    multivariant: bool
    media_sequence: int
    last_sequence: int
    target_duration_s: float
    endlist: bool
    cid: Cid
    size_bytes: int
    tsize: int
    car_key: str


class SavedInterval(NamedTuple):
    """From `from_version` until before `to_version` (None: still) `playlist` lists `path`, and means its version `bound`.

    `bound` None: that is not there yet. `kind` is an hls ReferenceKind. As for files: the row as it stands.
    """

    playlist: str
    path: str
    kind: str
    sequence: int
    from_version: int
    to_version: int | None
    bound: int | None


@dataclass(frozen=True, slots=True)
class SavedRoot:
    """A root that was made; `seq`, `announced_at` and `latency_s` are None until it is announced."""

    session: int
    number: int
    root: Cid
    tsize: int
    entry: str
    final: bool
    playlists: tuple[tuple[str, int], ...]
    made_at: float
    seq: int | None
    announced_at: float | None
    latency_s: float | None
    bound: frozenset[str]
    car_key: str | None


@dataclass(frozen=True, slots=True)
class RootFacts:
    """What decides whether a root is kept. `has_picture`: the journal knows which playlist versions it was made of."""

    session: int
    number: int
    root: Cid
    final: bool
    seq: int | None
    announced_at: float | None
    has_picture: bool


@dataclass(frozen=True, slots=True)
class CarUse:
    """A CAR, by its number in this journal, and who refers to it: file versions and roots. `pending`: a target waits."""

    number: int
    key: str
    size_bytes: int
    pending: bool
    files: tuple[tuple[int, str, int], ...]
    roots: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class BlockSpot:
    """Where a block's bytes lie: in which CAR, from which byte on, how many."""

    car_key: str
    offset: int
    length: int
