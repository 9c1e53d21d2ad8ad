"""What the journal is told: one frozen record a decision.

Rule: every decision that must survive a crash is one of these values, and the journal writes records in the order in which
they were handed over, those of one call in one transaction. Nothing here is ever changed afterwards: a row that ends gets a
closing record. The keys are natural ones (session, path, version …), so a stream can name a thing before it is on disk.

The words are DESIGN's: a *file version* is one content of one path in one session; a *reference interval* says from which
to which version of a playlist a path was listed, and which file version that listing means. A playlist of 50,000 segments
that grows by one writes one interval, not 50,001 rows (P6).
"""

from dataclasses import dataclass
from enum import StrEnum

from hlspub.ipld.cid import Cid
from hlspub.model import Car, FileIdentity, FileKind, Packed


class SessionState(StrEnum):
    """A session's life, forwards only."""

    RUNNING = "running"
    ENDING = "ending"  # an end was decided; the final root is on its way
    ENDED = "ended"  # the final root is announced


@dataclass(frozen=True, slots=True)
class StreamDeclared:
    """A configured stream exists and follows `directory`."""

    stream: str
    directory: str
    at: float


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """A session began. `session` is the journal's number, `label` what people and logs see (UTC start and counter)."""

    session: int
    stream: str
    label: str
    settings: str  # JSON: the tree-shaping settings, held to the session's end
    at: float


@dataclass(frozen=True, slots=True)
class SessionEnding:
    """A session's end was decided. `reason`: endlist, signal, command, idle, restart, rotate, publish."""

    session: int
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session's final root was announced (or it ended without anything to publish)."""

    session: int
    at: float


@dataclass(frozen=True, slots=True)
class FileTaken:
    """A file version is in the spool. Queues one shard with its CAR at each of `targets`, `urgent` ones first."""

    session: int
    path: str
    version: int
    kind: FileKind
    packed: Packed
    identity: FileIdentity
    at: float
    targets: tuple[str, ...]
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class FileCarried:
    """A file version of an earlier session of the stream, unchanged on disk, is part of this session too.

    With `from_path`: of this session, it also stands at another path (the archive's name of a name that was used again).
    """

    session: int
    path: str
    version: int
    from_session: int
    from_version: int
    from_path: str = ""


@dataclass(frozen=True, slots=True)
class FileSeen:
    """A file was read again and had the same bytes under a new identity."""

    session: int
    path: str
    version: int
    identity: FileIdentity


@dataclass(frozen=True, slots=True)
class PlaylistTaken:
    """The facts of a playlist version (its bytes are a file version of the same number)."""

    session: int
    path: str
    version: int
    multivariant: bool
    media_sequence: int
    last_sequence: int
    target_duration_s: float
    endlist: bool


@dataclass(frozen=True, slots=True)
class FilesPassed:
    """Under `window`: no playlist lists these paths any more, and the transcoder has deleted them.

    The session knows them no more; their rows stay as long as a kept root needs their CARs.
    """

    session: int
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReferenceOpened:
    """From version `from_version` on `playlist` lists `path`; it means file version `bound` (None: not there yet)."""

    session: int
    playlist: str
    path: str
    kind: str  # hls ReferenceKind
    sequence: int  # media sequence number, -1 where it has none
    from_version: int
    bound: int | None


@dataclass(frozen=True, slots=True)
class ReferenceBound:
    """The file version that an open interval waited for is there."""

    session: int
    playlist: str
    path: str
    from_version: int
    bound: int


@dataclass(frozen=True, slots=True)
class ReferenceClosed:
    """`to_version` is the first version of the playlist in which the interval no longer holds."""

    session: int
    playlist: str
    path: str
    from_version: int
    to_version: int


@dataclass(frozen=True, slots=True)
class SegmentLearned:
    """The archive playlist will list this segment; see `hls.learning.KeptSegment`. `keys` and `map_keys` are lines."""

    session: int
    playlist: str
    sequence: int
    text: str
    keys: str  # EXT-X-KEY lines that hold for it, joined by newlines
    map: str
    map_keys: str
    number: int
    target_s: float
    at_head: bool


@dataclass(frozen=True, slots=True)
class RangeLearned:
    """The archive playlist will say this EXT-X-DATERANGE line before a segment; see `hls.learning.KeptRange`."""

    session: int
    playlist: str
    sequence: int
    line: str
    floats: bool


@dataclass(frozen=True, slots=True)
class RootMade:
    """The `number`-th root of a session: the versions of the playlists it is made of, and its node CAR, spooled.

    `car` is None when no new block was needed. Queues the CAR's shard at each of `targets`, before any media.
    """

    session: int
    number: int
    root: Cid
    tsize: int
    entry: str
    final: bool
    playlists: tuple[tuple[str, int], ...]
    car: Car | None
    at: float
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RootBound:
    """`target` has bound or pinned the root."""

    session: int
    number: int
    target: str
    at: float


@dataclass(frozen=True, slots=True)
class RootAnnounced:
    """The root is published as the `seq`-th of its stream; seq grows across sessions."""

    session: int
    number: int
    seq: int
    at: float
    latency_s: float


@dataclass(frozen=True, slots=True)
class CarFound:
    """A CAR lies in a store, whatever uses it: how a journal is rebuilt.

    Queues one shard with it at each of `targets`; those of `confirmed` have kept it before, whether or not they are sent it
    again.
    """

    car: Car
    at: float
    confirmed: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShardConfirmed:
    """The shard's target keeps its CARs."""

    shard: int
    at: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class ShardDelayed:
    """A try failed; the next is due at `next_try_at` (None: not before a person acts)."""

    shard: int
    attempts: int
    next_try_at: float | None
    error: str


@dataclass(frozen=True, slots=True)
class ShardsJoined:
    """Shards of one target that wait for their first try become one: `shard`, the oldest of them, has their CARs too.

    That is written down before they are sent, so that every try sends the same CARs together.
    """

    shard: int
    others: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ListingsForgotten:
    """Of a session that is over: at most `limit` rows of what its playlists listed, and of what they were."""

    session: int
    limit: int


@dataclass(frozen=True, slots=True)
class PicturesForgotten:
    """Which playlist versions the roots (session, number) were made of; the roots themselves stay."""

    roots: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class FilesForgotten:
    """File versions (session, path, version). One that is on its way, or that is meant or pictured somewhere, stays."""

    files: tuple[tuple[int, str, int], ...]


@dataclass(frozen=True, slots=True)
class RootsForgotten:
    """Roots (session, number) that nobody keeps."""

    roots: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class CarsForgotten:
    """CARs by key, with their blocks and receipts. One that a file version, a root or a target still needs stays.

    What was forgotten is remembered as gone, until `CarsRemoved` says that its file is.
    """

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CarsRemoved:
    """The files of these CARs are gone, or belong to a row that came since."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NameMoved:
    """A name of IPNS leads to a root of `stream` from now on: its newest record, under a sequence that was never used."""

    name: str
    label: str
    stream: str
    sequence: int
    root: Cid
    signed: bytes
    at: float


@dataclass(frozen=True, slots=True)
class NameSent:
    """A name service has taken the record of that sequence."""

    name: str
    service: str
    sequence: int
    at: float


@dataclass(frozen=True, slots=True)
class HookJoined:
    """A hook is told of a stream from the next publication on; one that was told of it before goes on where it stood."""

    hook: str
    stream: str


@dataclass(frozen=True, slots=True)
class HookLeft:
    """A hook is told of a stream no more; where it stood is forgotten."""

    hook: str
    stream: str


@dataclass(frozen=True, slots=True)
class HookTold:
    """A hook has taken the stream's publications up to `seq`; with `at` None they are passed over."""

    hook: str
    stream: str
    seq: int
    at: float | None


Forgetting = ListingsForgotten | PicturesForgotten | FilesForgotten | RootsForgotten | CarsForgotten | CarsRemoved
Telling = NameMoved | NameSent | HookJoined | HookLeft | HookTold
Record = (
    StreamDeclared
    | SessionStarted
    | SessionEnding
    | SessionEnded
    | FileTaken
    | FileCarried
    | FileSeen
    | FilesPassed
    | PlaylistTaken
    | ReferenceOpened
    | ReferenceBound
    | ReferenceClosed
    | SegmentLearned
    | RangeLearned
    | RootMade
    | RootBound
    | RootAnnounced
    | CarFound
    | ShardConfirmed
    | ShardDelayed
    | ShardsJoined
    | Forgetting
    | Telling
)
