"""The course of one session: its state, its tree, its entry, and the roots made so far.

Rule: a `Course` decides and counts; it never waits. The pipeline asks it what is the case (`complete`, `behind`, `absent`)
and tells it what happened.
"""

from dataclasses import dataclass
from math import inf

from hlspub.engine.life import Event, Life, after
from hlspub.engine.session import Session
from hlspub.engine.settings import Retention
from hlspub.engine.snapshot import Snapshot, SnapshotTree
from hlspub.engine.track import Track
from hlspub.hls.playlist import ReferenceKind
from hlspub.ipld.cid import Cid


@dataclass(frozen=True, slots=True)
class Unannounced:
    """A root that is in the journal and not announced yet. `car` is its node CAR, None when it needed no new block."""

    number: int
    root: Cid
    entry: str
    final: bool
    car: str | None


@dataclass(slots=True, eq=False)
class Course:
    """One session on its way. `reason` is why it ends, empty while it does not."""

    session: Session
    tree: SnapshotTree
    life: Life = Life.RUNNING
    reason: str = ""
    entry: str | None = None
    candidates: tuple[str, ...] = ()  # several possible entries: a person must choose
    roots: int = 0  # made so far
    last_root: Cid | None = None  # of the last made root
    announced: Cid | None = None  # the last announced root
    unannounced: Unannounced | None = None

    def happen(self, event: Event) -> bool:
        """Move along the table of `engine.life`; true when the event meant something."""
        state = after(self.life, event)
        if state is None:
            return False
        self.life = state
        return True

    def reached(self) -> list[Track]:
        """The media playlists that the newest entry leads to, those that exist."""
        tracks = self.session.tracks
        top = tracks.get(self.entry or "")
        if top is None:
            return []
        if not top.newest.multivariant:
            return [top]
        listed = [i.path for i in top.listed.values() if i.kind is ReferenceKind.PLAYLIST]
        return [
            tracks[path]
            for path in listed
            if path in tracks and path != top.path and not tracks[path].newest.multivariant
        ]

    def complete(self) -> bool:
        """Whether every media playlist that the entry lists is there and has ENDLIST (RFC 8216bis §4.4.3.4)."""
        top = self.session.tracks.get(self.entry or "")
        if top is None:
            return False
        reached = self.reached()
        listed = sum(i.kind is ReferenceKind.PLAYLIST and i.path != top.path for i in top.listed.values())
        expected = listed if top.newest.multivariant else 1
        return len(reached) == expected > 0 and all(track.newest.endlist for track in reached)

    def snapshot(self, now: float = inf) -> Snapshot | None:
        """The newest consistent picture (see `SnapshotTree.choose`); None while there is no entry or nothing is ready."""
        return None if self.entry is None else self.tree.choose(self.entry, now)

    def absent(self, track: Track, *, listed_before: float = inf) -> list[str]:
        """Listed media files of the newest version that were never taken, listed at that time at the latest."""
        recent = {version.number for version in track.versions if version.at > listed_before}
        return [
            interval.path
            for interval in track.unmet
            if interval.bound is None
            and interval.since not in recent
            and interval.covers(track.newest.number)
            and interval.kind in (ReferenceKind.SEGMENT, ReferenceKind.MAP, ReferenceKind.PART)
        ]

    def under_way(self) -> bool:
        """Whether something that the final root will hold is taken and not held by the targets yet.

        That is what the newest playlists list, and under `archive` what any version before them listed.
        """
        top = self.session.tracks.get(self.entry or "")
        archive = self.session.settings.retention is Retention.ARCHIVE
        return any(
            not track.newest.file.held
            or any(
                interval.bound is not None
                and not interval.bound.held
                and (archive or interval.covers(track.newest.number))
                for interval in track.unmet
            )
            for track in [*self.reached(), *([top] if top else [])]
        )

    def held_back(self) -> list[tuple[str, list[str]]]:
        """For each playlist whose newest version is not published: what it waits for, at most three paths."""
        snapshot = self.snapshot()
        behind = [track.path for track in self.reached()] if snapshot is None else list(snapshot.behind)
        return [(path, self.absent(self.session.tracks[path])[:3]) for path in behind]
