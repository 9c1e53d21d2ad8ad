"""A target in memory: it keeps what it is told, and fails when it is told to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import anyio

from hlspub.errors import TargetError
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid
from hlspub.targets.base import Capabilities, CarFile


@dataclass
class MemoryTarget:
    """`failure`: what every call raises while it is set. `hangs`: puts never return while it is set."""

    name: str = "memory"
    kind: str = "memory"
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(concurrency=4))
    cars: dict[str, CarFile] = field(default_factory=dict)
    bound: list[Cid] = field(default_factory=list)
    failure: TargetError | None = None
    hangs: bool = False
    gate: anyio.Event | None = None  # then puts wait for it
    tries: int = 0
    open_car: Callable[[str], BinaryIO] | None = None  # then it keeps the blocks too, and gives them back
    blocks: dict[Cid, bytes] = field(default_factory=dict)
    puts: list[tuple[str, ...]] = field(default_factory=list)

    async def put(self, cars: Sequence[CarFile]) -> str:
        self.tries += 1
        if self.hangs:
            await anyio.sleep_forever()
        if self.gate is not None:
            await self.gate.wait()
        self.puts.append(tuple(car.key for car in cars))
        self._fail()
        for car in cars:
            if self.open_car is not None and car.key not in self.cars:
                with self.open_car(car.key) as file:
                    self.blocks |= {block.cid: block.data for block in CarReader(file.read)}
            self.cars[car.key] = car
        return "kept"

    async def has(self, car: CarFile) -> bool:
        self._fail()
        return car.key in self.cars

    async def read(self, cid: Cid) -> bytes | None:
        self._fail()
        return self.blocks.get(cid)

    async def bind(self, root: Cid, *, supersedes: Cid | None) -> None:
        self._fail()
        if root not in self.bound:
            self.bound.append(root)
        if supersedes in self.bound and supersedes != root:
            self.bound.remove(supersedes)

    async def forget(self, root: Cid) -> None:
        self._fail()
        if root in self.bound:
            self.bound.remove(root)

    async def check(self) -> str:
        self._fail()
        return "in memory"

    async def aclose(self) -> None:
        self.hangs = False

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure
