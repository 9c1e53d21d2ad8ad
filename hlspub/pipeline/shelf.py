"""The journal and the stores as the rest of the house reads them: the delivery queue, and blocks by their CID."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import BinaryIO, Protocol

import structlog

from hlspub.errors import InputError, StorageError
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

    async def parked_shards(self, target: str) -> Sequence[PendingShard]:
        """Shards that wait for a person."""
        return await self.reads.run(DeliveryReads.parked_shards, target, _ALL)

    async def failed_shards(self, target: str) -> Sequence[PendingShard]:
        """Shards that were tried in vain."""
        return await self.reads.run(DeliveryReads.failed_shards, target, _ALL)

    async def newest_shard(self) -> int:
        """The shard that was queued last."""
        return await self.reads.run(DeliveryReads.newest_shard)

    async def oldest_shard(self, target: str) -> int | None:
        """The first shard that is not confirmed."""
        return await self.reads.run(DeliveryReads.oldest_shard, target)

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

    def release(self, key: str, is_unneeded: Callable[[], bool]) -> bool:
        """Let one go that nobody claims and `is_unneeded`, asked while nobody can claim it."""
        ...


@dataclass(frozen=True, slots=True)
class Leftovers:
    """CARs that lie in the spool and that no target waits for: who takes them away, always through `Spool.release`.

    The last receipt leaves one; a file that is read again and has the bytes it had makes one too. A crash leaves them
    between the file and the journal's row, and between the last receipt and the removal: nobody else would ever take those.
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

    async def drop(self, keys: Sequence[str]) -> None:
        """Take these away, except those that a target waits for or that somebody is about to queue.

        Raises:
            StorageError: the disk refuses.
        """

        def drop(reader: JournalReader) -> None:
            for key in keys:
                self.spool.release(key, lambda key=key: key in reader.delivered([key]))

        await self.reads.run(drop)


def _waited_for(reader: JournalReader) -> Iterator[str]:
    for target in reader.targets():
        for shard in (*reader.pending_shards(target, inf, _ALL), *reader.parked_shards(target, _ALL)):
            yield from (car.key for car in shard.cars)


class CarOpener(Protocol):
    """A store of CARs, to be sent."""

    def open(self, key: str) -> BinaryIO:
        """A CAR; raises InputError where it is not there."""
        ...


class CarReader(Protocol):
    """A store of CARs, read."""

    def has(self, key: str) -> bool:
        """Whether the CAR is there."""
        ...

    def read(self, key: str, offset: int, length: int) -> bytes:
        """Bytes of a CAR."""
        ...


@dataclass(frozen=True, slots=True)
class CarFiles:
    """The CARs that targets are sent: in the spool, or, for a target that was added since, in the local store."""

    stores: tuple[CarOpener, ...]

    def open(self, key: str) -> BinaryIO:
        """The CAR, to be read from its start; the caller closes it.

        Raises:
            InputError: no store has it.
            StorageError: the disk fails.
        """
        for store in self.stores[:-1]:
            with suppress(InputError):
                return store.open(key)
        return self.stores[-1].open(key)


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
        data = await self.reads.run(self.block, cid)
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

    def block(self, reader: JournalReader, cid: Cid) -> bytes | None:
        """The same, for who is in a reader's thread already; nothing is kept in memory."""
        for spot in reader.find_block(cid):
            for store in self.stores:
                with suppress(InputError):  # it is not there, or was let go just now
                    return store.read(spot.car_key, spot.offset, spot.length)
        return None
