"""Publishing: a snapshot's root, made, confirmed, bound, announced; on an interval, and at a session's end.

The order is that of DESIGN: node CAR in the spool → journal row → receipts → bound at the targets that count → announced.
Whatever step a crash interrupts, the next start finds the root in the journal, unannounced, and goes on from there; the
announcement is at least once, keyed by (stream, seq). One root of a stream is under way at a time; ticks that pass meanwhile
are not made up, the next root holds all that came in between.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread
import structlog

from hlspub.engine.course import Course, Unannounced
from hlspub.engine.life import Event
from hlspub.engine.schedule import next_tick
from hlspub.engine.snapshot import MadeRoot, Snapshot
from hlspub.errors import StorageError, TargetError
from hlspub.ipld.car import car_cid, node_car
from hlspub.model import Car, CarKind, Clock, Publication
from hlspub.pipeline.deliver import Courier
from hlspub.pipeline.ports import Announcements, Store, Writer
from hlspub.pipeline.stream import Stream
from hlspub.records import RootAnnounced, RootBound, RootMade, SessionEnded
from hlspub.telemetry.metrics import Metrics

FULL_DISK_PAUSE_S = 2.0

log = structlog.get_logger()
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Publisher:
    """Publishes one stream. `finalise` prepares an ending session's playlists (GAP, ENDLIST); see `pipeline.ending`."""

    stream: Stream
    store: Store
    journal: Writer
    clock: Clock
    metrics: Metrics
    couriers: Sequence[Courier]
    announcements: Announcements
    finalise: Callable[[Course], Awaitable[None]]
    _last_tick: float = field(init=False)
    _one_at_a_time: anyio.Lock = field(default_factory=anyio.Lock)

    def __post_init__(self) -> None:
        self._last_tick = self.clock.monotonic() - (self.stream.plan.publish_interval_s or 0.0)

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self.stream.wake.wait(self._pause_s())
            async with self._one_at_a_time:
                while self.stream.ending:
                    await self._finish(self.stream.ending[0])
            if self._due():
                await self.tick()

    async def tick(self) -> None:
        """One tick of the interval, or of a stop: publish what is new, if anything is."""
        async with self._one_at_a_time:
            started = self._last_tick = self.clock.monotonic()
            if self.stream.course is not None:
                await self.publish(self.stream.course, started)

    def _pause_s(self) -> float | None:
        interval = self.stream.plan.publish_interval_s
        if interval is None or self.stream.course is None:
            return None if interval is None else interval
        now = self.clock.monotonic()
        return next_tick(self._last_tick, interval, now) - now

    def _due(self) -> bool:
        interval = self.stream.plan.publish_interval_s
        if interval is None:
            return False
        first = self.stream.course is not None and self.stream.course.roots == 0  # viewers wait for it
        return first or self.clock.monotonic() - self._last_tick >= interval

    async def publish(self, course: Course, started: float, *, final: bool = False) -> None:
        """Make the root of the newest snapshot and announce it; a root that is under way is announced first."""
        if course.unannounced is not None:
            await self._announce(course, course.unannounced, started)
        snapshot = course.snapshot()
        if snapshot is None:
            return
        made = course.tree.make(snapshot)
        if made.root == course.last_root and not final:
            return
        course.unannounced = await self._keep(course, snapshot, made, final=final)
        await self._announce(course, course.unannounced, started)

    async def _keep(self, course: Course, snapshot: Snapshot, made: MadeRoot, *, final: bool) -> Unannounced:
        """Put the node CAR into the spool and the root into the journal."""
        car = await self._node_car(made)
        targets = course.session.targets
        if car is not None:
            course.session.confirmations.expect(car.key, None)
        course.roots += 1
        record = RootMade(
            course.session.number,
            course.roots,
            made.root,
            made.tsize,
            snapshot.entry,
            final,
            snapshot.playlists,
            car,
            self.clock.now(),
            targets,
        )
        await self.journal.write([record])
        course.tree.published()
        course.last_root = made.root
        for courier in self.couriers:
            courier.wake.ring()
        return Unannounced(course.roots, made.root, snapshot.entry, final, car.key if car else None)

    async def _node_car(self, made: MadeRoot) -> Car | None:
        if not made.blocks:
            return None
        data, spots = node_car(made.root, made.blocks)
        car = Car(str(car_cid(data)), CarKind.NODES, made.root, len(data), spots)
        return await self._until_room(anyio.to_thread.run_sync, self.store.put_car, data, car)

    async def _until_room(self, act: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what needs room on the disk; while it refuses, say so once and try again."""
        said = False
        while True:
            try:
                return await act(*args, **kwargs)
            except StorageError as why:
                if not said:
                    said = True
                    log.error("publishing.stopped", stream=self.stream.name, reason=str(why), hint=why.hint)
                await anyio.sleep(FULL_DISK_PAUSE_S)

    async def _announce(self, course: Course, root: Unannounced, started: float) -> None:
        while root.car is not None and course.session.confirmations.waits(root.car):
            await self.stream.wake.wait()
        await self._bind(course, root)
        at, latency_s = self.clock.now(), self.clock.monotonic() - started
        session, seq = course.session, self.stream.seq + 1
        publication = Publication(
            self.stream.name, session.label, seq, root.root, root.entry, root.final, at, latency_s
        )
        course.announced, course.unannounced = root.root, None
        self.stream.announced(publication)
        await self._until_room(self.announcements.announce, publication, session.settings.to_json())
        self.metrics.root_published(self.stream.name, at=at, latency_s=latency_s)
        log.info(
            "root.published",
            stream=self.stream.name,
            session=session.label,
            seq=seq,
            root=str(root.root),
            entry=root.entry,
            final=root.final,
            latency_s=round(latency_s, 4),
        )
        # Said first, then written down that it was said: a crash in between says it again, under the same number.
        await self.journal.write([RootAnnounced(session.number, root.number, seq, at, latency_s)])

    async def _bind(self, course: Course, root: Unannounced) -> None:
        """Bind the root at the targets that count; returns when enough of them have it."""
        bound: set[str] = set()
        required = course.session.quorum.required
        while True:
            for courier in [one for one in self.couriers if one.target.name in required]:
                name = courier.target.name
                if name in bound or self.clock.now() < courier.resume_at:
                    continue
                try:
                    await courier.target.bind(root.root, supersedes=course.announced)
                except TargetError as why:
                    courier.degraded(why)
                    self.metrics.publication_failed(self.stream.name)
                else:
                    courier.recovered()
                    bound.add(name)
                    await self.journal.write([RootBound(course.session.number, root.number, name, self.clock.now())])
            if course.session.quorum.satisfied(bound):
                return
            await self.stream.wake.wait(self._until_retry())

    def _until_retry(self) -> float:
        now = self.clock.now()
        return max(0.05, min((c.resume_at - now for c in self.couriers if c.resume_at > now), default=0.05))

    async def _finish(self, course: Course) -> None:
        """The final root of a session that takes no more files."""
        started = self.clock.monotonic()
        await self.finalise(course)
        while course.under_way():
            await self.stream.wake.wait()
        await self.publish(course, started, final=True)
        await self.journal.write([SessionEnded(course.session.number, self.clock.now())])
        course.happen(Event.ANNOUNCED)
        log.info(
            "session.ended",
            stream=self.stream.name,
            session=course.session.label,
            reason=course.reason,
            root=str(course.announced) if course.announced else None,
        )
        self.stream.finished(course)
