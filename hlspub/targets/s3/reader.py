"""The publications of a bucket, read."""

from collections.abc import Sequence
from dataclasses import dataclass

from hlspub.targets.s3 import keys
from hlspub.targets.s3.bucket import Bucket
from hlspub.targets.s3.documents import Head


@dataclass(frozen=True, slots=True)
class BucketReader:
    """Every call raises TargetError when the bucket does not answer, DataError when an object is none of hlspub's."""

    bucket: Bucket

    async def streams(self) -> Sequence[str]:
        """The names of the streams; listed, for there are few."""
        found = (keys.stream_of(folder) for folder in await self.bucket.folders(keys.STREAMS))
        return [name for name in found if name is not None]

    async def head(self, stream: str) -> Head | None:
        """The newest publication."""
        return await self._read(keys.head(stream))

    async def publication(self, stream: str, seq: int) -> Head | None:
        """The `seq`-th publication."""
        return await self._read(keys.publication(stream, seq))

    async def _read(self, key: str) -> Head | None:
        found = await self.bucket.get(key)
        return None if found is None else Head.decode(found.data, key)
