"""Delivery: one courier a target, and the journal is its queue.

Rule: a courier asks the journal what is due, puts it, and writes down the receipt or the next try. It remembers nothing
that a crash could take, and nothing that grows with the backlog. A target that fails is left alone for a while
(`engine.schedule`), then tried with one shard; its state is a table:

    OK ──failed──► DEGRADED ──confirmed──► CATCHING_UP ──all that was queued by then confirmed──► OK
                       ▲                        │            `target.degraded`, said by `engine.voice`: once, then ever less
                       └────────failed──────────┘            often while it lasts; `target.recovered`, `target.caught_up`

A start with a backlog is CATCHING_UP too. A target that does not answer in time (`Capabilities.patience_s`) has failed.

A target that wants few big shards gets several waiting ones joined (`engine.gathering`, `Capabilities.shard_cars`), which is
written down before they are sent.

A shard that the target refuses for good (`retry_s` None) waits for a person; the others go on. Several refusals in a row are
not the shards' fault but the target's (a token that ran out): then it is degraded, and what was refused meanwhile is offered
again when it takes something. A start offers everything that was refused once more, and a reload everything that failed
(`try_now`): who reloads has mended something.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

import anyio
import structlog

from hlspub.engine.gathering import Bounds, gather
from hlspub.engine.schedule import retry_after
from hlspub.engine.voice import Voice
from hlspub.errors import StorageError, TargetError
from hlspub.model import CarKind, Clock
from hlspub.pipeline.ports import PendingCar, PendingShard, Queue, Writer
from hlspub.pipeline.wake import Wake
from hlspub.records import ShardConfirmed, ShardDelayed, ShardsJoined
from hlspub.targets.base import CarFile, Target, in_time
from hlspub.telemetry.metrics import Metrics

_BATCH = 64  # shards asked for at once
_LONGEST_SLEEP_S = 30.0  # the queue is looked at again at least this often, whatever rang or did not
REFUSALS = 3  # in a row, and it is the target that refuses
REFUSED_RETRY_S = 15.0

log = structlog.get_logger()

Confirmed = Callable[[str, str], None]
"""(target, CAR key): told after the receipt is in the journal."""

Release = Callable[[Sequence[str]], Awaitable[None]]
"""Takes those of the CARs that no target waits for out of the spool."""


Fetch = Callable[[Sequence[CarFile]], Awaitable[None]]
"""Sees to it that CARs are on this machine, from another target if need be; raises TargetError."""


class TargetState(StrEnum):
    """How a target does; see the module's table."""

    OK = "ok"
    CATCHING_UP = "catching_up"
    DEGRADED = "degraded"


@dataclass(slots=True)
class Courier:
    """Delivers to one target; see the module's rule."""

    target: Target
    queue: Queue
    journal: Writer
    clock: Clock
    metrics: Metrics
    confirmed: Confirmed
    release: Release
    required: frozenset[str] = frozenset()  # the targets that a root waits for
    hold_s: Callable[[], float] = lambda: inf  # the longest that a CAR may wait for others, whatever the target says
    fetch: Fetch | None = None
    wake: Wake = field(default_factory=Wake)
    reason: str = ""  # why the target is degraded; empty: it is well
    failures: int = 0
    resume_at: float = 0.0
    state: TargetState = TargetState.OK
    _voice: Voice = field(default_factory=Voice)
    _spool_voice: Voice = field(default_factory=Voice)
    _failing_op: str = ""
    _mark: int | None = None  # the newest shard when it came back; None: not looked up yet
    _refused: list[int] = field(default_factory=list[int])  # shards refused in a row
    _busy: set[int] = field(default_factory=set[int])
    _mended_at: float = 0.0  # monotonic; when somebody said so last
    _held_until: float | None = None  # when the shards that wait for company go

    @property
    def well(self) -> bool:
        """Whether the last exchange with the target was a success."""
        return not self.reason

    async def holds(self, mark: int) -> bool:
        """Whether the target has confirmed every shard up to `mark` (`Queue.newest_shard`)."""
        oldest = await self.queue.oldest_shard(self.target.name)
        return oldest is None or oldest > mark

    async def run(self) -> None:
        """Deliver until cancelled."""
        await self._begin()
        limit = anyio.CapacityLimiter(self.target.capabilities.concurrency)
        async with anyio.create_task_group() as tasks:
            while True:
                if self.state is TargetState.CATCHING_UP:
                    await self._look_up()
                due = await self._due()
                if not due:
                    await self.wake.wait(await self._sleep_s())
                    continue
                for shards in due if self.well else due[:1]:
                    token = shards[0].id
                    await limit.acquire_on_behalf_of(token)
                    if self.clock.now() < self.resume_at:
                        limit.release_on_behalf_of(token)
                        break  # it failed meanwhile: leave it alone
                    self._busy.update(shard.id for shard in shards)
                    tasks.start_soon(self._deliver, shards, limit)

    async def try_now(self) -> None:
        """Wait for nothing any more: what failed is due, and the target is tried at once."""
        self._mended_at = self.clock.monotonic()
        await self._offer(await self.queue.failed_shards(self.target.name))
        self._refused, self.failures, self.resume_at = [], 0, 0.0
        self.wake.ring()

    async def _offer(self, shards: Sequence[PendingShard]) -> None:
        now = self.clock.now()
        if shards:
            await self.journal.write([ShardDelayed(one.id, one.attempts, now, one.error or "") for one in shards])

    async def _begin(self) -> None:
        name = self.target.name
        await self._offer(await self.queue.parked_shards(name))
        if self.well and await self.queue.oldest_shard(name) is not None:
            self._become(TargetState.CATCHING_UP)

    async def _look_up(self) -> None:
        mark = self._mark = await self.queue.newest_shard() if self._mark is None else self._mark
        if await self.holds(mark) and self.state is TargetState.CATCHING_UP:
            self._become(TargetState.OK)
            log.info("target.caught_up", target=self.target.name)

    def _become(self, state: TargetState) -> None:
        self.state = state
        self.metrics.set_target_state(self.target.name, state.value)

    async def _due(self) -> list[list[PendingShard]]:
        """What goes now, by the put that it goes in."""
        now, can = self.clock.now(), self.target.capabilities
        self._held_until = None
        if now < self.resume_at or (self._busy and not self.well):
            return []
        busy = frozenset(self._busy)  # as the question is asked: what ends meanwhile is answered as it was before
        limit = max(_BATCH, 2 * can.shard_cars) + len(busy)
        shards = await self.queue.pending_shards(self.target.name, now, limit)
        bounds = Bounds(can.shard_cars, can.shard_bytes, min(can.shard_age_s, self.hold_s()))
        puts, self._held_until = gather([shard for shard in shards if shard.id not in busy], bounds, now)
        return puts

    async def _sleep_s(self) -> float:
        now = self.clock.now()
        if now < self.resume_at:
            return min(self.resume_at - now, _LONGEST_SLEEP_S)
        times = (await self.queue.next_try_at(self.target.name), self._held_until)
        due = min((at for at in times if at is not None), default=None)
        return _LONGEST_SLEEP_S if due is None else min(max(due - now, 0.0) + 0.01, _LONGEST_SLEEP_S)

    async def _deliver(self, shards: Sequence[PendingShard], limit: anyio.CapacityLimiter) -> None:
        started = self.clock.monotonic()
        oldest = min(shards, key=lambda shard: shard.id)
        cars = [_car_file(car) for shard in shards for car in shard.cars]
        cars.sort(key=lambda car: (car.kind is CarKind.NODES, car.key))  # every try sends them in the same order
        try:
            if len(shards) > 1:
                others = tuple(shard.id for shard in shards if shard is not oldest)
                await self.journal.write([ShardsJoined(oldest.id, others)])
            if self.fetch is not None:
                await self.fetch(cars)
            note = await in_time(self.target, "put", sum(car.size_bytes for car in cars), self.target.put, cars)
        except TargetError as why:
            self.metrics.target_request(self.target.name, "put", _result(why), self.clock.monotonic() - started)
            await self._failed(oldest, why, started)
        else:
            self.metrics.target_request(self.target.name, "put", "ok", self.clock.monotonic() - started)
            await self._succeeded(oldest, cars, note)
        finally:
            limit.release_on_behalf_of(shards[0].id)
            self._busy.difference_update(shard.id for shard in shards)
            self.wake.ring()

    async def _succeeded(self, shard: PendingShard, cars: Sequence[CarFile], note: str) -> None:
        again, self._refused = self._refused, []
        now = self.clock.now()
        offered = [ShardDelayed(one, 1, now, "refused") for one in again] if len(again) >= REFUSALS else []
        await self.journal.write([ShardConfirmed(shard.id, now, note), *offered])
        self.recovered("put")
        for car in cars:
            self.confirmed(self.target.name, car.key)
        try:
            await self.release([car.key for car in cars])
        except StorageError as why:  # the next start sweeps it away
            if self._spool_voice.speaks(str(why), now):
                log.warning("spool.kept", cid=cars[0].key, reason=str(why), hint=why.hint)

    async def _failed(self, shard: PendingShard, why: TargetError, started: float) -> None:
        attempts = shard.attempts + 1
        if started < self._mended_at:  # what it failed of may be over
            await self.journal.write([ShardDelayed(shard.id, attempts, self.clock.now(), str(why))])
            return
        if why.retry_s is not None:
            wait_s = self.degraded(why, "put")
            await self.journal.write([ShardDelayed(shard.id, attempts, self.clock.now() + wait_s, str(why))])
            return
        self._refused.append(shard.id)
        if len(self._refused) >= REFUSALS:
            refusing = TargetError(f"everything is refused: {why}", retry_s=REFUSED_RETRY_S, hint=why.hint)
            self.degraded(refusing, "put")
        else:
            log.error("target.refused", target=self.target.name, shard=shard.id, reason=str(why), hint=why.hint)
        await self.journal.write([ShardDelayed(shard.id, attempts, None, str(why))])

    def degraded(self, why: TargetError, op: str) -> float:
        """The target failed at `op` (put or bind): leave it alone for a while. Returns the wait in seconds."""
        now = self.clock.now()
        if now < self.resume_at:
            return self.resume_at - now  # one of several that were under way together: one failure
        self.failures += 1
        wait_s = retry_after(self.failures, random.random(), asked_s=why.retry_s)  # noqa: S311 -- spreads retries
        self.resume_at = now + wait_s
        self.reason, self._failing_op = str(why), op
        self._become(TargetState.DEGRADED)
        if self._voice.speaks(self.reason, now):
            log.warning(
                "target.degraded",
                target=self.target.name,
                reason=self.reason,
                retry_in_s=round(wait_s, 1),
                lasts_s=round(self._voice.lasts_s(now)),
                hint=why.hint,
            )
        return wait_s

    def recovered(self, op: str) -> None:
        """The target did `op` as it should. What failed at puts is mended by a put, what failed at binding by a bind."""
        if not self.reason or op != self._failing_op:
            return
        self.failures, self.resume_at, self.reason, self._mark = 0, 0.0, "", None
        self._become(TargetState.CATCHING_UP)
        now = self.clock.now()
        lasted_s = self._voice.lasts_s(now)
        if self._voice.ends(now):
            log.info("target.recovered", target=self.target.name, lasted_s=round(lasted_s, 1))
        self.wake.ring()


def _car_file(car: PendingCar) -> CarFile:
    return CarFile(car.key, car.kind, car.root, car.size_bytes, car.sha256, car.fleeting)


def _result(why: TargetError) -> str:
    return "refused" if why.retry_s is None else "retry"
