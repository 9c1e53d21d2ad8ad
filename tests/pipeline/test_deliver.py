"""A courier against a target in memory and a queue in memory, with a clock of its own."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest

from hlspub.errors import TargetError
from hlspub.ipld.cid import Cid, Codec
from hlspub.journal.values import PendingShard, QueuedCar
from hlspub.model import CarKind
from hlspub.pipeline.deliver import Courier
from hlspub.records import Record, ShardConfirmed, ShardDelayed
from hlspub.telemetry.clock import SystemClock
from hlspub.telemetry.metrics import Metrics
from tests.pipeline.house import until
from tests.targets.memory import MemoryTarget

pytestmark = pytest.mark.anyio


@dataclass
class Book:
    """A journal in memory, as far as a courier sees it."""

    shards: dict[int, PendingShard] = field(default_factory=dict)
    due: dict[int, float | None] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    def queue(self, number: int) -> str:
        cid = Cid.of_data(Codec.RAW, b"%d" % number)
        self.shards[number] = PendingShard(number, 0, (QueuedCar(str(cid), CarKind.FILE, cid, 1),))
        self.due[number] = 0.0
        return str(cid)

    async def write(self, records: Sequence[Record]) -> None:
        for record in records:
            self.records.append(record)
            if isinstance(record, ShardConfirmed):
                del self.shards[record.shard], self.due[record.shard]
            elif isinstance(record, ShardDelayed):
                self.due[record.shard] = record.next_try_at

    def next_session(self) -> int:
        return 1

    async def pending_shards(self, _target: str, now: float, limit: int) -> Sequence[PendingShard]:
        return [self.shards[n] for n, at in sorted(self.due.items()) if at is not None and at <= now][:limit]

    async def next_try_at(self, _target: str) -> float | None:
        return min((at for at in self.due.values() if at is not None), default=None)

    async def delivered(self, keys: Iterable[str]) -> set[str]:
        return set(keys)


@dataclass
class Desk:
    book: Book
    target: MemoryTarget
    courier: Courier
    confirmed: list[str]
    released: list[str]


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    book, target, confirmed, released = Book(), MemoryTarget(), list[str](), list[str]()
    courier = Courier(
        target,
        book,
        book,
        SystemClock(),
        Metrics("test"),
        lambda _, key: confirmed.append(key),
        released.append,
        frozenset({"memory"}),
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(courier.run)
        yield Desk(book, target, courier, confirmed, released)
        tasks.cancel_scope.cancel()


async def test_what_is_queued_is_delivered_confirmed_and_released_in_that_order() -> None:
    async with desk() as here:
        keys = {here.book.queue(number) for number in range(200)}
        here.courier.wake.ring()
        await until(lambda: len(here.released) == 200, "everything is released")
    assert set(here.target.cars) == set(here.confirmed) == set(here.released) == keys
    assert here.target.tries == 200


async def test_a_target_that_is_away_is_tried_with_one_shard_until_it_is_back() -> None:
    async with desk() as here:
        here.target.failure = TargetError("memory: refused", retry_s=0.01)
        for number in range(50):
            here.book.queue(number)
        here.courier.wake.ring()
        await until(lambda: not here.courier.well, "it is degraded")
        await until(lambda: here.courier.failures >= 2, "it is tried again")
        assert here.target.tries <= 8  # those that were under way, then one at a time
        here.target.failure = None
        await until(lambda: len(here.target.cars) == 50, "everything arrives")
        assert here.courier.well


async def test_a_shard_that_is_refused_for_good_waits_for_a_person_and_holds_no_other_back() -> None:
    async with desk() as here:
        here.target.failure = TargetError("memory: too big", retry_s=None, hint="Make it smaller.")
        refused = here.book.queue(1)
        here.courier.wake.ring()
        await until(lambda: here.book.due[1] is None, "the refusal is written down")
        here.target.failure = None
        other = here.book.queue(2)
        here.courier.wake.ring()
        await until(lambda: other in here.target.cars, "the other arrives")
        assert refused not in here.target.cars
        assert here.courier.well


async def test_a_put_that_hangs_can_be_cancelled() -> None:
    async with desk() as here:
        here.target.hangs = True
        here.book.queue(1)
        here.courier.wake.ring()
        await until(lambda: here.target.tries == 1, "the put is under way")
    assert here.confirmed == []
