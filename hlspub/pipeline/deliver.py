"""Delivery: one courier a target, and the journal is its queue.

Rule: a courier asks the journal what is due, puts it, and writes down the receipt or the next try. It remembers nothing
that a crash could take. A target that fails is left alone for a while (`engine.schedule`), then tried with one shard; its
state is a table:

    WELL ──failed──► DEGRADED ──confirmed──► WELL        `target.degraded` is logged when the state or the reason changes,
                        └────failed──► DEGRADED          `target.recovered` once.

A shard that the target refuses for good (`retry_s` None) waits for a person; the others go on.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio
import structlog

from hlspub.engine.schedule import retry_after
from hlspub.errors import StorageError, TargetError
from hlspub.model import Clock
from hlspub.pipeline.ports import PendingShard, Queue, Writer
from hlspub.pipeline.wake import Wake
from hlspub.records import ShardConfirmed, ShardDelayed
from hlspub.targets.base import CarFile, Target
from hlspub.telemetry.metrics import Metrics

_BATCH = 64  # shards asked for at once
_LONGEST_SLEEP_S = 30.0  # the queue is looked at again at least this often, whatever rang or did not

log = structlog.get_logger()

Confirmed = Callable[[str, str], None]
"""(target, CAR key): told after the receipt is in the journal."""


@dataclass(slots=True)
class Courier:
    """Delivers to one target; see the module's rule."""

    target: Target
    queue: Queue
    journal: Writer
    clock: Clock
    metrics: Metrics
    confirmed: Confirmed
    release: Callable[[str], None]  # takes a CAR that no target waits for out of the spool; blocking
    required: frozenset[str] = frozenset()  # the targets that a root waits for
    wake: Wake = field(default_factory=Wake)
    reason: str = ""  # why the target is degraded; empty: it is well
    failures: int = 0
    resume_at: float = 0.0
    _busy: set[int] = field(default_factory=set[int])

    @property
    def well(self) -> bool:
        """Whether the last exchange with the target was a success."""
        return not self.reason

    async def run(self) -> None:
        """Deliver until cancelled."""
        limit = anyio.CapacityLimiter(self.target.capabilities.concurrency)
        async with anyio.create_task_group() as tasks:
            while True:
                due = await self._due()
                if not due:
                    await self.wake.wait(await self._sleep_s())
                    continue
                for shard in due if self.well else due[:1]:
                    await limit.acquire_on_behalf_of(shard.id)
                    if self.clock.now() < self.resume_at:
                        limit.release_on_behalf_of(shard.id)
                        break  # it failed meanwhile: leave it alone
                    self._busy.add(shard.id)
                    tasks.start_soon(self._deliver, shard, limit)

    async def _due(self) -> list[PendingShard]:
        if self.clock.now() < self.resume_at or (self._busy and not self.well):
            return []
        shards = await self.queue.pending_shards(self.target.name, self.clock.now(), _BATCH + len(self._busy))
        return [shard for shard in shards if shard.id not in self._busy]

    async def _sleep_s(self) -> float:
        now = self.clock.now()
        if now < self.resume_at:
            return min(self.resume_at - now, _LONGEST_SLEEP_S)
        due = await self.queue.next_try_at(self.target.name)
        return _LONGEST_SLEEP_S if due is None else min(max(due - now, 0.0) + 0.01, _LONGEST_SLEEP_S)

    async def _deliver(self, shard: PendingShard, limit: anyio.CapacityLimiter) -> None:
        started = self.clock.monotonic()
        cars = [CarFile(car.key, car.kind, car.root, car.size_bytes) for car in shard.cars]
        try:
            note = await self.target.put(cars)
        except TargetError as why:
            self.metrics.target_request(self.target.name, "put", _result(why), self.clock.monotonic() - started)
            await self._failed(shard, why)
        else:
            self.metrics.target_request(self.target.name, "put", "ok", self.clock.monotonic() - started)
            await self._succeeded(shard, cars, note)
        finally:
            limit.release_on_behalf_of(shard.id)
            self._busy.discard(shard.id)
            self.wake.ring()

    async def _succeeded(self, shard: PendingShard, cars: Sequence[CarFile], note: str) -> None:
        await self.journal.write([ShardConfirmed(shard.id, self.clock.now(), note)])
        self.recovered()
        for car in cars:
            self.confirmed(self.target.name, car.key)
        done = await self.queue.delivered([car.key for car in cars])
        for key in done:
            try:
                await anyio.to_thread.run_sync(self.release, key)
            except StorageError as why:
                log.warning("spool.kept", cid=key, reason=str(why), hint=why.hint)

    async def _failed(self, shard: PendingShard, why: TargetError) -> None:
        attempts = shard.attempts + 1
        if why.retry_s is None:
            log.error("target.refused", target=self.target.name, shard=shard.id, reason=str(why), hint=why.hint)
            await self.journal.write([ShardDelayed(shard.id, attempts, None, str(why))])
            return
        wait_s = self.degraded(why)
        await self.journal.write([ShardDelayed(shard.id, attempts, self.clock.now() + wait_s, str(why))])

    def degraded(self, why: TargetError) -> float:
        """The target failed: leave it alone for a while. Returns the wait in seconds."""
        now = self.clock.now()
        if now < self.resume_at:
            return self.resume_at - now  # one of several that were under way together: one failure
        self.failures += 1
        wait_s = retry_after(self.failures, random.random(), asked_s=why.retry_s)  # noqa: S311 -- spreads retries
        self.resume_at = now + wait_s
        if self.reason != str(why):
            self.reason = str(why)
            log.warning(
                "target.degraded",
                target=self.target.name,
                reason=self.reason,
                retry_in_s=round(wait_s, 1),
                hint=why.hint,
            )
        return wait_s

    def recovered(self) -> None:
        """The target answered as it should."""
        self.failures, self.resume_at = 0, 0.0
        if self.reason:
            self.reason = ""
            log.info("target.recovered", target=self.target.name)


def _result(why: TargetError) -> str:
    return "refused" if why.retry_s is None else "retry"
