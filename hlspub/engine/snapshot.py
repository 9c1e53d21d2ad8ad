"""Snapshots: the consistent picture of a session's tree, and the directory tree that follows it.

Rule (P4): a snapshot names one version of each playlist that the entry reaches, each ready, so that every file a viewer is
told of is in the tree under the same root. It prefers that all renditions end with the same media sequence number, so that
a player which switches finds what it is about to play, but waits for one that lags no longer than a target duration. The
tree only moves from one snapshot to a later one, by the intervals in between; what it costs depends on what changed, not on
how long the stream is.

Retention `archive` only adds: a segment that was ever listed stays. Retention `window` takes away what is listed no more.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from hlspub.engine.files import FileVersion
from hlspub.engine.session import Session
from hlspub.engine.settings import Retention
from hlspub.engine.track import Interval, PlaylistVersion, Track
from hlspub.hls.playlist import ReferenceKind
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid
from hlspub.ipld.tree import Tree


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The entry and, for each playlist under it, the version that is in the picture."""

    entry: str
    playlists: tuple[tuple[str, int], ...]
    behind: tuple[str, ...]  # playlists whose newest version is not in it yet

    @property
    def complete(self) -> bool:
        """Whether every playlist is at its newest version."""
        return not self.behind


@dataclass(frozen=True, slots=True)
class MadeRoot:
    """A root and the blocks that it needs beyond those of the root before it (children first)."""

    root: Cid
    tsize: int
    blocks: Sequence[Block]


@dataclass(slots=True, eq=False)
class SnapshotTree:
    """The session's directory tree at its last snapshot."""

    session: Session
    tree: Tree
    counted: set[Interval] = field(default_factory=set[Interval])  # under `window`: the intervals that keep a path
    listings: Counter[str] = field(default_factory=Counter[str])  # under `window`: how many of them for each path
    late: list[Interval] = field(default_factory=list[Interval])  # under `archive`: passed before they were held
    extras: dict[str, FileVersion] = field(default_factory=dict[str, FileVersion])  # `include` files in the tree

    def choose(self, entry: str, now: float = inf) -> Snapshot | None:
        """The newest consistent picture, or None while there is none.

        At `now` (Unix seconds) a rendition that is ahead may still wait for the others; by default none does.
        """
        tracks = self.session.tracks
        top = tracks.get(entry)
        if top is None:
            return None
        ready = {path: track.newest_ready(_ready) for path, track in tracks.items() if path != entry}
        chosen = top.newest_ready(lambda path: path == entry or ready.get(path, 0) > 0)
        if chosen == 0:
            return None
        picture = {entry: chosen}
        if top.version(chosen).multivariant:
            for path in self._children(top, chosen):
                picture[path] = ready[path]
            picture |= self._aligned({path: tracks[path] for path in picture if path != entry}, picture, now)
        behind = tuple(path for path, number in picture.items() if tracks[path].newest.number != number)
        return Snapshot(entry, tuple(sorted(picture.items())), behind)

    def _aligned(self, renditions: Mapping[str, Track], picture: Mapping[str, int], now: float) -> dict[str, int]:
        """For renditions that are ahead of another: the newest version that is not, or that has waited long enough."""
        shown = {path: track.version(picture[path]) for path, track in renditions.items()}
        common = min((one.last_sequence for one in shown.values() if not one.endlist), default=0)
        ahead = [path for path, one in shown.items() if one.last_sequence > common and not _has_waited(one, now)]
        found = {
            path: next(
                (
                    one.number
                    for one in renditions[path].ready(_ready)
                    if one.last_sequence <= common or _has_waited(one, now)
                ),
                picture[path],
            )
            for path in ahead
        }
        return {path: number for path, number in found.items() if number >= renditions[path].applied}

    def make(self, snapshot: Snapshot) -> MadeRoot:
        """Move the tree to `snapshot` and encode what changed."""
        for path, number in snapshot.playlists:
            track = self.session.tracks[path]
            if track.applied != number:
                self._move(track, number)
        self._late()
        self._extras()
        root = self.tree.root()
        return MadeRoot(root.cid, root.tsize, self.tree.unpublished())

    def published(self) -> None:
        """The blocks of the last made root are in the journal; the next root builds on them."""
        self.tree.mark_published()

    def _children(self, top: Track, number: int) -> Iterable[str]:
        """Playlists that this version of a multivariant playlist lists and that exist."""
        intervals = list(top.listed.values()) + list(top.changed)
        paths = {i.path for i in intervals if i.kind is ReferenceKind.PLAYLIST and i.covers(number)}
        return sorted(path for path in paths if path in self.session.tracks and path != top.path)

    def _move(self, track: Track, number: int) -> None:
        put: dict[str, FileVersion] = {}
        gone: list[str] = []
        for interval in dict.fromkeys(track.apply(number)):
            if interval.kind is ReferenceKind.PLAYLIST:
                continue
            if self.session.settings.retention is Retention.WINDOW and not self._counts(interval, number, gone):
                continue
            if interval.bound is not None and interval.bound.held:
                put[interval.path] = interval.bound
            else:
                self.late.append(interval)
        for path in gone:
            if path not in self.listings:
                self.tree.remove(path)
        put[track.path] = track.version(number).file
        for file in put.values():
            self.tree.put(file.path, file.cid, file.tsize)

    def _counts(self, interval: Interval, number: int, gone: list[str]) -> bool:
        """Under `window`: whether an interval that was passed keeps its path; paths that lost a listing join `gone`."""
        if interval.covers(number):
            self.count(interval, number)
            return True
        if interval in self.counted:
            self.counted.remove(interval)
            self.listings[interval.path] -= 1
            if not self.listings[interval.path]:
                del self.listings[interval.path]
            gone.append(interval.path)
        return False

    def count(self, interval: Interval, number: int) -> bool:
        """Under `window`: count an interval that holds at version `number`, once; false when it does not."""
        if not interval.covers(number):
            return False
        if interval not in self.counted and interval.bound is not None:
            self.counted.add(interval)
            self.listings[interval.path] += 1
        return True

    def _late(self) -> None:
        """Files that were passed before they were held join when they are: only under `archive`, and keys."""
        waiting: list[Interval] = []
        for interval in self.late:
            if interval.bound is None or not interval.bound.held:
                waiting.append(interval)
            elif self.tree.get(interval.path) is None:
                self.tree.put(interval.path, interval.bound.cid, interval.bound.tsize)
        self.late = waiting

    def _extras(self) -> None:
        settings = self.session.settings
        if not settings.include:
            return
        for path, file in self.session.files.items():
            if file.held and self.extras.get(path) is not file and settings.includes(path):
                self.extras[path] = file
                self.tree.put(path, file.cid, file.tsize)


def _has_waited(version: PlaylistVersion, now: float) -> bool:
    """Whether it was taken longer ago than a target duration; what has ended waits for nobody."""
    return version.endlist or version.at + version.target_duration_s <= now


def _ready(_path: str) -> bool:
    """A playlist listed by a media playlist would be a mistake of its writer; it holds nothing back."""
    return True
