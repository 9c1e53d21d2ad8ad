"""A space of the real service, a target on it whose sleeps take no time, and a journal that remembers its receipts."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import libipld

from hlspub.ipld.car import car_cid, node_car
from hlspub.ipld.cid import Cid
from hlspub.ipld.profile import UNIXFS_V1_2025
from hlspub.ipld.tree import Tree
from hlspub.model import Car, CarKind
from hlspub.spool.store import CarStore
from hlspub.targets.base import Capabilities, CarFile
from hlspub.targets.http import make_client
from hlspub.targets.w3up.agent import Agent
from hlspub.targets.w3up.agent import Service as Where
from hlspub.targets.w3up.exchange import Exchange
from hlspub.targets.w3up.target import W3upTarget
from hlspub.ucan.index import multihash
from hlspub.ucan.principal import Signer
from hlspub.ucan.proof import Proof
from tests.targets.w3up_service import Service


class Naps(list[float]):
    """Sleeps that take no time."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


@dataclass
class Clock:
    """The real time, and `ahead` seconds; `jumps` are added one a look."""

    ahead: float = 0.0
    jumps: list[float] = field(default_factory=list)

    def now(self) -> float:
        if self.jumps:
            self.ahead += self.jumps.pop(0)
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class Journal:
    """`roots`: session and whether final, by root; `told`: (session, shard) by CAR."""

    roots: dict[Cid, tuple[int, bool]] = field(default_factory=dict)
    told: dict[str, tuple[int, str]] = field(default_factory=dict)

    async def session_of(self, root: Cid) -> tuple[int, bool] | None:
        return self.roots.get(root)

    async def is_final(self, root: Cid) -> bool:
        return self.roots.get(root, (0, False))[1]

    async def shards(self, session: int, cars: Sequence[str] | None) -> Sequence[tuple[str, str]]:
        return [
            (key, shard)
            for key, (whose, shard) in self.told.items()
            if whose == session and (cars is None or key in cars)
        ]

    async def shard_of(self, car: str) -> str | None:
        return self.told.get(car, (0, None))[1]


@dataclass
class Scene:
    """`space` as the service made it; `since` is where the service's log was when the scene began."""

    service: Service
    space: dict[str, Any]
    target: W3upTarget
    journal: Journal
    spool: CarStore
    naps: Naps
    clock: Clock
    tree: Tree
    since: int
    seed: int

    def file(self, size: int = 3000) -> CarFile:
        """A file CAR in the spool, of new bytes."""
        self.seed += 1
        packed = self.spool.put_data(Random(self.seed).randbytes(size), UNIXFS_V1_2025)
        self.tree.put(f"s{self.seed}.ts", packed.cid, packed.tsize)
        return CarFile(packed.car.key, packed.car.kind, packed.car.root, packed.car.size_bytes)

    def nodes(self) -> CarFile:
        """The node CAR of the tree as it is now."""
        root, blocks = self.tree.root(), list(self.tree.unpublished())
        data, places = node_car(root.cid, blocks)
        self.tree.mark_published()
        self.spool.put_car(data, Car(str(car_cid(data)), CarKind.NODES, root.cid, len(data), places))
        return CarFile(str(car_cid(data)), CarKind.NODES, root.cid, len(data))

    async def put(self, *cars: CarFile, session: int = 1) -> str:
        """Put them, and write the receipt down."""
        shard = await self.target.put(cars)
        self.journal.told |= {car.key: (session, shard) for car in cars}
        return shard

    def log(self, **wanted: object) -> list[dict[str, Any]]:
        """What the service saw of this scene, by these fields."""
        return [one for one in self.service.log(self.since) if wanted.items() <= one.items()]

    def tasks(self, can: str) -> list[str]:
        return [one["task"] for one in self.log(kind="ucan", can=can)]

    def kept(self, shard: str) -> bytes:
        """The blob, if the service accepted it into the space."""
        named = libipld.encode_multibase("z", multihash(Cid.parse(shard)))
        assert named in self.service.registry(self.space["did"])
        return self.service.blob(shard)


def open_scene(service: Service, folder: Path, *, seed: int = 0, proof: str = "cid_string", **space: Any) -> Scene:
    """A new space with a target on it. `proof` is the text form that is used; `space` as the service's README says."""
    made = service.space(**space)
    spool = CarStore(folder / f"spool-{made['did'][-8:]}")
    spool.prepare()
    naps, clock, journal = Naps(), Clock(), Journal()
    where = Where(service.url, service.ready["receipts"], service.ready["service_did"])
    agent = Agent(
        where,
        Signer.parse(service.ready["agent"]["key_multibase"]),
        Proof.parse(made["proof"][proof]),
        made["did"],
        Exchange(make_client(), naps),
        clock,
    )
    target = W3upTarget("space", agent, spool.open, journal, Capabilities(concurrency=4, shard_cars=250))
    since = len(service.log())
    number = int.from_bytes(made["did"].encode()[-4:], "big") + seed
    return Scene(service, made, target, journal, spool, naps, clock, Tree(UNIXFS_V1_2025), since, number)


@asynccontextmanager
async def scene(service: Service, folder: Path, **wanted: Any) -> AsyncIterator[Scene]:
    made = open_scene(service, folder, **wanted)
    try:
        yield made
    finally:
        service.calm()
        await made.target.aclose()
