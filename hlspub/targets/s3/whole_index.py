"""A writer's index as a whole, for who looks after a bucket: read, looked at again, and freed of CARs that are to go.

Rule: only what was seen is replaced. Objects of the log that came since stay as they are, and the manifest is compared and
swapped: when the writer merged meanwhile, nothing was changed. What is replaced stays until the writer's next merge, as with
a merge: a reader may be on its way there. Segments without a CAR that goes are the same objects as before, so their cached
pages stay good.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Self

import anyio.to_thread

from hlspub.errors import TargetError
from hlspub.ipld import block_index
from hlspub.targets.s3 import keys
from hlspub.targets.s3.bucket import Bucket
from hlspub.targets.s3.documents import Manifest, Segment


@dataclass(slots=True, eq=False)
class WholeIndex:
    """The index of `writer` as it was when it was last looked at."""

    bucket: Bucket
    writer: str
    manifest: Manifest = field(default_factory=Manifest)
    _etag: str | None = None
    _segments: dict[str, bytes] = field(default_factory=dict[str, bytes])
    _tail: list[bytes] = field(default_factory=list[bytes])

    @classmethod
    async def read(cls, bucket: Bucket, writer: str) -> Self:
        """All of it.

        Raises:
            TargetError: the bucket.
            DataError: what stands in the index's place is none.
        """
        index = cls(bucket, writer)
        await index.look()
        return index

    async def look(self) -> None:
        """Read what is new; raises what `read` does."""
        key = keys.manifest(self.writer)
        found = await self.bucket.get(key)
        etag = found.etag if found else None
        if etag != self._etag:
            manifest = Manifest.decode(found.data, key) if found else Manifest()
            known = self._segments
            self._segments = {one.key: known.get(one.key) or await self._segment(one) for one in manifest.segments}
            self.manifest, self._etag, self._tail = manifest, etag, []
        while True:
            number = self.manifest.next + len(self._tail)
            entry = await self.bucket.get(keys.log_entry(self.writer, number))
            if entry is None:
                return
            block_index.count(entry.data)
            self._tail.append(entry.data)

    def entries(self) -> Iterator[bytes]:
        """Everything in it; a block that stands in several of its parts comes several times."""
        for part in (*self._segments.values(), *self._tail):
            yield from block_index.entries(part)

    async def without(self, cars: frozenset[bytes]) -> bool:
        """Let go of the entries of these CARs; False when the writer merged it meanwhile and nothing was changed."""
        made: list[Segment] = []
        stale: list[str] = []
        for segment in self.manifest.segments:
            data = self._segments[segment.key]
            left = await anyio.to_thread.run_sync(_without, [data], cars)
            if left is None:
                made.append(segment)
                continue
            stale.append(segment.key)
            made += await self._written(left)
        following = self.manifest.next
        if self._tail and (left := await anyio.to_thread.run_sync(_without, self._tail[::-1], cars)) is not None:
            made += await self._written(left)
            stale += [keys.log_entry(self.writer, following + number) for number in range(len(self._tail))]
            following += len(self._tail)
        if not stale:
            return True
        manifest = replace(self.manifest, next=following, segments=tuple(made))
        needed = {one.key for one in made}  # a segment of the same entries as an earlier one is that one again
        left_over = (key for key in (*self.manifest.stale, *stale) if key not in needed)
        return await self._swap(replace(manifest, stale=tuple(left_over)))

    async def retire(self) -> bool:
        """See to it that its writer adds to it no more; False when the writer merged it meanwhile."""
        return self.manifest.retired or await self._swap(replace(self.manifest, retired=True))

    async def _written(self, data: bytes) -> list[Segment]:
        number = block_index.count(data)
        if not number:
            return []
        key = keys.segment(self.writer, sha256(data).digest())
        await self.bucket.create(key, data)
        return [Segment(key, number)]

    async def _swap(self, manifest: Manifest) -> bool:
        key, data = keys.manifest(self.writer), manifest.encode()
        etag = await (self.bucket.create(key, data) if self._etag is None else self.bucket.swap(key, data, self._etag))
        await self.look()
        return etag is not None

    async def _segment(self, segment: Segment) -> bytes:
        found = await self.bucket.get(segment.key)
        if found is None:
            raise TargetError(
                f"{self.bucket.name}: {segment.key} is gone", retry_s=1.0, hint="It may have been merged just now."
            )
        return found.data


def _without(parts: list[bytes], cars: frozenset[bytes]) -> bytes | None:
    """These parts, newest first, as one and without the entries of those CARs; None when there is none."""
    entries = [entry for part in parts for entry in block_index.entries(part)]
    left = [entry for entry in entries if block_index.car_in(entry) not in cars]
    return None if len(left) == len(entries) else block_index.encode(left)
