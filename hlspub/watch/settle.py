"""Settling: when is a file finished?

Rule 1: no I/O and no clock here. The caller brings what `stat` just said, and the time; a verdict is a `Settled`, or none yet.
Rule 2: a verdict is about one identity of a file. It is handed over once, and again after `release`, until `Evidence.known`
says that it was taken.

A file is finished when its writer said so (closed, renamed into place: `finished`), or when it is *quiet* and *vouched for*
(`found`). Quiet: unchanged for the pace's time, either while we looked on or, where the file system's times can be trusted, by
its own age. Vouched for: a playlist lists it, or a later file of its rendition exists (the writer has moved on). A playlist
needs no voucher, since intake reads it only when it parses whole, and a shorter quiet: a writer that keeps its playlist open
and appends to it may never leave it alone for longer than a segment.

                     finished()
       ┌──────────────────────────────────────────┐
       │                                          ▼
    (nothing) ──found()──► young ──quiet──► unvouched ──listed / later file──► settled
                             ▲                                                    │
                             └──────────────── another identity ──────────────────┘

Young and unvouched files are looked at again when they are `due`; nothing is decided on an old `stat`.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from hlspub.model import FileIdentity, Settled, SettledBy
from hlspub.watch.ports import Evidence, Names

OPEN_PLAYLIST_S = (
    60.0  # a playlist that settles without being closed is looked at each second for this long after it changed
)
SLACK_S = 0.01  # two clocks and rounded file times: look a little late rather than twice
_AT_ONCE = 0.0  # a monotonic time that is always past


@dataclass(frozen=True, slots=True)
class Pace:
    """How long quiet lasts. `trust_times`: a file's own age counts too; not so where another machine sets its times."""

    settle_s: float
    playlist_s: float
    trust_times: bool


@dataclass(slots=True)
class _Waiting:
    """A file that is not finished yet. `identity` is None until the first look; `due` is None while it lacks a voucher."""

    identity: FileIdentity | None
    since: float
    due: float | None


class Judge:
    """Decides which files are finished. `now` is Unix time, `mono` a monotonic time, both in seconds."""

    def __init__(self, evidence: Evidence, names: Names, pace: Pace) -> None:
        self.pace = pace
        self._evidence = evidence
        self._names = names
        self._waiting: dict[str, _Waiting] = {}
        self._queue: list[tuple[float, str]] = []
        self._unvouched: dict[str, set[str]] = {}  # by rendition
        self._newest: dict[str, int] = {}  # by rendition: the latest mtime_ns seen
        self._verdicts: dict[str, Settled] = {}
        self._handed: set[str] = set()
        self._open: dict[str, float] = {}

    def finished(self, path: str, identity: FileIdentity, by: SettledBy, at: float) -> Settled | None:
        """The writer closed `path`, or renamed it into place, at Unix time `at`, and `stat` then said `identity`."""
        if not self._evidence.wanted(path):
            return None
        self._waiting.pop(path, None)
        self._open.pop(path, None)
        self._note_times([(path, identity)], now=at)
        if self._is_settled(path, identity):
            return None
        return self._hand(Settled(path, identity, by, at))

    def found(self, files: Iterable[tuple[str, FileIdentity]], *, now: float, mono: float) -> list[Settled]:
        """These files are there, as `stat` just said. Returns those that are finished."""
        wanted: list[tuple[str, FileIdentity]] = []
        for path, identity in files:
            if self._evidence.wanted(path):
                wanted.append((path, identity))
            else:
                self._waiting.pop(path, None)
        self._note_times(wanted, now=now)
        verdicts = [self._judge(path, identity, now=now, mono=mono) for path, identity in wanted]
        return [verdict for verdict in verdicts if verdict is not None]

    def expect(self, path: str, mono: float) -> None:
        """Something appeared at `path`: look at it when even a playlist could be quiet, unless its writer closes it before."""
        waiting = self._waiting.get(path)
        if waiting is None:
            waiting = _Waiting(None, mono, None)
        if waiting.due is None and self._evidence.wanted(path):
            self._wait(path, waiting, mono + self.pace.playlist_s)

    def forget(self, path: str) -> bool:
        """`path` is gone, or is no regular file. Returns whether it was waited for or handed over."""
        is_waiting = self._waiting.pop(path, None) is not None
        if is_waiting:
            self._unvouched.get(self._names.rendition_of(path), set()).discard(path)
        self._handed.discard(path)
        self._open.pop(path, None)
        return (self._verdicts.pop(path, None) is not None) or is_waiting

    def tracked(self) -> list[str]:
        """The paths that were seen and are not known to be taken."""
        return [*self._waiting.keys() | self._verdicts.keys()]

    def release(self, paths: Iterable[str]) -> list[str]:
        """There is new evidence for `paths`, or intake could not use them. Returns those to look at, which may settle again."""
        to_look_at: list[str] = []
        for path in paths:
            if path in self._handed or path in self._waiting or self._evidence.known(path) is None:
                self._handed.discard(path)
                to_look_at.append(path)
        return to_look_at

    def due(self, mono: float) -> list[str]:
        """The paths to look at now; each is returned once, until it is found or expected again."""
        paths: list[str] = []
        while self._queue and self._queue[0][0] <= mono:
            due, path = heapq.heappop(self._queue)
            waiting = self._waiting.get(path)
            if waiting is not None and waiting.due == due:
                waiting.due = None
                paths.append(path)
        return paths

    def next_due(self) -> float | None:
        """The monotonic time at which something is due next; it may be too early, never too late."""
        return self._queue[0][0] if self._queue else None

    def last_due(self) -> float | None:
        """The monotonic time by which every young file, if it stays unchanged, will have been due."""
        dues = (waiting.due for waiting in self._waiting.values())
        return max((due for due in dues if due is not None), default=None)

    def open_playlists(self, mono: float) -> list[str]:
        """Playlists that lately changed without being closed: their writer may keep them open, and say nothing more."""
        self._open = {path: since for path, since in self._open.items() if mono - since < OPEN_PLAYLIST_S}
        return list(self._open)

    def _judge(self, path: str, identity: FileIdentity, *, now: float, mono: float) -> Settled | None:
        waiting = self._waiting.pop(path, None)
        if self._is_settled(path, identity):
            return None
        verdict = self._verdicts.get(path)
        if verdict is not None and verdict.identity == identity:
            return self._hand(verdict)
        if waiting is None or waiting.identity != identity:
            waiting = _Waiting(identity, mono, None)
        wait_s = self._quiet_in(path, identity, waiting.since, now=now, mono=mono)
        if wait_s > 0:
            self._wait(path, waiting, mono + wait_s + SLACK_S)
            return None
        if not self._is_vouched_for(path, identity):
            waiting.due = None
            self._waiting[path] = waiting
            self._unvouched.setdefault(self._names.rendition_of(path), set()).add(path)
            return None
        if self.pace.trust_times and self._names.is_playlist(path):
            self._open[path] = mono
        return self._hand(Settled(path, identity, SettledBy.QUIET, now))

    def _is_settled(self, path: str, identity: FileIdentity) -> bool:
        """Whether this identity was taken, or handed over to be taken."""
        verdict = self._verdicts.get(path)
        if self._evidence.known(path) == identity:
            self._verdicts.pop(path, None)
            self._handed.discard(path)
            return True
        return verdict is not None and verdict.identity == identity and path in self._handed

    def _hand(self, verdict: Settled) -> Settled:
        self._verdicts[verdict.path] = verdict
        self._handed.add(verdict.path)
        return verdict

    def _quiet_in(self, path: str, identity: FileIdentity, since: float, *, now: float, mono: float) -> float:
        """Seconds until the file counts as quiet; 0 or less when it does."""
        needed = self.pace.playlist_s if self._names.is_playlist(path) else self.pace.settle_s
        watched = needed - (mono - since)
        if not self.pace.trust_times:
            return watched
        changed = max(identity.mtime_ns, identity.ctime_ns) / 1e9
        return min(watched, needed - (now - changed))

    def _is_vouched_for(self, path: str, identity: FileIdentity) -> bool:
        if self._names.is_playlist(path) or self._evidence.listed(path):
            return True
        return self._newest.get(self._names.rendition_of(path), 0) > identity.mtime_ns

    def _note_times(self, files: Iterable[tuple[str, FileIdentity]], *, now: float) -> None:
        """Remember each rendition's latest file, and wake those that waited for one. A time to come vouches for nothing."""
        horizon_ns = int(now * 1e9) if self.pace.trust_times else None
        for path, identity in files:
            if self._names.is_playlist(path) or (horizon_ns is not None and identity.mtime_ns > horizon_ns):
                continue
            rendition = self._names.rendition_of(path)
            if identity.mtime_ns > self._newest.get(rendition, 0):
                self._newest[rendition] = identity.mtime_ns
                for other in self._unvouched.pop(rendition, ()):
                    waiting = self._waiting.get(other)
                    if waiting is not None and waiting.due is None:
                        self._wait(other, waiting, _AT_ONCE)

    def _wait(self, path: str, waiting: _Waiting, due: float) -> None:
        waiting.due = due
        self._waiting[path] = waiting
        heapq.heappush(self._queue, (due, path))
