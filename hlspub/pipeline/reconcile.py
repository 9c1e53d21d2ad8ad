"""Reconcile: a stream as the journal remembers it. Recovery after a crash and an ordinary start are this one path.

Rule: no media file is read here. File versions, playlist versions and intervals come back as they were written; the tree is
built from the intervals that the newest made root had passed, and its root is compared with the journal's. Should they
differ (a setting changed, a bug), the tree counts as never published: the next node CAR then holds every directory node,
which costs bytes and never a viewer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import structlog

from hlspub.engine.course import Course, Unannounced
from hlspub.engine.files import FileVersion, Quorum
from hlspub.engine.life import Life
from hlspub.engine.session import Session
from hlspub.engine.settings import Retention, TreeSettings
from hlspub.engine.snapshot import SnapshotTree
from hlspub.engine.track import OPEN, Interval, PlaylistVersion, Track
from hlspub.hls.playlist import ReferenceKind
from hlspub.ipld.profile import PROFILES
from hlspub.ipld.tree import Tree
from hlspub.journal.values import SavedFile, SavedInterval, SavedPlaylist, SavedRoot, SavedSession
from hlspub.pipeline.entries import choose_entry
from hlspub.records import SessionState

log = structlog.get_logger()
_REFERENCE_KINDS: Mapping[str, ReferenceKind] = MappingProxyType({kind.value: kind for kind in ReferenceKind})


class History(Protocol):
    """The journal's reading side, used in one thread."""

    def sessions(self, stream: str, limit: int) -> Sequence[SavedSession]:
        """Newest first."""
        ...

    def versions(self, session: int) -> Iterable[SavedFile]:
        """Every version of the files that the session knows, oldest first."""
        ...

    def passed(self, session: int) -> Sequence[tuple[str, int]]:
        """The file versions that its window left behind."""
        ...

    def playlists(self, session: int) -> Iterable[SavedPlaylist]:
        """Playlist versions from the newest made root's on, oldest first."""
        ...

    def intervals(self, session: int) -> Iterator[SavedInterval]:
        """Every reference interval, in the order in which they were opened."""
        ...

    def unconfirmed(self, session: int) -> dict[str, set[str]]:
        """For each target the CARs of the session that it has not confirmed."""
        ...

    def roots(self, session: int, limit: int) -> Sequence[SavedRoot]:
        """Newest first."""
        ...

    def last_announced(self, session: int) -> SavedRoot | None:
        """The session's newest announced root."""
        ...


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the journal knows of a stream's sessions: those that go on, oldest first, and the newest of all."""

    courses: tuple[Course, ...]
    last: Session | None


def remember(
    history: History, stream: str, targets: tuple[str, ...], quorum: Quorum, *, entry: str, now: float
) -> Remembered:
    """Rebuild a stream's unfinished sessions; blocking, run in a thread. What is absent counts as listed `now`."""
    courses: list[Course] = []
    last: Session | None = None
    for saved in reversed(history.sessions(stream, 16)):
        newest = _Rebuilding(history, saved, targets, quorum, now)
        if saved.state is SessionState.ENDED:
            last = newest.session
            continue
        course = newest.course(entry)
        courses.append(course)
        last = course.session
    return Remembered(tuple(courses), last)


class _Rebuilding:
    """One session on its way back from the journal."""

    def __init__(
        self, history: History, saved: SavedSession, targets: tuple[str, ...], quorum: Quorum, now: float
    ) -> None:
        self.history, self.saved, self.now = history, saved, now
        self.missing = history.unconfirmed(saved.id)
        self.late = set[str]().union(*self.missing.values())  # CARs that some target lacks
        self.suffices = quorum.satisfied(targets)  # that all targets have it
        self.files: dict[tuple[str, int], FileVersion] = {}
        self.session = Session(
            saved.id,
            saved.stream,
            saved.label,
            TreeSettings.from_json(saved.settings),
            targets,
            quorum,
            saved.started_at,
            saved.last_taken_at or saved.started_at,
        )
        self.session.floor = max((version for _, version in history.passed(saved.id)), default=0)
        for file in history.versions(saved.id):
            self._file(file)

    def _file(self, saved: SavedFile) -> None:
        file = FileVersion(saved.path, saved.version, saved.kind, saved, saved.identity)
        self.files[saved.path, saved.version] = file
        self.session.files[saved.path] = file
        if self.suffices and saved.car_key not in self.late:
            file.held = True
        else:
            self._expect(saved.car_key, file)

    def _expect(self, car: str, file: FileVersion | None) -> None:
        """A CAR counts as confirmed by every target that has no pending shard with it."""
        confirmed = [target for target in self.session.targets if car not in self.missing.get(target, ())]
        self.session.confirmations.expect(car, file, confirmed)

    def course(self, entry: str) -> Course:
        """The session as a course: its tracks, its tree, its last root."""
        for playlist in self.history.playlists(self.saved.id):
            track = self.session.tracks.setdefault(playlist.path, Track(playlist.path))
            track.versions.append(
                PlaylistVersion(
                    self.files[playlist.path, playlist.version],
                    playlist.multivariant,
                    playlist.media_sequence,
                    playlist.last_sequence,
                    playlist.target_duration_s,
                    playlist.endlist,
                    self.now,
                )
            )
        roots = self.history.roots(self.saved.id, 1)
        applied = dict(roots[0].playlists) if roots else {}
        for path, track in self.session.tracks.items():
            track.applied = applied.get(path, 0)
        intervals = [self._interval(saved) for saved in self.history.intervals(self.saved.id)]
        course = Course(self.session, self._tree(intervals, roots[0] if roots else None))
        if roots:
            course.entry = roots[0].entry
            self._roots(course, roots[0])
        if self.saved.state is SessionState.ENDING:
            course.life, course.reason = Life.ENDING, self.saved.reason or ""
        choose_entry(course, entry)
        return course

    def _interval(self, saved: SavedInterval) -> tuple[Track, Interval]:
        track = self.session.tracks[saved.playlist]
        bound = None if saved.bound is None else self.files[saved.path, saved.bound]
        until = OPEN if saved.to_version is None else saved.to_version
        interval = Interval(saved.path, _REFERENCE_KINDS[saved.kind], saved.sequence, saved.from_version, until, bound)
        if bound is not None and interval.kind in (ReferenceKind.SEGMENT, ReferenceKind.PART):
            bound.used_by, bound.used_as = track.path, interval.sequence
        if bound is None and interval.kind is not ReferenceKind.PLAYLIST:
            self.session.waiting.setdefault(saved.path, []).append((track, interval))
        if until == OPEN:
            track.listed[saved.path] = interval
            if interval.kind is not ReferenceKind.PLAYLIST and self.session.files.get(saved.path) is not bound:
                track.revised.add(saved.path)
        if interval.since > track.applied or track.applied < until < OPEN:
            track.changed.append(interval)
        if until > track.applied and (bound is None or not bound.held):
            track.unmet[interval] = None
        return track, interval

    def _tree(self, intervals: list[tuple[Track, Interval]], root: SavedRoot | None) -> SnapshotTree:
        settings = self.session.settings
        tree = SnapshotTree(self.session, Tree(PROFILES[settings.profile]))
        held: dict[str, FileVersion] = {}
        for track, interval in intervals:
            if interval.since > track.applied or interval.kind is ReferenceKind.PLAYLIST:
                continue
            if settings.retention is Retention.WINDOW and not tree.count(interval, track.applied):
                continue
            if interval.bound is not None and interval.bound.held:
                held[interval.path] = interval.bound
            else:
                tree.late.append(interval)
        for track in self.session.tracks.values():
            if track.applied:
                held[track.path] = track.version(track.applied).file
        tree.tree = Tree.build(PROFILES[settings.profile], ((f.path, f.cid, f.tsize) for f in held.values()))
        if root is None:
            return tree
        if tree.tree.root().cid == root.root:
            tree.published()
        elif not settings.include:  # their files join at the next root
            log.warning(
                "tree.rebuilt", stream=self.saved.stream, session=self.saved.label, root=str(root.root), differs=True
            )
        return tree

    def _roots(self, course: Course, newest: SavedRoot) -> None:
        course.roots, course.last_root = newest.number, newest.root
        announced = self.history.last_announced(self.saved.id)
        course.announced = announced.root if announced else None
        if newest.seq is not None:
            return
        if newest.car_key is not None:
            self._expect(newest.car_key, None)
        course.unannounced = Unannounced(newest.number, newest.root, newest.entry, newest.final, newest.car_key)
