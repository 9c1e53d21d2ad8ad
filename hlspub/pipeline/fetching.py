"""Fetching: a CAR that a target waits for and this machine let go of, made again from another target's blocks.

Rule: a target that was added later is sent what the others have. The journal knows which blocks a CAR held and where; a target
that gives blocks back has them. What comes is held to its hash, the CAR to its length; then it lies in the spool as if it had
never left, and goes from there when it is confirmed.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import anyio.to_thread
import structlog

from hlspub.errors import BlockError, StorageError, TargetError
from hlspub.ipld.block import Block, BlockAt, matches
from hlspub.ipld.car import node_car
from hlspub.ipld.cid import Cid
from hlspub.ipld.dag import links
from hlspub.journal.deliveries import DeliveryReads
from hlspub.journal.reader import JournalReads
from hlspub.model import Car, CarKind
from hlspub.targets.base import CarFile, Target

RETRY_S = 30.0

log = structlog.get_logger()

Get = Callable[[Cid], Awaitable[bytes | None]]


class Stock(Protocol):
    """A store of CARs (`spool.store.CarStore`)."""

    def has(self, key: str) -> bool:
        """Whether the CAR is there."""
        ...


class Spool(Stock, Protocol):
    """The store of those on their way."""

    def put_car(self, data: bytes, car: Car) -> Car:
        """Keep a CAR, claimed."""
        ...

    def disclaim(self, key: str) -> None:
        """The claim is not needed any more."""
        ...


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches for `couriers` from `sources`, in their order."""

    reads: JournalReads
    spool: Spool
    store: Stock
    sources: Sequence[Target]

    async def fetch(self, cars: Sequence[CarFile], *, but: str) -> None:
        """See to it that these CARs are on this machine, without asking the target `but`, which lacks them.

        Raises:
            TargetError: one is nowhere for now; what is nowhere for good is left to who opens it.
        """
        for car in cars:
            if not await anyio.to_thread.run_sync(self._is_here, car.key):
                await self._fetch(car, but)

    def _is_here(self, key: str) -> bool:
        return self.spool.has(key) or self.store.has(key)

    async def _fetch(self, car: CarFile, but: str) -> None:
        places = {digest: at for digest, *at in await self.reads.run(DeliveryReads.places, car.key)}
        away: TargetError | None = None
        for source in self.sources:
            if source.name == but or not source.capabilities.reads:
                continue
            try:
                data = await _make(car, places, source.read)
            except TargetError as why:
                away = why
                continue
            if data is not None:
                await self._keep(car, data)
                log.info("car.fetched", cid=car.key, source=source.name, target=but)
                return
        if away is not None:
            retry_s = RETRY_S if away.retry_s is None else away.retry_s
            hint = "It is fetched when that is back."
            raise TargetError(f"{car.key} is not on this machine, and {away}", retry_s=retry_s, hint=hint)

    async def _keep(self, car: CarFile, data: bytes) -> None:
        # Its row and its blocks' places are in the journal already.
        kept = Car(car.key, car.kind, car.root, len(data), ())
        try:
            await anyio.to_thread.run_sync(self.spool.put_car, data, kept)
        except StorageError as why:
            raise TargetError(str(why), retry_s=RETRY_S, hint=why.hint) from why
        self.spool.disclaim(car.key)


async def _make(car: CarFile, places: Mapping[bytes, Sequence[int]], get: Get) -> bytes | None:
    """The bytes of the CAR; None where a block is not to be had, or it does not become the same."""
    try:
        found = await (_file(car.root, get) if car.kind is CarKind.FILE else _nodes(car.root, places, get))
    except BlockError:
        return None
    if found is None:
        return None
    data, at = node_car(car.root, found)
    return data if len(data) == car.size_bytes and _stand(at, places) else None


def _stand(found: Sequence[BlockAt], places: Mapping[bytes, Sequence[int]]) -> bool:
    """Whether each block stands where the journal says; of equal ones the first."""
    first = {at.cid.digest: (at.offset, at.length) for at in reversed(found)}
    return all(first.get(digest) == tuple(at) for digest, at in places.items())


async def _file(root: Cid, get: Get) -> list[Block] | None:
    """The blocks of a file as intake writes them: children before their parents, equal ones again and again."""
    done: list[Block] = []
    todo: list[Cid | Block] = [root]
    while todo:
        here = todo.pop()
        if isinstance(here, Block):
            done.append(here)
            continue
        data = await _checked(here, get)
        if data is None:
            return None
        todo += [Block(here, data), *reversed(links(here, data))]
    return done


async def _nodes(root: Cid, places: Mapping[bytes, Sequence[int]], get: Get) -> list[Block] | None:
    """Those nodes under a root that the CAR held, in its order."""
    done: dict[bytes, Block] = {}
    todo = [root]
    while todo:
        here = todo.pop()
        if here.digest in done or here.digest not in places:
            continue
        data = await _checked(here, get)
        if data is None:
            return None
        done[here.digest] = Block(here, data)
        todo += links(here, data)
    return sorted(done.values(), key=lambda block: places[block.cid.digest][0])


async def _checked(cid: Cid, get: Get) -> bytes | None:
    data = await get(cid) if cid.inline is None else cid.inline
    return data if data is not None and matches(cid, data) else None
