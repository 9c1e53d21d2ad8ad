"""One playlist of a session: its versions, and from which to which of them it listed each file.

Theory. A playlist version is its bytes plus a *binding*: each URI means one file version, decided when the playlist was
taken, and never moved (a root never mixes old text with new bytes). Successive versions share nearly all bindings, so they
are kept as *intervals*: path P was listed from version a up to, not including, version b, and meant file version F.
A version v is *ready* when its own bytes are held and no interval that covers v is unmet. An interval is *met* when its file
version is there and held; that of a listed playlist, when that playlist itself has a ready version.

Cost: a version that lists one more segment opens one interval. Finding the newest ready version looks at the unmet
intervals only, of which there are as many as files are under way.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hlspub.engine.files import FileVersion
from hlspub.hls.playlist import Reference, ReferenceKind, References

OPEN = 1 << 62  # `to_version` of an interval that still holds

ListedReady = Callable[[str], bool]
"""Whether the playlist at this path has a ready version."""

Follow = Callable[[Reference], bool]
"""Whether a reference counts: it is required, or a key that is to be published."""

Bind = Callable[[str, Reference], FileVersion | None]
"""(playlist, reference) → the file version that the listing means; None: it waits for one."""


@dataclass(slots=True, eq=False)
class Interval:
    """`path` is listed in versions `since` ≤ v < `until` and means `bound` (None: not there yet)."""

    path: str
    kind: ReferenceKind
    sequence: int
    since: int
    until: int = OPEN
    bound: FileVersion | None = None

    def covers(self, version: int) -> bool:
        """Whether this version of the playlist lists the path with this binding."""
        return self.since <= version < self.until

    def met(self, listed_ready: ListedReady) -> bool:
        """Whether what is listed is held."""
        if self.kind is ReferenceKind.PLAYLIST:
            return listed_ready(self.path)
        if self.kind is ReferenceKind.KEY:
            return True  # published on request, never waited for
        return self.bound is not None and self.bound.held


@dataclass(frozen=True, slots=True)
class PlaylistVersion:
    """A playlist version's bytes (as a file version) and the facts that later decisions need."""

    file: FileVersion
    multivariant: bool
    media_sequence: int
    last_sequence: int
    target_duration_s: float
    endlist: bool
    at: float = 0.0  # when it was taken

    @property
    def number(self) -> int:
        """The version's number: that of the file version."""
        return self.file.version


@dataclass(frozen=True, slots=True)
class Difference:
    """What a new version changes: intervals that it closed and opened."""

    closed: tuple[Interval, ...]
    opened: tuple[Interval, ...]


@dataclass(slots=True, eq=False)
class Track:
    """A playlist path of a session; see the module's theory."""

    path: str
    versions: deque[PlaylistVersion] = field(default_factory=deque[PlaylistVersion])
    listed: dict[str, Interval] = field(default_factory=dict[str, Interval])
    applied: int = 0  # the version in the tree; 0: none yet
    changed: deque[Interval] = field(default_factory=deque[Interval])  # opened or closed after `applied`
    unmet: dict[Interval, None] = field(default_factory=dict[Interval, None])
    references: References = field(default_factory=References)  # of the newest version
    revised: set[str] = field(default_factory=set[str])  # listed paths with a version newer than the one bound

    @property
    def newest(self) -> PlaylistVersion:
        """The version that was taken last."""
        return self.versions[-1]

    def version(self, number: int) -> PlaylistVersion:
        """The version of that number, at or after the one in the tree."""
        return next(v for v in reversed(self.versions) if v.number == number)

    def grew(self, references: References) -> bool:
        """Whether `references` begin with all that the newest version has: then only the rest is new."""
        old = self.references
        kept = len(old.runs)
        return (
            len(old) > 0
            and references.paths[: len(old)] == old.paths
            and references.runs[:kept] == old.runs
            and (len(references.runs) == kept or references.runs[kept].start >= len(old))
        )

    def revise(self, path: str) -> None:
        """A listed file has a newer version: the next playlist version must look at what its listing means."""
        interval = self.listed.get(path)
        if interval is not None and interval.kind is not ReferenceKind.PLAYLIST:
            self.revised.add(path)

    def take(self, version: PlaylistVersion, references: References, follow: Follow, bind: Bind) -> Difference:
        """Add a version; `follow` says which references count, `bind` what a new listing means."""
        grew = self.grew(references)
        fresh = references[len(self.references) :] if grew else references
        wanted = {reference.path: reference for reference in fresh if follow(reference)}
        for path in self.revised if grew else ():
            interval = self.listed[path]
            wanted.setdefault(path, Reference(path, interval.kind, required=True, sequence=interval.sequence))
        number = version.number
        gone = [] if grew else [path for path in self.listed if path not in wanted]
        closed = [self._close(path, number) for path in gone]
        opened: list[Interval] = []
        for path, reference in wanted.items():
            interval = self.listed.get(path)
            bound = None if reference.kind is ReferenceKind.PLAYLIST else bind(self.path, reference)
            if interval is not None:
                if bound is interval.bound and reference.sequence == interval.sequence:
                    continue
                closed.append(self._close(path, number))
            opened.append(self.open(Interval(path, reference.kind, reference.sequence, number, OPEN, bound)))
        self.versions.append(version)
        self.references = references
        self.revised.clear()
        return Difference(tuple(closed), tuple(opened))

    def open(self, interval: Interval) -> Interval:
        """Register an interval that holds from now on (also when a session is restored)."""
        self.listed[interval.path] = interval
        self.changed.append(interval)
        if interval.bound is None or not interval.bound.held:
            self.unmet[interval] = None
        return interval

    def _close(self, path: str, number: int) -> Interval:
        interval = self.listed.pop(path)
        interval.until = number
        self.changed.append(interval)
        return interval

    def newest_ready(self, listed_ready: ListedReady) -> int:
        """Number of the newest version, at or after the applied one, that may enter a snapshot; 0 when there is none."""
        return next((version.number for version in self.ready(listed_ready)), self.applied)

    def ready(self, listed_ready: ListedReady) -> Iterator[PlaylistVersion]:
        """The versions, at or after the applied one, that may enter a snapshot, newest first."""
        self.prune(listed_ready)
        limit = OPEN
        for version in reversed(self.versions):
            number = version.number
            if number >= limit or not version.file.held:
                continue
            blocking = [interval.since for interval in self.unmet if interval.covers(number)]
            if blocking:
                limit = min(blocking)
            else:
                yield version

    def prune(self, listed_ready: ListedReady) -> None:
        """Forget the intervals that are met by now."""
        for interval in [i for i in self.unmet if i.met(listed_ready)]:
            del self.unmet[interval]

    def apply(self, number: int) -> list[Interval]:
        """Move to version `number`; returns the intervals that were opened or closed on the way, in order."""
        passed: list[Interval] = []
        later: deque[Interval] = deque()
        for interval in self.changed:
            (passed if interval.since <= number else later).append(interval)
            if interval.since <= number < interval.until < OPEN:
                later.append(interval)  # it holds here and ends further on
        self.changed, self.applied = later, number
        while self.versions[0].number < number:
            self.versions.popleft()
        return passed
