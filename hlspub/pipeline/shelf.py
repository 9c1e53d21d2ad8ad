"""The journal and the stores as the rest of the house reads them: the delivery queue, and blocks by their CID."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

import anyio.to_thread
import structlog

from hlspub.errors import StorageError
from hlspub.ipld.cid import Cid
from hlspub.ipld.walk import read_file, stream_async
from hlspub.journal.deliveries import DeliveryReads
from hlspub.journal.reader import JournalReader, JournalReads
from hlspub.journal.values import Backlog, PendingShard

_ALL = -1  # shards, however many

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class JournalQueue:
    """The journal as the couriers' queue (`pipeline.ports.Queue`)."""

    reads: JournalReads

    async def pending_shards(self, target: str, now: float, limit: int) -> Sequence[PendingShard]:
        """Shards that are due."""
        return await self.reads.run(DeliveryReads.pending_shards, target, now, limit)

    async def next_try_at(self, target: str) -> float | None:
        """When the next shard is due."""
        return await self.reads.run(DeliveryReads.next_try_at, target)

    async def delivered(self, keys: Iterable[str]) -> set[str]:
        """CARs that no target waits for."""
        return await self.reads.run(DeliveryReads.delivered, keys)

    async def backlog(self, target: str) -> int:
        """How many CARs the target has not confirmed."""
        return (await self.waiting(target)).cars

    async def waiting(self, target: str) -> Backlog:
        """What the target has not confirmed."""
        return await self.reads.run(DeliveryReads.backlog, target)


class Spool(Protocol):
    """The store of CARs that are on their way."""

    def keys(self) -> Iterator[str]:
        """All CARs."""
        ...

    def remove(self, key: str) -> None:
        """Let one go."""
        ...


@dataclass(frozen=True, slots=True)
class Leftovers:
    """CARs that lie in the spool and that no target waits for: nobody else would ever take them away.

    A crash leaves them between the file and the journal's row, and between the last receipt and the removal; a file that
    is read again and has the bytes it had makes one too.
    """

    reads: JournalReads
    spool: Spool

    async def sweep(self) -> None:
        """Take all of them away. Only while nothing is taken in: a CAR is in the spool before it is in the journal."""

        def sweep(reader: JournalReader) -> int:
            waited_for = set(_waited_for(reader))
            left = set(self.spool.keys()) - waited_for
            for key in left:
                self.spool.remove(key)
            return len(left)

        left = await self.reads.run(sweep)
        if left:
            log.info("spool.swept", cars=left)

    async def drop(self, key: str) -> None:
        """Take this one away, unless a target waits for it."""
        if await self.reads.run(DeliveryReads.delivered, [key]):
            await anyio.to_thread.run_sync(self.spool.remove, key)


def _waited_for(reader: JournalReader) -> Iterator[str]:
    for target in reader.targets():
        for shard in (*reader.pending_shards(target, inf, _ALL), *reader.parked_shards(target, _ALL)):
            yield from (car.key for car in shard.cars)


class CarReader(Protocol):
    """A store of CARs, read."""

    def has(self, key: str) -> bool:
        """Whether the CAR is there."""
        ...

    def read(self, key: str, offset: int, length: int) -> bytes:
        """Bytes of a CAR."""
        ...


CACHED_BLOCK = 64 << 10  # bytes; directory nodes and playlists, which every request walks through
CACHE = 64 << 20  # bytes at most


@dataclass(frozen=True, slots=True)
class LocalBlocks:
    """Blocks from the local stores, found through the journal's index. `stores` are tried in their order.

    Small blocks stay in memory, the last used ones: a block never changes, so that needs no care.
    """

    reads: JournalReads
    stores: tuple[CarReader, ...]
    _cache: OrderedDict[Cid, bytes] = field(default_factory=OrderedDict[Cid, bytes])

    async def get(self, cid: Cid) -> bytes | None:
        """A whole block, None when no store has it."""
        data = self._cache.get(cid)
        if data is not None:
            self._cache.move_to_end(cid)
            return data
        data = await self.reads.run(self._get, cid)
        if data is not None and len(data) <= CACHED_BLOCK:
            self._cache[cid] = data
            while len(self._cache) > CACHE // CACHED_BLOCK:
                self._cache.popitem(last=False)
        return data

    async def read(self, cid: Cid) -> bytes:
        """A whole file, for one that is small.

        Raises:
            StorageError: a block of it is gone.
        """
        return b"".join([bytes(part) async for part in stream_async(read_file(cid), self._have)])

    async def _have(self, cid: Cid) -> bytes:
        data = await self.get(cid)
        if data is None:
            raise StorageError(
                f"the local store has lost block {cid}", hint="Run `hlspub verify` on the stream's root."
            )
        return data

    def _get(self, reader: JournalReader, cid: Cid) -> bytes | None:
        for spot in reader.find_block(cid):
            for store in self.stores:
                if store.has(spot.car_key):
                    return store.read(spot.car_key, spot.offset, spot.length)
        return None
