"""Intake: read each finished file once, pack it into the spool, and write down that it was taken.

Rule: a file's bytes are read once, in a thread; from there on only the CAR counts (P2). What is decided about it is decided
on the loop, at once and whole, and handed to the journal in that order; `file.taken` is said after the commit.

A playlist waits for the listed files that finished before it and are still being read, so that its listings mean what the
transcoder meant. Of a playlist that changes more than once a second one version a second is taken, the newest; under
`archive` the versions in between are read too, and taken where their listings would be lost (`engine.glance`).
A file that vanished or changed under the reader is not an error: the watcher sees it again.

A disk without room stops the intake, aloud, until there is room; files that are still in the transcoder's directory are then
taken, oldest first. The quota stops media only: playlists go on, so that what vanishes meanwhile is known to be missing.
"""

from collections.abc import Awaitable, Callable, Container, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import structlog

from hlspub.engine.course import Course
from hlspub.engine.glance import LONGEST, Glance, Glances
from hlspub.engine.session import Taken
from hlspub.engine.settings import Retention
from hlspub.errors import DataError, FileChanged, FileGone, PermissionRefused, StorageError
from hlspub.hls.classify import classify, may_be_key
from hlspub.ipld.profile import PROFILES, Profile
from hlspub.model import Clock, FileIdentity, FileKind, Settled, SettledBy
from hlspub.pipeline.archiving import Archiving
from hlspub.pipeline.drains import Drains
from hlspub.pipeline.patience import PAUSE_S, Room
from hlspub.pipeline.playlists import PlaylistReader
from hlspub.pipeline.ports import Store, Watcher, Writer
from hlspub.pipeline.stream import Stream
from hlspub.pipeline.turns import LOOK_S, Turns, look
from hlspub.pipeline.wake import Broadcast, Wake
from hlspub.records import FileTaken
from hlspub.spool.source import SourceFailed
from hlspub.telemetry.metrics import Metrics

READERS = 4  # files under way at once in one stream; how many are hashed at once is the limiter's matter
ROOM = 256  # finished files that may wait; beyond, the watcher waits (it keeps one entry a path)
PLAYLIST_PAUSE_S = 1.0  # one version a second of a playlist
FAILED_PAUSE_S = 10.0  # before a file that its disk did not give is read again

log = structlog.get_logger()
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Gate:
    """Shut while there is no room for files of one sort; then one of them is tried now and then."""

    is_shut: bool = False
    try_at: float = 0.0  # monotonic
    is_tried: bool = False

    def lets(self, now: float) -> bool:
        """Whether a file may be read now."""
        return not self.is_shut or (not self.is_tried and now >= self.try_at)


@dataclass(slots=True, eq=False)
class Intake:
    """Takes the files of one stream.

    `taken` is rung when something is to be delivered (the couriers look into the journal); `unneeded` takes a CAR that
    nobody waits for out of the spool.
    """

    stream: Stream
    store: Store
    journal: Writer
    clock: Clock
    metrics: Metrics
    hashing: anyio.CapacityLimiter
    taken: Callable[[], None]
    unneeded: Callable[[Sequence[str]], Awaitable[None]]
    room: Room
    playlists: PlaylistReader
    archiving: Archiving
    watcher: Watcher | None = None
    _waiting: dict[str, Settled] = field(default_factory=dict[str, Settled])
    _busy: dict[str, anyio.Event] = field(default_factory=dict[str, anyio.Event])
    _rest_until: dict[str, float] = field(default_factory=dict[str, float])  # monotonic
    _taking: set[str] = field(default_factory=set[str])  # of the busy ones, those that are not merely glanced at
    _drains: Drains = field(default_factory=Drains)
    _wake: Wake = field(default_factory=Wake)
    _moved: Broadcast = field(default_factory=Broadcast)
    _gates: dict[bool, _Gate] = field(
        default_factory=lambda: {True: _Gate(), False: _Gate()}
    )  # of playlists, of others
    _glances: Glances = field(default_factory=Glances)
    _glanced: dict[str, FileIdentity] = field(default_factory=dict[str, FileIdentity])
    _turns: Turns = field(init=False)
    _outlived: set[str] = field(default_factory=set[str])  # taken into a session that another followed meanwhile

    def __post_init__(self) -> None:
        self._turns = Turns(self.stream, lambda path: self._rest_until.get(path, 0.0) - PLAYLIST_PAUSE_S)

    # what the watcher tells (watch.ports.Sink)

    async def settled(self, item: Settled) -> None:
        """A file is finished; waits while too many are under way, but not for room on the disk: playlists come behind."""
        while len(self._waiting) >= ROOM and item.path not in self._waiting and not self._is_stopped():
            await self._moved.wait()
        self._waiting[item.path] = item
        self.stream.under_way[item.path] = item.identity
        self._wake.ring()

    def vanished(self, path: str) -> None:
        """A file left the directory."""
        self.stream.vanished(path, self.clock.monotonic())
        was_waiting = self._waiting.pop(path, None) is not None
        if was_waiting:
            self._drains.count(path)
            self._done(path)
            self._moved.tell()
        if was_waiting or not (path in self._busy or self.stream.was_taken(path)):
            self._say_gone(path)

    # running

    async def run(self) -> None:
        """Take files until cancelled."""
        slots = anyio.CapacityLimiter(READERS)
        async with anyio.create_task_group() as tasks:
            while True:
                slot = object()  # first: a playlist that waits for a busy file must not hold what that file needs
                await slots.acquire_on_behalf_of(slot)
                while (item := self._next()) is None:
                    await self._wake.wait(self._pause_s())
                self._busy[item.path] = anyio.Event()
                if self._rests(item.path) or not self._gate(item.path).lets(self.clock.monotonic()):
                    self._glanced[item.path] = item.identity
                    tasks.start_soon(self._one, self._glance, item, slots, slot)
                else:
                    del self._waiting[item.path]
                    self._taking.add(item.path)
                    self._gate(item.path).is_tried = True
                    tasks.start_soon(self._one, self._guarded, item, slots, slot)

    async def drained(self) -> None:
        """Wait until all that was handed over so far is done with."""
        await self._drains.wait([*self._waiting, *self._taking])

    async def reread(self, path: str, at: float) -> None:
        """At a session's end: look at a playlist once more, for what its listings mean now."""
        course = self.stream.course
        identity = course.session.identity(path) if course else None
        if identity is not None:
            await self._guarded(Settled(path, identity, SettledBy.CLOSED, at), again=True)

    # inside

    def _next(self) -> Settled | None:
        now = self.clock.monotonic()
        for path, item in self._waiting.items():
            if path in self._busy:
                continue
            if self._gate(path).lets(now) and not self._rests(path):
                return item
            if self._to_glance_at(item):
                return item
        return None

    def _rests(self, path: str) -> bool:
        """Whether the path was read a moment ago, and should be left alone for another."""
        return self._rest_until.get(path, 0.0) > self.clock.monotonic()

    def _gate(self, path: str) -> _Gate:
        return self._gates[classify(path) is FileKind.PLAYLIST]

    def _is_stopped(self) -> bool:
        return any(gate.is_shut for gate in self._gates.values())

    def _pause_s(self) -> float | None:
        """Until the first of those that wait may be read; None when only a ring can tell."""
        due: list[float] = []
        for path in self._waiting:
            gate = self._gate(path)
            if path not in self._busy and not (gate.is_shut and gate.is_tried):
                due.append(max(self._rest_until.get(path, 0.0), gate.try_at if gate.is_shut else 0.0))
        return max(min(due) - self.clock.monotonic(), 0.001) if due else None

    async def _one(
        self, act: Callable[[Settled], Awaitable[None]], item: Settled, slots: anyio.CapacityLimiter, slot: object
    ) -> None:
        try:
            await act(item)
        finally:
            slots.release_on_behalf_of(slot)
            self._busy.pop(item.path).set()
            self._done(item.path)
            if item.path in self._taking:
                self._taking.remove(item.path)
                if self._waiting.get(item.path) is not item:  # else it is to be tried again
                    self._drains.count(item.path)
            if item.path in self._outlived and self.watcher is not None:
                self._outlived.remove(item.path)
                self.watcher.release([item.path])  # the next session may want it too, and could not ask until now
            self._wake.ring()
            self._moved.tell()

    def _to_glance_at(self, item: Settled) -> bool:
        course = self.stream.course
        track = course.session.tracks.get(item.path) if course else None
        return (
            course is not None
            and track is not None
            and not track.newest.multivariant
            and course.session.settings.retention is Retention.ARCHIVE
            and item.identity.size <= LONGEST
            and self._glanced.get(item.path) != item.identity
        )

    async def _glance(self, item: Settled) -> None:
        """Read a playlist version that may not be taken, for what it lists. It waits on, or a newer one does."""
        try:
            glance = await self.playlists.read(item, self._thread)
        except (FileGone, FileChanged, DataError, PermissionRefused, StorageError):
            return  # the version that is taken next says what is wrong
        self._glances.note(glance, self._listed(item.path))

    def _listed(self, path: str) -> Container[str]:
        """What the newest taken version of a playlist lists."""
        track = self.stream.course.session.tracks.get(path) if self.stream.course else None
        return frozenset(track.references.paths) if track else frozenset[str]()

    async def _guarded(self, item: Settled, *, again: bool = False) -> None:
        """Take a file; what is expected to go wrong with a file becomes a state and a line in the log."""
        gate = self._gate(item.path)
        try:
            is_done = await self._tried(item, gate, again=again)
            while again and not is_done:
                await anyio.sleep(PAUSE_S)
                is_done = await self._tried(item, gate, again=True)
        finally:
            gate.is_tried = False

    async def _tried(self, item: Settled, gate: _Gate, *, again: bool) -> bool:
        """Take a file; false when there is no room for it: then it waits again."""
        name = self.stream.name
        try:
            await self._take(item, again=again)
        except FileGone:
            self._say_gone(item.path)
        except FileChanged:  # the watcher tells when it has settled again, and then it may be read at once
            self._rest_until.pop(item.path, None)
            log.debug("file.changed", stream=name, path=item.path)
        except (DataError, PermissionRefused) as why:
            if self.stream.refuse(item.path, item.identity, str(why)):
                self.metrics.segment_refused(name)
                log.warning("file.refused", stream=name, path=item.path, reason=str(why), hint=why.hint)
        except SourceFailed as why:
            self._unreadable(item, why)
        except StorageError as why:
            self._no_room(item, gate, why, again=again)
            return False
        else:
            gate.is_shut = False
            if not self._is_stopped():
                self.room.granted()
        return True

    def _no_room(self, item: Settled, gate: _Gate, why: StorageError, *, again: bool) -> None:
        gate.is_shut, gate.try_at = True, self.clock.monotonic() + PAUSE_S
        self.room.refused(why)
        if not again and item.path not in self._waiting:
            self._waiting = {item.path: item} | self._waiting  # oldest first: it will be deleted first

    def _unreadable(self, item: Settled, why: StorageError) -> None:
        """The disk of this one file fails: the others go on."""
        if self.stream.refuse(item.path, item.identity, str(why)):
            log.error("file.unreadable", stream=self.stream.name, path=item.path, reason=str(why), hint=why.hint)
        self._rest_until[item.path] = self.clock.monotonic() + FAILED_PAUSE_S
        self._waiting.setdefault(item.path, item)

    async def _take(self, item: Settled, *, again: bool) -> None:
        carried = self.stream.carried(item.path, item.identity, self.clock.now())
        if carried is not None:
            await self.journal.write(carried)
            return
        started = self.clock.monotonic()
        kind = classify(item.path)
        if kind is FileKind.PLAYLIST:
            self._rest_until[item.path] = started + PLAYLIST_PAUSE_S
            newest = await self.playlists.read(item, self._thread)
            first = [] if again else self._turns.before(item.path, newest.playlist)
            if first and self._turns.is_early(item.path, await self._found(first), self.clock.monotonic()):
                self._rest_until[item.path] = self.clock.monotonic() + LOOK_S
                self._waiting.setdefault(item.path, item)
                return
            while (before := self._glances.before(item.path, newest.written, self._listed(item.path))) is not None:
                await self.commit(await self._pack_playlist(before), before)
                self._glances.done(before)
            taken = await self._pack_playlist(newest, again=again)
            course = await self.commit(taken, newest)
        else:
            if may_be_key(item.path, item.identity.size) and not self._publishes_keys():
                raise DataError(
                    f"{item.path} is {item.identity.size} bytes long, as content keys are",
                    hint="It is not published, whatever its name says, unless publish_keys = true.",
                )
            packed = await self._thread(self.store.put_file, self._source(item.path), item.identity, self._profile())
            taken = Taken(item.path, kind, packed, item.identity, self.clock.now(), quiet=item.by is SettledBy.QUIET)
            course = await self.commit(taken)
        took_s = self.clock.monotonic() - started
        self.metrics.file_taken(self.stream.name, kind, taken.packed.size_bytes, took_s)
        log.debug(
            "file.taken",
            stream=self.stream.name,
            session=course.session.label if course else None,
            path=item.path,
            cid=str(taken.packed.cid),
            size_bytes=taken.packed.size_bytes,
            took_s=round(self.clock.now() - item.noticed_at, 4),
        )

    async def commit(self, taken: Taken, glance: Glance | None = None) -> Course | None:
        """Decide about a file that was read, make the decision durable, and tell those who wait.

        Returns the session that has it, None when it only confirms what the last one took.
        """
        asked = self.stream.course
        earlier = await self.archiving.earlier(asked, glance) if glance else None
        before = self.stream.course
        records = self.stream.take(taken)
        course = self.stream.course
        if glance is not None:
            records += self.archiving.learn(course, glance, earlier if course is asked else None)
        begun = course is not before and course is not None
        try:
            await self.journal.write(records)
        finally:
            self.store.disclaim(taken.packed.car.key)
        if any(isinstance(record, FileTaken) for record in records):
            self.taken()
        else:  # the same bytes as before: they were delivered, or are on their way
            await self.unneeded([taken.packed.car.key])
        if begun and self.watcher is not None and self.stream.last is not None:
            # What the last session took may belong to this one too: its playlists are read again, and say so.
            files = self.stream.last.files.values()
            self.watcher.release([f.path for f in files if f.kind is FileKind.PLAYLIST and f.path != taken.path])
        if taken.playlist is not None and self.watcher is not None and self.stream.course is not None:
            session = self.stream.course.session
            listed = (path for path in taken.playlist.references.paths if classify(path) is FileKind.PLAYLIST)
            self.watcher.release([*session.waiting, *(path for path in listed if path not in session.files)])
        if self.stream.course is not course:
            self._outlived.add(taken.path)
        return course

    async def _pack_playlist(self, glance: Glance, *, again: bool = False) -> Taken:
        item, playlist = glance.item, glance.playlist
        packed = await self._thread(self.store.put_data, glance.data, self._profile())
        for path in [path for path in self._busy if path in playlist.references.paths]:
            if classify(path) is FileKind.PLAYLIST:
                continue  # two that list one another would wait for ever, and a listed playlist is not bound
            if (under_way := self._busy.get(path)) is not None:
                await under_way.wait()
        taken = Taken(
            item.path, FileKind.PLAYLIST, packed, item.identity, self.clock.now(), playlist=playlist, again=again
        )
        suspects = self.stream.course.session.suspects(item.path, playlist) if self.stream.course else []
        return replace(taken, found=await self._found(suspects)) if suspects else taken

    async def _found(self, paths: list[str]) -> dict[str, FileIdentity | None]:
        return await anyio.to_thread.run_sync(look, self.stream.plan.directory, paths)

    async def _thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await anyio.to_thread.run_sync(function, *arguments, limiter=self.hashing)

    def _profile(self) -> Profile:
        course = self.stream.course
        return PROFILES[(course.session.settings if course else self.stream.plan.tree).profile]

    def _publishes_keys(self) -> bool:
        """Whether the running session and the configuration both allow it: turned off, it is off at once."""
        course = self.stream.course
        return self.stream.plan.tree.publish_keys and (course is None or course.session.settings.publish_keys)

    def _source(self, path: str) -> Path:
        return self.stream.plan.directory / path

    def _done(self, path: str) -> None:
        """The path is no longer under way, unless a newer state of it waits already."""
        if path not in self._waiting:
            self.stream.under_way.pop(path, None)

    def _say_gone(self, path: str) -> None:
        log.warning("file.vanished", stream=self.stream.name, path=path, hint="It was deleted before it could be read.")
