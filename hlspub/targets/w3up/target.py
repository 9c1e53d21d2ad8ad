"""A space of a service that speaks w3up: CARs as blobs, an index for each, and a root bound to its shards.

Rule: a put is done when its shard and the shard's index are accepted and the index is taken (`space/index/add`, which fails
where one of them is not there); it returns the shard's CID, which `bind` finds in the journal later. `upload/add` of a root
names the shards that its session has been sent since the last one, and of a final root all of them: the service keeps the
union, so a long list goes in several calls. A superseded interim root is taken out of the list (`upload/remove`); its shards
stay.

What a service cannot do without is checked when it refuses; `check` explains beforehand what the proof allows.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Protocol

import anyio.to_thread

from hlspub.errors import TargetError
from hlspub.ipld import car
from hlspub.ipld.cid import Cid
from hlspub.targets.base import Capabilities, CarFile
from hlspub.targets.w3up import shard as shards
from hlspub.targets.w3up.agent import Agent
from hlspub.targets.w3up.blob import Blob, keep
from hlspub.targets.w3up.errors import Again, NotThere
from hlspub.targets.w3up.shard import OpenCar, Shard
from hlspub.ucan import grant, index
from hlspub.ucan.index import multihash

NEEDED = ("space/blob/add", "space/index/add", "upload/add")
REMOVE, LIST, GET = "upload/remove", "upload/list", "space/blob/get/0/1"
MAX_SHARDS = 1000  # of one upload/add
ROUNDS = 3  # of a put that has to start over
_MAX_FRESH = 10_000  # CARs that are remembered for the next root; more, and the journal is asked for all
_SOON_S = timedelta(days=7).total_seconds()


class Receipts(Protocol):
    """What the journal knows of this target's shards and of the roots that they hold."""

    async def session_of(self, root: Cid) -> tuple[int, bool] | None:
        """The session that made the root last, and whether it is its final root; None: no session did."""
        ...

    async def is_final(self, root: Cid) -> bool:
        """Whether any session ended with this root."""
        ...

    async def shards(self, session: int, cars: Sequence[str] | None) -> Sequence[tuple[str, str]]:
        """(CAR's key, its shard's receipt) of the session's CARs; of those with these keys alone, if given."""
        ...

    async def shard_of(self, car: str) -> str | None:
        """The receipt of the shard that holds this CAR; None when there is none."""
        ...


@dataclass(slots=True)
class W3upTarget:
    """See the module's rule. `open_car` opens a CAR that is to be sent."""

    name: str
    agent: Agent
    open_car: OpenCar
    receipts: Receipts
    capabilities: Capabilities
    kind: str = "w3up"
    _fresh: dict[str, str] = field(default_factory=dict[str, str])  # CARs put since the last root, and their shards
    _seen: set[int] = field(
        default_factory=set[int]
    )  # sessions that a root was bound of, so that the fresh ones suffice

    async def put(self, cars: Sequence[CarFile]) -> str:
        """Keep these CARs as one shard; returns its CID."""
        cars = list(dict.fromkeys(cars))  # two files with the same bytes are one CAR
        try:
            shard = await anyio.to_thread.run_sync(shards.build, cars, self.open_car)
        except TargetError:
            known = [await self._known(one.key) for one in cars]  # they may be there, and let go of here
            if known[0] is not None and None not in known and all([await self.has(one) for one in cars]):
                return known[0]
            raise
        for _ in range(ROUNDS - 1):
            try:
                return await self._put(cars, shard)
            except Again as why:
                await self.agent.exchange.sleep(min(why.retry_s or 0.0, 1.0))
        return await self._put(cars, shard)

    async def _put(self, cars: Sequence[CarFile], shard: Shard) -> str:
        indexed = index.encode(shard.content, [shard.map()])
        link = car.car_cid(indexed)
        body = partial(shards.body, shard, self.open_car)
        await keep(
            self.agent,
            [
                Blob(multihash(shard.cid), shard.size, body),
                Blob(multihash(link), len(indexed), partial(_once, indexed)),
            ],
        )
        await self.agent.invoke("space/index/add", [{"index": link}])
        if len(self._fresh) + len(cars) > _MAX_FRESH:
            self._fresh.clear()
            self._seen.clear()
        self._fresh |= dict.fromkeys((one.key for one in cars), str(shard.cid))
        return str(shard.cid)

    async def has(self, car: CarFile) -> bool:
        """Whether the shard that is known for this CAR, else the CAR as a shard of its own, is in the space.

        Without the ability to ask (`space/blob/get/0/1`) what is known has to do.
        """
        known = await self._known(car.key)
        if not self._may(GET):
            return known is not None
        if known is None:
            shard = await anyio.to_thread.run_sync(shards.build, [car], self.open_car)
            known = str(shard.cid)
        try:
            await self.agent.invoke(GET, [{"digest": multihash(Cid.parse(known))}])
        except NotThere:
            return False
        self._fresh.setdefault(car.key, known)  # so that a replication that goes on lists it
        return True

    async def _known(self, car: str) -> str | None:
        return self._fresh.get(car) or await self.receipts.shard_of(car)

    async def read(self, cid: Cid) -> bytes | None:
        """Never asked: see `capabilities`."""
        raise NotImplementedError

    async def bind(self, root: Cid, *, supersedes: Cid | None) -> None:
        """List `root` with its shards, and take out the root that it replaces."""
        spot = await self.receipts.session_of(root)
        found = await self._found(spot)
        links = [Cid.parse(shard) for shard in dict.fromkeys(shard for _, shard in found)]
        for start in range(0, max(len(links), 1), MAX_SHARDS):
            await self.agent.invoke("upload/add", [{"root": root, "shards": links[start : start + MAX_SHARDS]}])
        self._seen |= {spot[0]} if spot else set()
        for key, _ in found:
            self._fresh.pop(key, None)
        if supersedes is not None and supersedes != root and not await self.receipts.is_final(supersedes):
            await self.forget(supersedes)

    async def _found(self, spot: tuple[int, bool] | None) -> list[tuple[str, str]]:
        """The CARs that are named along with a root of this session (is it the last?), and their shards."""
        if spot is None:
            return await self._untold([])
        session, final = spot
        if session in self._seen:
            return list(await self.receipts.shards(session, None if final else list(self._fresh)))
        return await self._untold(await self.receipts.shards(session, None))

    async def _untold(self, found: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """`found`, and what was put here without a journal that was told, as a replication does."""
        known = {key for key, _ in found}
        more = [(key, shard) for key, shard in self._fresh.items() if key not in known]
        return [*found, *[one for one in more if await self.receipts.shard_of(one[0]) is None]]

    async def forget(self, root: Cid) -> None:
        """Take `root` out of the list, where the proof allows that; its shards stay."""
        if not self._may(REMOVE):
            return
        try:
            await self.agent.invoke(REMOVE, [{"root": root}])
        except NotThere:
            return

    async def check(self) -> str:
        """Ask for something harmless, and say who lets whom do what until when."""
        proof, signer = self.agent.proof, self.agent.signer
        now = self.agent.clock.now()
        wrong = list(grant.problems(proof, grant.Purpose(signer.did, self.agent.space, NEEDED, now)))
        if wrong:
            raise TargetError(f"{self.name}: {'; '.join(wrong)}", retry_s=None, hint="See `proof` and `key`.")
        reached = ""
        if self._may(LIST):
            await self.agent.invoke(LIST, [{"size": 1}])
        else:
            reached = f"; not asked whether it agrees: the proof does not allow {LIST}"
        ends = grant.expiry(proof)
        soon = f"; ends soon, on {grant.day(ends)}: ask for a new proof" if ends and ends - now < _SOON_S else ""
        kept = "" if self._may(REMOVE) else f"; without {REMOVE}, former roots stay in its list"
        return f"{self.agent.place}: {'; '.join(grant.told(proof))}{soon}{kept}{reached}"

    def _may(self, ability: str) -> bool:
        purpose = grant.Purpose(self.agent.signer.did, self.agent.space, (ability,), self.agent.clock.now())
        return not list(grant.problems(self.agent.proof, purpose))

    async def aclose(self) -> None:
        """Let go of connections."""
        await self.agent.exchange.client.aclose()


async def _once(data: bytes) -> AsyncGenerator[bytes]:
    yield data
