"""A writer's index in the bucket: a numbered log of small objects, merged now and then.

Rule: what `add` was given can be found by every reader when it returns. Adds that wait for one another share one object.
Numbers have no gap and an object is only ever created, so a reader finds the newest one by asking for the next number until
there is none; and two processes that write one index by mistake do not overwrite each other where the store keeps conditions.

A merge takes the log's tail into a segment, together with the last segments while those are not much larger, up to
`SEGMENT_ENTRIES`. So each entry is written a few times in its life, a merge fits in memory, and a reader meets a handful of
segments per hundred thousand CARs. What a merge replaces stays until the next one: a reader may be on its way there.

An index that was retired (`whole_index`) is added to no more, so that who comes back from the dead says so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

import anyio
import anyio.to_thread

from hlspub.errors import TargetError
from hlspub.ipld import block_index
from hlspub.targets.s3 import keys
from hlspub.targets.s3.bucket import Bucket
from hlspub.targets.s3.documents import Manifest, Segment

MERGE = 32  # objects in the tail that are merged
UNMERGED = 8 * MERGE  # in the tail when a merge that fails is said to have failed
LOOKS = 4  # at where the index ends, before a put gives up for now
SEGMENT_ENTRIES = 1 << 18
_WIDTH = 3  # a segment up to so many times as large as what is merged is merged too


@dataclass(slots=True, eq=False)
class _Batch:
    """What one add brings."""

    entries: list[bytes]
    done: bool = False


@dataclass(slots=True, eq=False)
class IndexLog:
    """The index of `writer` in `bucket`, to be added to."""

    bucket: Bucket
    writer: str
    merge_at: int = MERGE
    _lock: anyio.Lock = field(default_factory=anyio.Lock)
    _waiting: list[_Batch] = field(default_factory=list[_Batch])
    _opened: bool = False
    _manifest: Manifest = field(default_factory=Manifest)
    _etag: str | None = None
    _tail: list[bytes] = field(default_factory=list[bytes])
    _merge_after: int = 0

    async def add(self, entries: Iterable[bytes]) -> None:
        """Make these entries findable.

        Raises:
            TargetError: the bucket.
            DataError: what stands in the index's place is none.
        """
        batch = _Batch(list(entries))
        self._waiting.append(batch)
        try:
            async with self._lock:
                if not batch.done:
                    await self._open()
                    await self._write()
                    await self._tidy()
        finally:
            if not batch.done:
                self._waiting.remove(batch)

    async def _open(self) -> None:
        """Go on where the bucket's index ends."""
        if self._opened:
            return
        found = await self.bucket.get(keys.manifest(self.writer))
        self._manifest = Manifest.decode(found.data, keys.manifest(self.writer)) if found else Manifest()
        if self._manifest.retired:
            raise TargetError(
                f"{self.bucket.name}: the index of this data directory (writer {self.writer[:8]}) was retired",
                retry_s=None,
                hint="Another machine goes on with its streams. Start anew here, in an empty data_dir.",
            )
        self._etag = found.etag if found else None
        self._tail = []
        while (entry := await self.bucket.get(keys.log_entry(self.writer, self._number()))) is not None:
            self._tail.append(entry.data)
        self._opened = True

    def _number(self) -> int:
        return self._manifest.next + len(self._tail)

    async def _write(self) -> None:
        group = list(self._waiting)
        data = block_index.encode(entry for batch in group for entry in batch.entries)
        looks = 0
        while await self.bucket.create(keys.log_entry(self.writer, self._number()), data) is None:
            key = keys.log_entry(self.writer, self._number())
            there = await self.bucket.get(key)
            if there is None and (looks := looks + 1) < LOOKS:
                self._opened = False  # another process has merged it meanwhile
                await self._open()
                continue
            if there is None:
                raise TargetError(
                    f"{self.bucket.name}: {key} is there and is not", retry_s=1.0, hint="It is tried again."
                )
            if there.data == data:
                break  # ours: the answer to it was lost
            self._tail.append(there.data)
        self._tail.append(data)
        for batch in group:
            batch.done = True
        self._waiting = [batch for batch in self._waiting if not batch.done]  # who gave up meanwhile is out already

    async def _tidy(self) -> None:
        """Merge when it is time; one that fails waits for more to merge, and is told of when that becomes too much."""
        if len(self._tail) < max(self.merge_at, self._merge_after):
            return
        try:
            await self._merge()
            self._merge_after = 0
        except TargetError:
            self._merge_after = len(self._tail) + self.merge_at // 2
            if len(self._tail) >= UNMERGED:
                raise

    async def _merge(self) -> None:
        parts = list(reversed(self._tail))  # newest first: of two places of a block the newest stays
        size = sum(map(block_index.count, parts))
        segments = list(self._manifest.segments)
        stale = [keys.log_entry(self.writer, self._manifest.next + number) for number in range(len(self._tail))]
        while segments and segments[-1].entries <= min(_WIDTH * size, SEGMENT_ENTRIES - size):
            absorbed = segments.pop()
            found = await self.bucket.get(absorbed.key)
            if found is None:
                self._opened = False  # a gc may have replaced it, and a merge have removed it since
                raise TargetError(f"{self.bucket.name}: {absorbed.key} is gone", retry_s=60.0, hint="Who removed it?")
            parts.append(found.data)
            size += absorbed.entries
            stale.append(absorbed.key)
        data = await anyio.to_thread.run_sync(_merged, parts)
        key = keys.segment(self.writer, sha256(data).digest())
        await self.bucket.create(key, data)
        segments.append(Segment(key, block_index.count(data)))
        before = self._manifest
        manifest = replace(
            self._manifest,
            next=self._number(),
            segments=tuple(segments),
            stale=tuple(one for one in stale if one not in {each.key for each in segments}),
        )
        if await self._replace(manifest):
            needed = {one.key for one in segments}  # a segment of the same entries as an earlier one is that one again
            await self.bucket.delete([one for one in before.stale if one not in needed])

    async def _replace(self, manifest: Manifest) -> bool:
        key, data = keys.manifest(self.writer), manifest.encode()
        etag = await (self.bucket.swap(key, data, self._etag) if self._etag else self.bucket.create(key, data))
        if etag is None:
            self._opened = False  # another process merged it: look again before the next add
            return False
        self._manifest, self._etag, self._tail = manifest, etag, []
        return True


def _merged(parts: Sequence[bytes]) -> bytes:
    return block_index.encode(entry for part in parts for entry in block_index.entries(part))
