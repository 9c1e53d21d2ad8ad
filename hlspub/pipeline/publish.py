"""Publishing: a snapshot's root, made, confirmed, bound, announced; on an interval, and at a session's end.

The order is that of DESIGN: node CAR in the spool → journal row → receipts → bound at the targets that count → announced.
Whatever step a crash interrupts, the next start finds the root in the journal, unannounced, and goes on from there; the
announcement is at least once, keyed by (stream, seq). One root of a stream is under way at a time; ticks that pass meanwhile
are not made up, the next root holds all that came in between. Binding is `pipeline.bind`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import structlog

from hlspub.engine.course import Course, Unannounced
from hlspub.engine.life import Event
from hlspub.engine.schedule import next_tick
from hlspub.engine.snapshot import MadeRoot, Snapshot
from hlspub.ipld.car import car_cid, node_car
from hlspub.model import Car, CarKind, Clock, Publication
from hlspub.pipeline.bind import Bindable, Binder
from hlspub.pipeline.patience import Room
from hlspub.pipeline.ports import Announcements, Store, Writer
from hlspub.pipeline.stream import Stream
from hlspub.records import RootAnnounced, RootMade, SessionEnded
from hlspub.telemetry.metrics import Metrics

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class Publisher:
    """Publishes one stream. `finalise` prepares an ending session's playlists (GAP, ENDLIST); see `pipeline.ending`."""

    stream: Stream
    store: Store
    journal: Writer
    clock: Clock
    metrics: Metrics
    binder: Binder
    announcements: Announcements
    finalise: Callable[[Course], Awaitable[None]]
    left: Callable[[Course], Awaitable[None]]  # passes what a root left behind; see `pipeline.passing`
    queued: Callable[[], None]  # there is something to deliver
    room: Room
    _last_tick: float = field(init=False)
    _one_at_a_time: anyio.Lock = field(default_factory=anyio.Lock)

    def __post_init__(self) -> None:
        self._last_tick = self.clock.monotonic() - (self.stream.plan.publish_interval_s or 0.0)

    async def run(self) -> None:
        """Publish and bind until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.binder.run)
            await self._publish()

    async def _publish(self) -> None:
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
        snapshot = course.snapshot() if final else course.snapshot(self.clock.now())
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
        try:
            await self.journal.write([record])
        finally:
            if car is not None:
                self.store.disclaim(car.key)
        course.tree.published()
        course.last_root = made.root
        self.queued()
        return Unannounced(course.roots, made.root, snapshot.entry, final, car.key if car else None)

    async def _node_car(self, made: MadeRoot) -> Car | None:
        if not made.blocks:
            return None
        data, spots = node_car(made.root, made.blocks)
        car = Car(str(car_cid(data)), CarKind.NODES, made.root, len(data), spots)
        return await self.room.until(anyio.to_thread.run_sync, self.store.put_car, data, car)

    async def _announce(self, course: Course, root: Unannounced, started: float) -> None:
        while root.car is not None and course.session.confirmations.waits(root.car):
            await self.stream.wake.wait()
        session, seq = course.session, self.stream.seq + 1
        mark = await self.binder.queue.newest_shard()
        bindable = Bindable(session.number, root.number, root.root, root.final, mark)
        await self.binder.bind(bindable)
        at, latency_s = self.clock.now(), self.clock.monotonic() - started
        publication = Publication(
            self.stream.name, session.label, seq, root.root, root.entry, root.final, at, latency_s
        )
        course.announced, course.unannounced = root.root, None
        self.stream.announced(publication)
        await self.room.until(self.announcements.announce, publication, session.settings.to_json())
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
        self.binder.announced(bindable)
        if not root.final:
            await self.left(course)

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
