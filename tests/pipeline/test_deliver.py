"""A courier against a target in memory and a queue in memory, with a clock of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from math import inf

import anyio
import pytest

from hlspub.errors import TargetError
from hlspub.ipld.cid import Cid, Codec
from hlspub.journal.values import PendingShard, QueuedCar
from hlspub.model import CarKind
from hlspub.pipeline.deliver import Courier
from hlspub.records import Record, ShardConfirmed, ShardDelayed, ShardsJoined
from hlspub.targets.base import Capabilities, CarFile
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

    def queue(self, number: int, kind: CarKind = CarKind.FILE) -> str:
        cid = Cid.of_data(Codec.RAW, b"%d" % number)
        car = QueuedCar(str(cid), kind, cid, 1)
        self.shards[number] = PendingShard(number, 0, (car,), queued_at=SystemClock().now())
        self.due[number] = 0.0
        return str(cid)

    async def write(self, records: Sequence[Record]) -> None:
        for record in records:
            self.records.append(record)
            if isinstance(record, ShardConfirmed):
                del self.shards[record.shard], self.due[record.shard]
            elif isinstance(record, ShardsJoined):
                cars = self.shards[record.shard].cars
                for other in record.others:
                    cars += self.shards.pop(other).cars
                    del self.due[other]
                self.shards[record.shard] = replace(self.shards[record.shard], cars=cars)
            elif isinstance(record, ShardDelayed):
                self.shards[record.shard] = replace(self.shards[record.shard], attempts=record.attempts)
                self.due[record.shard] = record.next_try_at

    def next_session(self) -> int:
        return 1

    async def pending_shards(self, _target: str, now: float, limit: int) -> Sequence[PendingShard]:
        return [self.shards[n] for n, at in sorted(self.due.items()) if at is not None and at <= now][:limit]

    async def next_try_at(self, _target: str) -> float | None:
        return min((at for at in self.due.values() if at is not None), default=None)

    async def parked_shards(self, _target: str) -> Sequence[PendingShard]:
        return [self.shards[n] for n, at in sorted(self.due.items()) if at is None]

    async def failed_shards(self, _target: str) -> Sequence[PendingShard]:
        return [self.shards[n] for n in sorted(self.shards) if self.shards[n].attempts]

    async def newest_shard(self) -> int:
        return max(self.shards, default=0)

    async def oldest_shard(self, _target: str) -> int | None:
        return min(self.shards, default=None)


@dataclass
class Desk:
    book: Book
    target: MemoryTarget
    courier: Courier
    confirmed: list[str]
    released: list[str]


@asynccontextmanager
async def desk(can: Capabilities | None = None, hold_s: float = inf) -> AsyncIterator[Desk]:
    book, target, confirmed, released = Book(), MemoryTarget(), list[str](), list[str]()
    target.capabilities = can or target.capabilities

    async def release(keys: Sequence[str]) -> None:
        released.extend(keys)

    courier = Courier(
        target,
        book,
        book,
        SystemClock(),
        Metrics("test"),
        lambda _, key: confirmed.append(key),
        release,
        frozenset({"memory"}),
        lambda: hold_s,
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


@pytest.mark.parametrize("retry_s", [None, 300.0])
async def test_who_says_that_it_is_mended_is_not_kept_waiting(retry_s: float | None) -> None:
    async with desk() as here:
        here.target.failure = TargetError("memory: full", retry_s=retry_s, hint="Make room.")
        keys = {here.book.queue(number) for number in range(5)}
        here.courier.wake.ring()
        await until(lambda: not here.courier.well, "it is degraded")
        here.target.failure = None
        await here.courier.try_now()
        await until(lambda: set(here.confirmed) == keys, "everything arrives")
        assert here.courier.well


async def test_a_refusal_that_was_under_way_when_it_was_mended_is_not_the_last_word() -> None:
    async with desk() as here:
        asked, mended = anyio.Event(), anyio.Event()
        put = here.target.put

        async def refused_late(cars: Sequence[CarFile]) -> str:
            if not asked.is_set():
                asked.set()
                await mended.wait()
                raise TargetError("memory: not allowed", retry_s=None, hint="Allow it.")
            return await put(cars)

        here.target.put = refused_late
        key = here.book.queue(1)
        here.courier.wake.ring()
        await asked.wait()
        await here.courier.try_now()
        mended.set()
        await until(lambda: here.confirmed == [key], "it arrives")
        assert here.courier.well


async def test_what_ends_while_the_queue_is_asked_is_not_sent_again() -> None:
    """The answer is as old as the question: it still has the shard that was confirmed meanwhile."""
    async with desk(Capabilities(concurrency=2, shard_cars=2)) as here:
        here.target.gate = anyio.Event()
        first = [here.book.queue(1), here.book.queue(2)]
        here.courier.wake.ring()
        await until(lambda: here.target.tries == 1, "they are on their way")

        asked, ended = anyio.Event(), anyio.Event()
        pending = here.book.pending_shards

        async def answered_late(target: str, now: float, limit: int) -> Sequence[PendingShard]:
            answer = await pending(target, now, limit)
            asked.set()
            await ended.wait()
            return answer

        here.book.pending_shards = answered_late
        other = here.book.queue(3)
        here.courier.wake.ring()
        await asked.wait()
        here.target.gate.set()
        await until(lambda: len(here.confirmed) == 2, "they arrive")
        ended.set()
        await until(lambda: len(here.confirmed) == 3, "the other arrives")
    assert [sorted(put) for put in here.target.puts] == [sorted(first), [other]]


async def test_a_put_that_hangs_can_be_cancelled() -> None:
    async with desk() as here:
        here.target.hangs = True
        here.book.queue(1)
        here.courier.wake.ring()
        await until(lambda: here.target.tries == 1, "the put is under way")
    assert here.confirmed == []


FEW_BIG = Capabilities(concurrency=2, shard_cars=5, shard_age_s=3600.0)


async def test_what_is_full_goes_and_a_root_takes_the_rest_along() -> None:
    async with desk(FEW_BIG) as here:
        keys = [here.book.queue(number) for number in range(12)]
        here.courier.wake.ring()
        await until(lambda: len(here.released) == 10, "two full puts arrive")
        assert [sorted(put) for put in sorted(here.target.puts)] == sorted([sorted(keys[:5]), sorted(keys[5:10])])
        nodes = here.book.queue(12, CarKind.NODES)
        here.courier.wake.ring()
        await until(lambda: len(here.released) == 13, "the rest arrives")
    assert here.target.puts[-1] == (*sorted(keys[10:]), nodes)
    assert set(here.confirmed) == {*keys, nodes}


async def test_nothing_waits_longer_than_a_root_may_be_late() -> None:
    async with desk(FEW_BIG, hold_s=0.3) as here:
        keys = [here.book.queue(1), here.book.queue(2)]
        here.courier.wake.ring()
        await until(lambda: len(here.released) == 2, "they arrive")
    assert [sorted(put) for put in here.target.puts] == [sorted(keys)]


async def test_every_try_sends_the_same_cars_together() -> None:
    async with desk(FEW_BIG) as here:
        here.target.failure = TargetError("memory: away", retry_s=0.01)
        for number in range(5):
            here.book.queue(number)
        here.courier.wake.ring()
        await until(lambda: len(here.target.puts) >= 2, "it is tried again")
        for number in range(5, 9):
            here.book.queue(number)
        here.target.failure = None
        await until(lambda: len(here.released) == 5, "they arrive")
    assert len(set(here.target.puts)) == 1
