"""Intake: read each finished file once, pack it into the spool, and write down that it was taken.

Rule: a file's bytes are read once, in a thread; from there on only the CAR counts (P2). What is decided about it is decided
on the loop, at once and whole, and handed to the journal in that order; `file.taken` is said after the commit.

A playlist waits for the listed files that finished before it and are still being read, so that its listings mean what the
transcoder meant. Of a playlist that changes more than once a second one version a second is taken, the newest.
A file that vanished or changed under the reader is not an error: the watcher sees it again. A full disk stops the intake,
aloud, until there is room; files that are still in the transcoder's directory are then taken.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import anyio
import anyio.to_thread
import structlog

from hlspub.engine.course import Course
from hlspub.engine.session import Taken
from hlspub.errors import DataError, FileChanged, FileGone, PermissionRefused, PlaylistError, StorageError
from hlspub.hls.classify import classify
from hlspub.hls.edit import mark_gaps
from hlspub.hls.playlist import Playlist
from hlspub.hls.scan import rescan, scan
from hlspub.ipld.profile import PROFILES, Profile
from hlspub.model import Clock, FileIdentity, FileKind, Settled, SettledBy
from hlspub.pipeline.ports import Store, Watcher, Writer
from hlspub.pipeline.stream import Stream
from hlspub.pipeline.wake import Broadcast, Wake
from hlspub.records import FileTaken
from hlspub.telemetry.metrics import Metrics

READERS = 4  # files under way at once in one stream; how many are hashed at once is the limiter's matter
ROOM = 256  # finished files that may wait; beyond, the watcher waits (it keeps one entry a path)
PLAYLIST_PAUSE_S = 1.0  # one version a second of a playlist
FULL_DISK_PAUSE_S = 2.0

log = structlog.get_logger()
T = TypeVar("T")
_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


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
    unneeded: Callable[[str], Awaitable[None]]
    watcher: Watcher | None = None
    _waiting: dict[str, Settled] = field(default_factory=dict[str, Settled])
    _busy: dict[str, anyio.Event] = field(default_factory=dict[str, anyio.Event])
    _scans: dict[str, Playlist] = field(default_factory=dict[str, Playlist])
    _last_read: dict[str, float] = field(default_factory=dict[str, float])
    _wake: Wake = field(default_factory=Wake)
    _moved: Broadcast = field(default_factory=Broadcast)
    _full: bool = False
    _outlived: set[str] = field(default_factory=set[str])  # taken into a session that another followed meanwhile

    # what the watcher tells (watch.ports.Sink)

    async def settled(self, item: Settled) -> None:
        """A file is finished; waits while too many are under way."""
        while len(self._waiting) >= ROOM and item.path not in self._waiting:
            await self._moved.wait()
        self._waiting[item.path] = item
        self.stream.under_way[item.path] = item.identity
        self._wake.ring()

    def vanished(self, path: str) -> None:
        """A file left the directory. What was taken of it stays."""
        self.stream.refused.pop(path, None)
        was_waiting = self._waiting.pop(path, None) is not None
        if was_waiting:
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
                del self._waiting[item.path]
                self._busy[item.path] = anyio.Event()
                tasks.start_soon(self._one, item, slots, slot)

    async def drained(self) -> None:
        """Wait until nothing that was handed over is left."""
        while self._waiting or self._busy:
            await self._moved.wait()

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
            if path not in self._busy and self._last_read.get(path, -1e9) + PLAYLIST_PAUSE_S <= now:
                return item
        return None

    def _pause_s(self) -> float | None:
        """Until the first playlist that was read less than a second ago may be read again."""
        now = self.clock.monotonic()
        paused = [path for path in self._waiting if path in self._last_read and path not in self._busy]
        due = [self._last_read[path] + PLAYLIST_PAUSE_S for path in paused]
        return max(min(due) - now, 0.001) if due else None

    async def _one(self, item: Settled, slots: anyio.CapacityLimiter, slot: object) -> None:
        try:
            await self._guarded(item)
        finally:
            slots.release_on_behalf_of(slot)
            self._busy.pop(item.path).set()
            self._done(item.path)
            if item.path in self._outlived and self.watcher is not None:
                self._outlived.remove(item.path)
                self.watcher.release([item.path])  # the next session may want it too, and could not ask until now
            self._wake.ring()
            self._moved.tell()

    async def _guarded(self, item: Settled, *, again: bool = False) -> None:
        """Take a file; what is expected to go wrong with a file becomes a state and a line in the log."""
        name = self.stream.name
        while True:
            try:
                await self._take(item, again=again)
            except FileGone:
                self._say_gone(item.path)
            except FileChanged:
                log.debug("file.changed", stream=name, path=item.path)  # the watcher tells when it has settled again
            except (DataError, PermissionRefused) as why:
                if self.stream.refuse(item.path, item.identity, str(why)):
                    self.metrics.segment_refused(name)
                    log.warning("file.refused", stream=name, path=item.path, reason=str(why), hint=why.hint)
            except StorageError as why:
                if not self._full:
                    self._full = True
                    log.error(
                        "intake.stopped", stream=name, reason=str(why), hint=why.hint, retry_in_s=FULL_DISK_PAUSE_S
                    )
                await anyio.sleep(FULL_DISK_PAUSE_S)
                continue
            else:
                if self._full:
                    self._full = False
                    log.info("intake.resumed", stream=name)
            return

    async def _take(self, item: Settled, *, again: bool) -> None:
        carried = self.stream.carried(item.path, item.identity, self.clock.now())
        if carried is not None:
            await self.journal.write(carried)
            return
        started = self.clock.monotonic()
        kind = classify(item.path)
        if kind is FileKind.PLAYLIST:
            taken = await self._read_playlist(item, again=again)
        else:
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

    async def commit(self, taken: Taken) -> Course | None:
        """Decide about a file that was read, make the decision durable, and tell those who wait.

        Returns the session that has it, None when it only confirms what the last one took.
        """
        before = self.stream.course
        records = self.stream.take(taken)
        course = self.stream.course
        begun = course is not before and course is not None
        await self.journal.write(records)
        if any(isinstance(record, FileTaken) for record in records):
            self.taken()
        else:  # the same bytes as before: they were delivered, or are on their way
            await self.unneeded(taken.packed.car.key)
        if begun and self.watcher is not None and self.stream.last is not None:
            # What the last session took may belong to this one too: its playlists are read again, and say so.
            files = self.stream.last.files.values()
            self.watcher.release([f.path for f in files if f.kind is FileKind.PLAYLIST and f.path != taken.path])
        if taken.playlist is not None and self.watcher is not None and self.stream.course is not None:
            self.watcher.release(list(self.stream.course.session.waiting))
        if self.stream.course is not course:
            self._outlived.add(taken.path)
        return course

    async def _read_playlist(self, item: Settled, *, again: bool) -> Taken:
        self._last_read[item.path] = self.clock.monotonic()
        source, before = self._source(item.path), self._scans.get(item.path)

        course = self.stream.course
        lost = frozenset(course.session.lost) if course else frozenset[str]()
        entry = self._scans.get(course.entry) if course and course.entry else None
        variables = entry.variables if entry and course and course.entry != item.path else _NO_VARIABLES

        def read() -> tuple[bytes, Playlist, Playlist]:
            data = self.store.read_settled(source, item.identity, self.stream.plan.playlist_size)
            if before is None:
                written = scan(data, item.path, variables=variables)
            else:
                written = rescan(data, item.path, before, variables=variables)
            _check_names(item.path, written)
            if lost.isdisjoint(written.references.paths):
                return data, written, written
            data = mark_gaps(data, item.path, lost, variables=variables)
            return data, scan(data, item.path, variables=variables), written

        data, playlist, written = await self._thread(read)
        self._say_refused(item.path, written, before)
        self._scans[item.path] = written
        packed = await self._thread(self.store.put_data, data, self._profile())
        for path in [path for path in self._busy if path in playlist.references.paths]:
            if classify(path) is FileKind.PLAYLIST:
                continue  # two that list one another would wait for ever, and a listed playlist is not bound
            if (under_way := self._busy.get(path)) is not None:
                await under_way.wait()
        taken = Taken(
            item.path, FileKind.PLAYLIST, packed, item.identity, self.clock.now(), playlist=playlist, again=again
        )
        suspects = self.stream.course.session.suspects(item.path, playlist) if self.stream.course else []
        return replace(taken, unchanged=await self._unchanged(suspects)) if suspects else taken

    async def _unchanged(self, paths: list[str]) -> frozenset[str]:
        known = {path: self.stream.known(path) for path in paths}

        def look() -> frozenset[str]:
            return frozenset(path for path, identity in known.items() if _identity(self._source(path)) == identity)

        return await anyio.to_thread.run_sync(look)

    async def _thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await anyio.to_thread.run_sync(function, *arguments, limiter=self.hashing)

    def _profile(self) -> Profile:
        course = self.stream.course
        return PROFILES[(course.session.settings if course else self.stream.plan.tree).profile]

    def _source(self, path: str) -> Path:
        return self.stream.plan.directory / path

    def _done(self, path: str) -> None:
        """The path is no longer under way, unless a newer state of it waits already."""
        if path not in self._waiting:
            self.stream.under_way.pop(path, None)

    def _say_refused(self, path: str, playlist: Playlist, before: Playlist | None) -> None:
        """A reference that leads out of the directory is not published, and viewers will miss it: say so once."""
        known = before.refused if before else ()
        for refused in playlist.refused:
            if refused not in known:
                log.warning(
                    "reference.refused",
                    stream=self.stream.name,
                    playlist=path,
                    uri=refused.uri,
                    reason=refused.reason,
                    hint="What lies outside the stream's directory is never published; viewers of this playlist miss it.",
                )

    def _say_gone(self, path: str) -> None:
        log.warning("file.vanished", stream=self.stream.name, path=path, hint="It was deleted before it could be read.")


def _check_names(path: str, playlist: Playlist) -> None:
    """Refuse a playlist that lists what cannot stand in a tree, whose names are UTF-8 (as a playlist's text should be)."""
    try:
        "\n".join(playlist.references.paths).encode()
    except UnicodeEncodeError as why:
        named = str(why.object)[: why.end].rpartition("\n")[2].encode(errors="backslashreplace").decode()
        raise PlaylistError(
            f'{path} lists a file whose name is not UTF-8: "{named}…"',
            hint="Playlists are UTF-8 (RFC 8216bis §4). Rename the file, or let the transcoder write UTF-8.",
        ) from why


def _identity(path: Path) -> FileIdentity | None:
    try:
        return FileIdentity.of(path.stat())
    except OSError:
        return None
