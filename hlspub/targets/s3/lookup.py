"""Where a block lies, for readers: every writer's index, looked up by reading a page or two.

Rule: nothing is listed but the names of the writers. What is not found is looked for once more after a look at the manifests
and at the logs' ends that began after it was asked for; there is one such look in `REFRESH_S`, for all who wait. So a block
that was put is found, and asking for what is not there costs the bucket little. Objects of an index never change, so their
pages may be kept by whoever keeps them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import anyio

from hlspub.errors import DataError, one_error
from hlspub.ipld import block_index
from hlspub.ipld.block_index import Spot
from hlspub.ipld.cid import Cid
from hlspub.targets.s3 import keys
from hlspub.targets.s3.bucket import Bucket
from hlspub.targets.s3.documents import Manifest, Segment

REFRESH_S = 0.5
WRITERS_S = 10.0  # how often it is looked for new writers
AHEAD = 4  # objects of a log that are asked for at once


class Pages(Protocol):
    """Where what was read is kept for a while, by name; bounded by whoever keeps it."""

    async def get(self, name: str) -> bytes | None:
        """What was kept, None when it was not or is no more."""
        ...

    async def put(self, name: str, data: bytes) -> None:
        """Keep it, if there is room."""
        ...


@dataclass(slots=True, eq=False)
class _Index:
    """One writer's index, as it was when it was last looked at. `tail` are the objects of its log."""

    writer: str
    manifest: Manifest = field(default_factory=Manifest)
    etag: str = ""
    tail: dict[int, bytes] = field(default_factory=dict[int, bytes])


@dataclass(slots=True, eq=False)
class Lookup:
    """The indexes of all writers of a bucket."""

    bucket: Bucket
    pages: Pages
    clock: Callable[[], float] = time.monotonic
    _indexes: dict[str, _Index] = field(default_factory=dict[str, _Index])
    _lock: anyio.Lock = field(default_factory=anyio.Lock)
    _looked_at: float = float("-inf")  # when the last look began
    _renewed_at: float = float("-inf")  # when the last one began that went well
    _writers_at: float = float("-inf")

    async def find(self, cid: Cid) -> Spot | None:
        """Where the block lies; None when no writer knows it.

        Raises:
            TargetError: the bucket.
            DataError: an object of an index is none.
        """
        key = block_index.key_of(cid)
        asked_at = self.clock()
        spot = await self._find(key)
        if spot is None:
            await self.renew(asked_at)
            spot = await self._find(key)
        return spot

    async def renew(self, since: float | None = None) -> None:
        """Look at what is new, by a look that begins after `since` (None: now)."""
        since = self.clock() if since is None else since
        async with self._lock:
            if self._renewed_at >= since:
                return  # by who was before
            await anyio.sleep(max(0.0, self._looked_at + REFRESH_S - self.clock()))
            now = self._looked_at = self.clock()
            if now - self._writers_at >= WRITERS_S or not self._indexes:
                for writer in await self.bucket.folders(keys.WRITERS):
                    self._indexes.setdefault(writer, _Index(writer))
                self._writers_at = now
            with one_error():
                async with anyio.create_task_group() as tasks:
                    for index in self._indexes.values():
                        tasks.start_soon(self._renew, index)
            self._renewed_at = now  # a look that failed has told nobody anything

    async def _find(self, key: bytes) -> Spot | None:
        indexes = list(self._indexes.values())
        for index in indexes:
            for number in sorted(index.tail, reverse=True):
                if (spot := block_index.find(key, index.tail[number])) is not None:
                    return spot
        for index in indexes:
            for segment in reversed(index.manifest.segments):
                if (spot := await self._search(key, segment)) is not None:
                    return spot
        return None

    async def _search(self, key: bytes, segment: Segment) -> Spot | None:
        asking = block_index.search(key, segment.entries)
        try:
            page = next(asking)
            while True:
                data = await self._page(segment, page)
                if data is None:  # merged and gone since
                    return None
                page = asking.send(data)
        except StopIteration as done:
            spot: Spot | None = done.value
            return spot

    async def _page(self, segment: Segment, page: int) -> bytes | None:
        name = f"{segment.key}.{page}"
        start, end = block_index.page_span(page, segment.entries)
        data = await self.pages.get(name)
        if data is None or len(data) != end - start:
            data = await self.bucket.read(segment.key, start, end)
            if data is None:
                return None
            if len(data) != end - start:
                raise DataError(f"{self.bucket.name}: {segment.key} is cut off", hint="It was damaged there.")
            await self.pages.put(name, data)
        return data

    async def _renew(self, index: _Index) -> None:
        key = keys.manifest(index.writer)
        found = await self.bucket.get(key)
        if found is not None and found.etag != index.etag:
            index.manifest, index.etag = Manifest.decode(found.data, key), found.etag
            index.tail = {number: data for number, data in index.tail.items() if number >= index.manifest.next}
        number = max(index.tail, default=index.manifest.next - 1) + 1
        while True:
            window = range(number, number + AHEAD)
            got = await self._log(index.writer, window)
            for one in window:
                if one not in got:
                    return
                block_index.count(got[one])
                index.tail[one] = got[one]
            number += AHEAD

    async def _log(self, writer: str, numbers: range) -> dict[int, bytes]:
        got: dict[int, bytes] = {}

        async def get(number: int) -> None:
            found = await self.bucket.get(keys.log_entry(writer, number))
            if found is not None:
                got[number] = found.data

        with one_error():
            async with anyio.create_task_group() as tasks:
                for number in numbers:
                    tasks.start_soon(get, number)
        return got
