"""What the journal answers: frozen values, never rows.

Times are Unix seconds, sizes bytes, paths as in the published tree. A CAR is named by its key.
"""

from dataclasses import dataclass

from hlspub.ipld.cid import Cid
from hlspub.model import CarKind, FileIdentity, FileKind
from hlspub.records import SessionState


@dataclass(frozen=True, slots=True)
class QueuedCar:
    """A CAR as a target is sent it. `sha256` is that of all its bytes, where it was asked for."""

    key: str
    kind: CarKind
    root: Cid
    size_bytes: int
    sha256: bytes | None = None


@dataclass(frozen=True, slots=True)
class PendingShard:
    """A shard that its target has not confirmed; `attempts` have failed so far. `error`: how the last one failed."""

    id: int
    attempts: int
    cars: tuple[QueuedCar, ...]
    error: str | None = None


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


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file version."""

    path: str
    version: int
    kind: FileKind
    cid: Cid
    size_bytes: int
    tsize: int
    car_key: str
    identity: FileIdentity
    taken_at: float


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


@dataclass(frozen=True, slots=True)
class BoundFile:
    """The file version that a listing means."""

    version: int
    cid: Cid
    tsize: int
    car_key: str


@dataclass(frozen=True, slots=True)
class SavedInterval:
    """From `from_version` until before `to_version` (None: still) `playlist` lists `path`; `bound` None: not there yet."""

    playlist: str
    path: str
    kind: str
    sequence: int
    from_version: int
    to_version: int | None
    bound: BoundFile | None


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
class BlockSpot:
    """Where a block's bytes lie: in which CAR, from which byte on, how many."""

    car_key: str
    offset: int
    length: int
