"""Replicating: everything under a root, brought to a target that was not there, or not asked, when it was published.

Rule: what the target has already is not sent again, so a run that broke off goes on where it was. A failed call is made again
a few times, as long as the target says that this may help; then the failure ends the run. When all is there the root is bound.
What the target had before is only sure to stay from then on: so it is asked for it once more, and sent what went meanwhile.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import ParamSpec, Protocol, TypeVar

import anyio
import anyio.to_thread

from hlspub.errors import TargetError
from hlspub.ipld.cid import Cid
from hlspub.model import Car
from hlspub.pipeline.parcels import Have, Parcel, parcels
from hlspub.targets.base import CarFile, Target, in_time

TRIES = 5
LONGEST_PAUSE_S = 10.0

P = ParamSpec("P")
T = TypeVar("T")


class Store(Protocol):
    """Where CARs lie while they are sent (`spool.store.CarStore`)."""

    def put_car(self, data: bytes, car: Car) -> Car:
        """Keep a CAR."""
        ...

    def remove(self, key: str) -> None:
        """Let it go."""
        ...


@dataclass(slots=True, eq=False)
class Replication:
    """One run; `cars` and `bytes` count what the target has of it so far, sent now or before. `told` hears of progress."""

    target: Target
    store: Store
    have: Have
    told: Callable[[int, int], None] = lambda _cars, _bytes: None
    cars: int = 0
    bytes: int = 0
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    _group: list[Parcel] = field(default_factory=list[Parcel])
    _met: list[CarFile] = field(default_factory=list[CarFile])

    async def run(self, root: Cid) -> None:
        """Bring everything under `root` there, and bind it.

        Raises:
            TargetError: the target refuses, or cannot be reached.
            BlockError: the tree is broken; and what `have` raises.
        """
        while True:
            await self._send_all(root)
            await self._patiently("bind", 0, self.target.bind, root, supersedes=None)
            if all([await self._patiently("question", 0, self.target.has, car) for car in self._met]):
                return

    async def _send_all(self, root: Cid) -> None:
        self.cars, self.bytes, self._met = 0, 0, []
        can = self.target.capabilities
        limit = anyio.CapacityLimiter(can.concurrency)
        async with anyio.create_task_group() as tasks, aclosing(parcels(root, self.have)) as found:
            async for parcel in found:
                size = sum(len(one.data) for one in self._group)
                if self._group and (len(self._group) >= can.shard_cars or size + len(parcel.data) > can.shard_bytes):
                    await self._start(tasks, limit)
                self._group.append(parcel)
            if self._group:
                await self._start(tasks, limit)

    async def _start(self, tasks: anyio.abc.TaskGroup, limit: anyio.CapacityLimiter) -> None:
        group, self._group = self._group, []
        token = object()
        await limit.acquire_on_behalf_of(token)
        tasks.start_soon(self._send, group, limit, token)

    async def _send(self, group: Sequence[Parcel], limit: anyio.CapacityLimiter, token: object) -> None:
        try:
            for parcel in group:
                await anyio.to_thread.run_sync(self.store.put_car, parcel.data, parcel.car)
            cars = [CarFile(one.car.key, one.car.kind, one.car.root, one.car.size_bytes) for one in group]
            lacking = [car for car in cars if not await self._patiently("question", 0, self.target.has, car)]
            self._met += [car for car in cars if car not in lacking]
            if lacking:
                size = sum(car.size_bytes for car in lacking)
                await self._patiently("put", size, self.target.put, lacking)
            for car in cars:
                await anyio.to_thread.run_sync(self.store.remove, car.key)
        finally:
            limit.release_on_behalf_of(token)
        self.cars += len(cars)
        self.bytes += sum(car.size_bytes for car in cars)
        self.told(self.cars, self.bytes)

    async def _patiently(
        self, op: str, size: int, act: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        for _ in range(TRIES - 1):
            try:
                return await in_time(self.target, op, size, act, *args, **kwargs)
            except TargetError as why:
                if why.retry_s is None:
                    raise
                await self.sleep(min(max(why.retry_s, 0.1), LONGEST_PAUSE_S))
        return await in_time(self.target, op, size, act, *args, **kwargs)
