"""Blocks of a bucket, by their CIDs, for a gateway: memory, then a cache on disk, then a range of a CAR.

Rule: a block counts when its bytes are the ones that its CID names, wherever they come from. However many ask for a block at
once, it is fetched once. Small blocks (directories, playlists) stay in memory, all of them in the cache.

A large block is part of a file whose next blocks follow it in its CAR: one range brings those that begin within `AHEAD` bytes.
A CAR says of each of its blocks which it is, so no index is asked; each is held to its CID, and waits in memory, `WAITING`
bytes of them at most, until it is asked for.
"""

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO

import anyio
import anyio.to_thread

from hlspub.errors import CarError, DataError, TargetError
from hlspub.ipld.block import Block, matches
from hlspub.ipld.block_index import Spot
from hlspub.ipld.car import header
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid, Codec
from hlspub.targets.s3 import keys
from hlspub.targets.s3.bucket import Bucket
from hlspub.targets.s3.lookup import Lookup, Pages

SMALL = 64 << 10  # bytes
IN_MEMORY = 1024  # small blocks
FETCHES = 32  # from the bucket at once
PATIENCE_S = 30.0
AHEAD = 4 << 20  # bytes of one range
AHEADS = 8  # such ranges at once
WAITING = 64 << 20  # bytes that nobody asked for yet
_HEADER = header([Cid.of_data(Codec.RAW, b"")])  # of any CAR, for who reads a part of one


async def read_block(bucket: Bucket, lookup: Lookup, cid: Cid) -> bytes | None:
    """A block's bytes, unchecked; None when the bucket does not have it.

    A CAR that an index names and that is gone was removed by a gc, which took it out of the indexes before: so what was known
    of them is old, and another CAR may have the block by now.

    Raises:
        TargetError: the bucket.
        DataError: an object of an index is none.
    """
    spot = await lookup.find(cid)
    data = None if spot is None else await bucket.read(keys.car(spot.car), spot.offset, spot.offset + spot.length)
    if spot is None or data is not None:
        return data
    await lookup.renew()
    spot = await lookup.find(cid)
    return None if spot is None else await bucket.read(keys.car(spot.car), spot.offset, spot.offset + spot.length)


@dataclass(slots=True, eq=False)
class _Fetch:
    """A fetch that is under way, and what came of it."""

    done: anyio.Event = field(default_factory=anyio.Event)
    data: bytes | None = None
    over: bool = False
    failed: TargetError | None = None


@dataclass(slots=True, eq=False)
class BucketBlocks:
    """The gateway's `Blocks`. `room`: bytes that wait until they are asked for."""

    bucket: Bucket
    lookup: Lookup
    cache: Pages
    room: int = WAITING
    fetched: int = 0
    fetched_bytes: int = 0
    _memory: OrderedDict[Cid, bytes] = field(default_factory=OrderedDict[Cid, bytes])
    _under_way: dict[Cid, _Fetch] = field(default_factory=dict[Cid, _Fetch])
    _limit: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(FETCHES))
    _long: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(AHEADS))
    _ahead: OrderedDict[Cid, bytes] = field(default_factory=OrderedDict[Cid, bytes])
    _waiting: int = 0  # bytes in `_ahead`

    async def get(self, cid: Cid) -> bytes | None:
        """A whole block, None when the bucket does not have it.

        Raises:
            TargetError: the bucket cannot be read.
        """
        data = self._memory.get(cid)
        if data is not None:
            self._memory.move_to_end(cid)
            return data
        data = self._take_ahead(cid)
        if data is not None:
            await self.cache.put(str(cid), data)
            return data
        data = await self.cache.get(str(cid))
        if data is None or not await self._right(cid, data):
            data = await self._shared(cid)
        if data is not None and len(data) <= SMALL:
            self._memory[cid] = data
            while len(self._memory) > IN_MEMORY:
                self._memory.popitem(last=False)
        return data

    async def _shared(self, cid: Cid) -> bytes | None:
        """Fetch it, or wait for who does; when that one left before it was done, somebody else does."""
        while (running := self._under_way.get(cid)) is not None:
            await running.done.wait()
            if running.failed is not None:
                raise running.failed
            if running.over:
                return running.data
        mine = self._under_way[cid] = _Fetch()
        try:
            async with self._limit:
                with anyio.fail_after(PATIENCE_S):
                    mine.data = await self._fetch(cid)
            mine.over = True
        except TimeoutError as why:
            mine.failed = TargetError(
                f"{self.bucket.name}: no block within {PATIENCE_S:.0f} s", retry_s=1.0, hint="Is it overloaded?"
            )
            raise mine.failed from why
        except TargetError as why:
            mine.failed = why
            raise
        finally:
            del self._under_way[cid]
            mine.done.set()
        if mine.data is not None:
            await self.cache.put(str(cid), mine.data)
        return mine.data

    async def _fetch(self, cid: Cid) -> bytes | None:
        try:
            spot = await self.lookup.find(cid)
        except DataError as why:
            raise TargetError(f"{self.bucket.name}: {why}", retry_s=None, hint=why.hint) from why
        if spot is None:
            return None
        data = await self._read(spot)
        if data is None:  # its CAR went: see `read_block`
            data = await read_block(self.bucket, self.lookup, cid)
        if data is None:
            return None
        if not await self._right(cid, data):
            raise TargetError(
                f"{self.bucket.name}: the block {cid} is damaged in {keys.car(spot.car)}",
                retry_s=None,
                hint="Bring it back with `hlspub replicate`, from a target that has it whole.",
            )
        self.fetched += 1
        self.fetched_bytes += len(data)
        return data

    async def _read(self, spot: Spot) -> bytes | None:
        """A block's bytes, unchecked; what follows a large one is kept."""
        key, end = keys.car(spot.car), spot.offset + spot.length
        if spot.length <= SMALL or not self.bucket.ranges:
            return await self.bucket.read(key, spot.offset, end)
        async with self._long:
            data = await self.bucket.read(key, spot.offset, max(end, spot.offset + AHEAD))
            if data is None:
                return None
            for block in await anyio.to_thread.run_sync(_following, data[spot.length :]):
                self._keep_ahead(block)
            return data[: spot.length]

    def _keep_ahead(self, block: Block) -> None:
        if block.cid in self._ahead:
            return
        self.fetched += 1
        self.fetched_bytes += len(block.data)
        self._ahead[block.cid] = block.data
        self._waiting += len(block.data)
        while self._waiting > self.room:
            self._waiting -= len(self._ahead.popitem(last=False)[1])

    def _take_ahead(self, cid: Cid) -> bytes | None:
        data = self._ahead.pop(cid, None)
        if data is not None:
            self._waiting -= len(data)
        return data

    async def _right(self, cid: Cid, data: bytes) -> bool:
        if len(data) <= SMALL:
            return matches(cid, data)
        return await anyio.to_thread.run_sync(matches, cid, data)


def _following(sections: bytes) -> list[Block]:
    """The whole blocks that a part of a CAR begins with; what is cut off or damaged ends them."""
    found: list[Block] = []
    with suppress(CarError):
        for block in CarReader(BytesIO(_HEADER + sections).read):
            found.append(block)  # noqa: PERF402 -- those before the end stay
    return found
