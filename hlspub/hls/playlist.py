"""What a playlist says: the frozen values that the scanner makes and everything else reads.

Rule: values only, no parsing. A `Playlist` holds no copy of the text, and of a segment nothing but its path: kind, media
sequence number and whether it is required are kept once for each run of alike references. So a playlist of 50,000 segments
costs its paths and one pointer each, and the playlist that grew out of it copies pointers.

Source of the terms: RFC 8216bis (§4.4.3 media, §4.4.6 multivariant playlists).
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple, Self, overload

from hlspub.hls.references import Refused

NO_SEQUENCE = -1  # of a reference that is no segment and no partial segment


class PlaylistKind(StrEnum):
    """A multivariant playlist lists playlists, a media playlist lists segments."""

    MULTIVARIANT = "multivariant"
    MEDIA = "media"


class ReferenceKind(StrEnum):
    """What a reference is to the playlist that holds it; the tag it stands in."""

    SEGMENT = "segment"  # a URI line after EXTINF
    MAP = "map"  # EXT-X-MAP: a media initialization section
    PART = "part"  # EXT-X-PART: a partial segment
    PLAYLIST = "playlist"  # EXT-X-STREAM-INF, EXT-X-MEDIA, EXT-X-I-FRAME-STREAM-INF, EXT-X-IMAGE-STREAM-INF
    KEY = "key"  # EXT-X-KEY, EXT-X-SESSION-KEY
    SESSION_DATA = "session-data"  # EXT-X-SESSION-DATA
    PRELOAD_HINT = "preload-hint"  # EXT-X-PRELOAD-HINT: may not exist yet, or ever
    RENDITION_REPORT = "rendition-report"  # EXT-X-RENDITION-REPORT
    STEERING = "steering"  # EXT-X-CONTENT-STEERING
    ASSET = "asset"  # EXT-X-DATERANGE: X-ASSET-URI, X-ASSET-LIST


class Reference(NamedTuple):
    """A local file that a playlist refers to.

    `path` is relative to the stream's directory; `required` as DESIGN calls it: without the file a viewer fails;
    `sequence` is the media sequence number of a segment, or of the segment a part belongs to, else -1.
    """

    path: str
    kind: ReferenceKind
    required: bool
    sequence: int = NO_SEQUENCE


class Key(NamedTuple):
    """A key that a viewer needs: `uri` as it stands in the playlist, `path` when it is a local file."""

    method: str
    uri: str
    keyformat: str
    path: str | None


class Run(NamedTuple):
    """Where a run of alike references starts; its segments count up from `sequence`."""

    start: int
    kind: ReferenceKind
    required: bool
    sequence: int


class References(Sequence[Reference]):
    """The local references of a playlist in their order: an immutable sequence of `Reference`, kept as columns."""

    __slots__ = ("paths", "runs")

    paths: tuple[str, ...]
    runs: tuple[Run, ...]

    def __init__(self, paths: tuple[str, ...] = (), runs: tuple[Run, ...] = ()) -> None:
        self.paths = paths
        self.runs = runs

    @classmethod
    def of(cls, references: Iterable[Reference]) -> Self:
        """The columns of references that are there already."""
        gathered = Gathered()
        for path, kind, required, sequence in references:
            gathered.append(path, kind, required=required, sequence=sequence)
        return cls(tuple(gathered.paths), tuple(gathered.runs))

    def sharing(self, known: Callable[[str], str], before: "References | None" = None) -> "References":
        """The same, with `known`'s strings for its paths, so that a path is in memory once however often it is listed.

        What was taken over from the references `before`, as `scan.rescan` does, shares them already.
        """
        start = len(before) if before is not None else 0
        if not 0 < start <= len(self) or before is None or self.paths[start - 1] is not before.paths[-1]:
            start = 0
        return References((*self.paths[:start], *map(known, self.paths[start:])), self.runs)

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> Reference: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Reference, ...]: ...
    def __getitem__(self, index: int | slice) -> Reference | tuple[Reference, ...]:
        if isinstance(index, slice):
            return tuple(self._at(place) for place in range(*index.indices(len(self.paths))))
        place = index + len(self.paths) if index < 0 else index
        if not 0 <= place < len(self.paths):
            raise IndexError(index)
        return self._at(place)

    def __iter__(self) -> Iterator[Reference]:
        return self.of_kind(*ReferenceKind)

    def of_kind(self, *kinds: ReferenceKind) -> Iterator[Reference]:
        """Those of these kinds, without a look at the others."""
        ends = [*(run.start for run in self.runs[1:]), len(self.paths)]
        for (start, kind, required, sequence), end in zip(self.runs, ends, strict=False):
            if kind in kinds:
                step = 1 if kind is ReferenceKind.SEGMENT else 0
                for offset, path in enumerate(self.paths[start:end]):
                    yield Reference(path, kind, required, sequence + step * offset)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, References):
            return self.paths == other.paths and self.runs == other.runs
        return isinstance(other, tuple) and tuple(self) == other

    def __hash__(self) -> int:
        return hash(self.paths)

    def __repr__(self) -> str:
        return f"References({list(self)!r})"

    def _at(self, place: int) -> Reference:
        start, kind, required, sequence = self.runs[bisect_right(self.runs, place, key=lambda run: run.start) - 1]
        step = 1 if kind is ReferenceKind.SEGMENT else 0
        return Reference(self.paths[place], kind, required, sequence + step * (place - start))


class Gathered:
    """References being gathered; alike ones join a run."""

    __slots__ = ("paths", "runs")

    def __init__(self, paths: Sequence[str] = (), runs: Sequence[Run] = ()) -> None:
        self.paths = list(paths)
        self.runs = list(runs)

    def extend(self, paths: Sequence[str], kind: ReferenceKind, *, required: bool, sequence: int) -> None:
        """Add references that are alike; segments count up from `sequence`."""
        if not (self.runs and self._continues(self.runs[-1], kind, required, sequence)):
            self.runs.append(Run(len(self.paths), kind, required, sequence))
        self.paths.extend(paths)

    def append(self, path: str, kind: ReferenceKind, *, required: bool, sequence: int) -> None:
        """Add one; a path that repeats the one before (byte ranges) shares its string."""
        paths = self.paths
        if paths and paths[-1] == path:
            path = paths[-1]
        if not (self.runs and self._continues(self.runs[-1], kind, required, sequence)):
            self.runs.append(Run(len(paths), kind, required, sequence))
        paths.append(path)

    def _continues(self, run: Run, kind: ReferenceKind, required: bool, sequence: int) -> bool:
        start, run_kind, run_required, first = run
        if run_kind is not kind or run_required is not required or kind is ReferenceKind.MAP:
            return False  # each map has a run of its own, because it may turn out not to be required
        return sequence == (first + len(self.paths) - start if kind is ReferenceKind.SEGMENT else first)

    def freeze(self) -> References:
        """As an immutable sequence."""
        return References(tuple(self.paths), tuple(self.runs))


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a scan stood after the last line, so that the next one can go on from there (see `scan.rescan`)."""

    path: str = ""  # the playlist's own, that its URIs were resolved against
    kind_tag: str = ""  # the tag that made it a media playlist
    gap: bool = False  # an EXT-X-GAP waits for its segment
    has_target: bool = False  # EXT-X-TARGETDURATION was seen
    longest_s: float = 0.0  # the longest EXTINF
    elsewhere: int = 0  # segments that are not local
    skipped: int = 0  # segments that EXT-X-SKIP stands for
    map_run: int = -1  # the run of the last EXT-X-MAP, -1 when it is not local
    map_used: bool = False  # a segment needs it …
    map_gapped: bool = False  # … or one that is a gap would
    range_path: str = ""  # the resource of the last EXT-X-BYTERANGE …
    range_end: int = 0  # … and where it ended


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes a playlist was read from, as a proof: how many, their sha2-256, and where a scan may go on.

    `resume` is None when nothing may be appended to what was read (a multivariant playlist, no newline at the end).
    """

    length: int
    digest: bytes
    resume: Resume | None = None

    def begins(self, data: bytes) -> bool:
        """Whether `data` starts with exactly the bytes that were read."""
        return len(data) >= self.length and sha256(memoryview(data)[: self.length]).digest() == self.digest


def _no_extents() -> Mapping[str, int]:
    return MappingProxyType({})


def _no_variables() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Playlist:
    """One version of a playlist.

    `references` are the local ones in their order, `remote` and `refused` the others, each once; `keys` what a viewer must
    fetch to decrypt. `last_sequence` is the media sequence number of the last segment, `media_sequence - 1` when there is
    none. Durations are in seconds; without EXT-X-TARGETDURATION `target_duration` is the longest EXTINF. `extents` has,
    for files that are listed by byte range, how many bytes the ranges need. `variables` are those that EXT-X-DEFINE gives a
    value, `imports` those it expects from the multivariant playlist. `warn` holds codes (`codes.WARNINGS`).
    """

    kind: PlaylistKind
    references: References = field(default_factory=References)
    remote: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()
    keys: tuple[Key, ...] = ()
    media_sequence: int = 0
    last_sequence: int = -1
    discontinuity_sequence: int = 0
    target_duration: float = 0.0
    endlist: bool = False
    playlist_type: str | None = None  # VOD, EVENT
    iframes_only: bool = False
    low_latency: bool = False
    segments: int = 0
    total_duration_s: float = 0.0
    extents: Mapping[str, int] = field(default_factory=_no_extents)
    variables: Mapping[str, str] = field(default_factory=_no_variables)
    imports: tuple[str, ...] = ()
    warn: tuple[str, ...] = ()
    source: Source = Source(0, b"")
