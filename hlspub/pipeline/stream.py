"""One stream: which session is on, what is known of its directory, and who is told when something changed.

Rule: this is the one place where a stream's sessions begin and end, and it decides synchronously on the event loop, so two
files that finish at once can never begin two sessions. What it decides it returns as records; the caller writes them.

A stream has at most one session that takes files (`course`). One that has ended taking may still be waiting for its final
root (`ending`); `last` is the session whose files the directory still shows, so that nothing is taken twice.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog

from hlspub.engine.course import Course
from hlspub.engine.files import Quorum
from hlspub.engine.life import Event, Life
from hlspub.engine.session import Session, Taken
from hlspub.engine.settings import Retention, TreeSettings
from hlspub.engine.snapshot import SnapshotTree
from hlspub.hls.classify import classify, rendition_of
from hlspub.ipld.profile import PROFILES
from hlspub.ipld.tree import Tree
from hlspub.model import FileIdentity, FileKind, Publication
from hlspub.pipeline.entries import choose_entry
from hlspub.pipeline.wake import Broadcast, Wake
from hlspub.records import FileSeen, Record, SessionEnding, SessionStarted

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What the configuration says of a stream. Durations in seconds; `publish_interval_s` None: only at the end."""

    name: str
    directory: Path
    tree: TreeSettings
    publish_interval_s: float | None = 10.0
    end_on: frozenset[str] = frozenset({"endlist", "signal", "idle"})
    idle_s: float = 300.0
    settle_s: float = 2.0
    rescan_s: float = 5.0
    watch: str = "auto"
    playlist_size: int = 64 << 20  # bytes
    keep_roots_s: float = 3600.0
    rotate_s: float | None = None  # a session's age at which it is cut
    only_listed: bool = False  # other streams lie in the same directory: what is listed is its own, and nothing else


@dataclass(slots=True, eq=False)
class Stream:
    """See the module's rule. `seq` is that of the last announced root."""

    plan: StreamPlan
    targets: tuple[str, ...]
    quorum: Quorum
    next_session: Callable[[], int]
    seq: int = 0
    course: Course | None = None
    ending: deque[Course] = field(default_factory=deque[Course])
    last: Session | None = None
    refused: dict[str, tuple[FileIdentity, str]] = field(default_factory=dict[str, tuple[FileIdentity, str]])
    under_way: dict[str, FileIdentity] = field(default_factory=dict[str, FileIdentity])  # being read just now
    left_behind: dict[str, FileIdentity] = field(default_factory=dict[str, FileIdentity])  # see `_leave_behind`
    gone: dict[str, float] = field(default_factory=dict[str, float])  # under `window`: taken, and deleted since then
    renditions: set[str] = field(default_factory=set[str])  # of listed files, where only those are taken
    stopped: dict[str, str] = field(default_factory=dict[str, str])  # work that stands still (no room), and why
    absent_since: dict[str, float] = field(default_factory=dict[str, float])  # listed and not taken yet (Unix seconds)
    late: set[str] = field(default_factory=set[str])  # listed long ago, and still open
    published: deque[Publication] = field(default_factory=deque[Publication])  # newest first
    wake: Wake = field(default_factory=Wake)  # the publisher looks again
    life_wake: Wake = field(default_factory=Wake)  # the session's life is looked at again
    changed: Broadcast = field(default_factory=Broadcast)  # something that people look at is different

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.plan.name

    # what the watcher asks (watch.ports.Evidence)

    def known(self, path: str) -> FileIdentity | None:
        """The identity under which the path was last judged, by this session or, before it began, by the last."""
        if path in self.under_way:
            return self.under_way[path]
        if path in self.refused:
            return self.refused[path][0]
        memory = self.course.session if self.course else self.last
        return (memory.identity(path) if memory else None) or self.left_behind.get(path)

    def wanted(self, path: str) -> bool:
        """Whether the path is taken at all: playlists and media on sight, other files when listed or included (P8)."""
        kind = classify(path)
        if self.plan.only_listed and kind in (FileKind.PLAYLIST, FileKind.MEDIA):
            return path == self.plan.tree.entry or rendition_of(path) in self.renditions or self.listed(path)
        if kind in (FileKind.PLAYLIST, FileKind.MEDIA):
            return True
        if kind is FileKind.KEY and not self.plan.tree.publish_keys:
            return False
        return self.plan.tree.includes(path) or self.listed(path)

    def listed(self, path: str) -> bool:
        """Whether a playlist of the running session lists the path, or `include` names it: both vouch for it."""
        if classify(path) is FileKind.OTHER and self.plan.tree.includes(path):
            return True
        return self.course is not None and self.course.session.listed(path)

    def vanished(self, path: str, at: float) -> None:
        """A file left the directory at `at` (monotonic). What was taken of it stays, as long as its session needs it."""
        self.refused.pop(path, None)
        session = self.course.session if self.course else None
        if session is not None and session.settings.retention is Retention.WINDOW and path in session.files:
            self.gone[path] = at

    def was_taken(self, path: str) -> bool:
        """Whether some version of the path was taken, by this session or the last."""
        return any(session and path in session.files for session in (self.course and self.course.session, self.last))

    # taking

    def carried(self, path: str, identity: FileIdentity, at: float) -> list[Record] | None:
        """Records that make an unchanged file of the last session part of this one; None when it must be read."""
        if self.course is None or self.last is None or path in self.course.session.files:
            return None
        if classify(path) is FileKind.PLAYLIST or self.last.identity(path) != identity:
            return None
        return self.course.session.carry(path, self.last, identity, at)

    def take(self, taken: Taken) -> list[Record]:
        """Take a file into the session that it belongs to; begins one when it must."""
        self.refused.pop(taken.path, None)
        records: list[Record] = []
        if self.course is None and self.last is not None:
            file = self.last.files.get(taken.path)
            if file is not None and file.cid == taken.packed.cid:
                file.identity = taken.identity
                return [FileSeen(self.last.number, taken.path, file.version, taken.identity)]
        if self.course and _is_new_run(self.course.session, taken):
            records += self.end(Event.RESTART, taken.at)
            self.detach()
        if self.course is None:
            self._leave_behind(taken)
            records += self._begin(taken.at)
        course = self.course
        assert course is not None  # noqa: S101 -- begun just above
        records += course.session.take(taken)
        course.happen(Event.FILE)
        if taken.playlist is not None:
            self._note_renditions(taken.playlist.references.paths)
            self._choose_entry(course)
        self.life_wake.ring()
        return records

    def _note_renditions(self, paths: Iterable[str]) -> None:
        """Files that are numbered like listed ones will be listed: they are taken before they are."""
        if self.plan.only_listed:
            self.renditions |= {rendition_of(path) for path in paths if classify(path) is FileKind.MEDIA}

    def refuse(self, path: str, identity: FileIdentity, reason: str) -> bool:
        """Remember why a file is not taken; true when that is new."""
        before = self.refused.get(path)
        self.refused[path] = (identity, reason)
        return before is None or before[1] != reason

    def _choose_entry(self, course: Course) -> None:
        before = course.candidates
        choose_entry(course, self.plan.tree.entry)
        if course.candidates and course.candidates != before:
            log.warning(
                "stream.needs_entry",
                stream=self.name,
                session=course.session.label,
                candidates=list(course.candidates),
                hint=f'Nothing is published before you name one: entry = "…" under [stream.{self.name}], then reload.',
            )

    # life

    def _begin(self, at: float) -> list[Record]:
        number = self.next_session()
        label = f"{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%SZ}-{number}"
        settings = self.plan.tree
        session = Session(number, self.name, label, settings, self.targets, self.quorum, at, at)
        self.course = Course(session, SnapshotTree(session, Tree(PROFILES[settings.profile])))
        self.gone = {}
        log.info("session.started", stream=self.name, session=label)
        return [SessionStarted(number, self.name, label, settings.to_json(), at)]

    def _leave_behind(self, taken: Taken) -> None:
        """When a new run of the transcoder begins a session: what the old run's media playlists say is over.

        Until the new run has written them too, they would join old text with new bytes (and may even say ENDLIST).
        """
        self.left_behind = {}
        if self.last is not None and _starts_over(self.last, taken):
            media = [path for path, track in self.last.tracks.items() if not track.newest.multivariant]
            self.left_behind = {path: self.last.files[path].identity for path in media if path != taken.path}

    def end(self, event: Event, at: float) -> list[Record]:
        """Decide that the running session ends; nothing when none does."""
        course = self.course
        if course is None or course.life is Life.ENDING or not course.happen(event):
            return []
        course.reason = "endlist" if event is Event.QUIET else event.value
        return [SessionEnding(course.session.number, course.reason, at)]

    def detach(self) -> None:
        """The ending session takes no more files; its final root is the publisher's now."""
        if self.course is not None:
            self.ending.append(self.course)
            self.last, self.course = self.course.session, None
            self.wake.ring()

    def remember(self, courses: Sequence[Course], last: Session | None, at: float) -> None:
        """Go on with the sessions that the journal knows to be unfinished, oldest first. `at`: monotonic."""
        self.last = last
        for course in courses:
            newest = course is courses[-1]
            if newest and (course.life is not Life.ENDING or course.reason != Event.RESTART.value):
                self.course = course  # an interrupted end looks at the directory once more
                if course.session.settings.retention is Retention.WINDOW:
                    self.gone = dict.fromkeys(course.session.files, at)  # or not: that is looked at before it counts
                self._note_renditions(path for track in course.session.tracks.values() for path in track.listed)
            else:
                self.ending.append(course)
        self.wake.ring()

    def replan(self, plan: StreamPlan) -> None:
        """The configuration was read again. What shapes the tree is held by the running session."""
        self.plan = plan
        if self.course is not None:
            self._choose_entry(self.course)
        self.wake.ring()

    # telling

    def confirmed(self, target: str, car: str) -> None:
        """A target keeps a CAR; whoever waits for that looks again."""
        courses = [*self.ending, *([self.course] if self.course else [])]
        changed = [course.session.confirm(car, target) for course in courses]
        if any(changed):
            self.wake.ring()

    def announced(self, publication: Publication) -> None:
        """A root was published: it is the newest of `published`."""
        self.seq = publication.seq
        self.published.appendleft(publication)
        while (
            len(self.published) > 1
            and self.published[-1].published_at < publication.published_at - self.plan.keep_roots_s
        ):
            self.published.pop()
        self.changed.tell()

    def finished(self, course: Course) -> None:
        """The final root of an ended session is announced."""
        self.ending.remove(course)
        self.changed.tell()


def _starts_over(last: Session, taken: Taken) -> bool:
    """Whether the first file of a session shows that the transcoder began anew: it uses a name again for other bytes."""
    if taken.playlist is not None:
        return last.is_new_run(taken.path, taken.playlist)
    before = last.files.get(taken.path)
    return before is not None and before.cid != taken.packed.cid


def _is_new_run(session: Session, taken: Taken) -> bool:
    """Whether a new text of the transcoder shows that it started over."""
    return taken.playlist is not None and not taken.again and session.is_new_run(taken.path, taken.playlist)
