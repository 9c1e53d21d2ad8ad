"""Moving a stream's head: one writer a stream, however many try.

Rule: a head belongs to the writer that made it. A writer that finds another one's head is refused, says so and stops; taking
a stream over is an act of a person, after which the former writer is refused. Where the store keeps
conditions the head is compared and swapped; where it does not, it is read back, which two writers that start at the same
instant may defeat once, and never for longer than until the next publication.

Order: the publication's own object, then the head. A head never goes back: an older publication is passed over.
"""

from dataclasses import dataclass

from hlspub.errors import DataError, TargetError
from hlspub.targets.s3 import keys
from hlspub.targets.s3.bucket import Bucket
from hlspub.targets.s3.documents import Head

_TRIES = 4  # swaps that may be lost to an answer that went astray


class HeadTaken(TargetError):  # noqa: N818 -- read as a sentence where it is caught
    """Another writer moves this stream."""


@dataclass(slots=True, eq=False)
class Heads:
    """The heads of the streams that `writer` moves."""

    bucket: Bucket
    writer: str

    async def move(self, head: Head) -> None:
        """Make `head` its stream's newest publication.

        Raises:
            HeadTaken: the stream is another writer's.
            TargetError: the bucket, or what stands there is none of hlspub's.
        """
        mine = head.by(self.writer)
        for _ in range(_TRIES):
            known = await self._look(mine.stream)
            if known is not None:
                self._refuse_other(known[0])
                if known[0].seq >= mine.seq:
                    return
            await self._log(mine)
            if await self._write(mine, known[1] if known else None):
                return
        raise TargetError(
            f"{self.bucket.name}: the head of {mine.stream} does not hold still", retry_s=5.0, hint="It is tried again."
        )

    async def take_over(self, stream: str) -> Head | None:
        """Make the stream this writer's, whoever had it; its newest publication, None when it has none.

        Raises:
            TargetError: the bucket, or somebody moved it meanwhile.
        """
        known = await self._look(stream)
        if known is None:
            return None
        if known[0].writer != self.writer and not await self._write(known[0].by(self.writer), known[1]):
            raise TargetError(
                f"{self.bucket.name}: {stream} was moved just now",
                retry_s=None,
                hint="Stop the daemon that moves it, then take it over.",
            )
        return known[0]

    async def _look(self, stream: str) -> tuple[Head, str] | None:
        found = await self.bucket.get(keys.head(stream))
        if found is None:
            return None
        try:
            return Head.decode(found.data, keys.head(stream)), found.etag
        except DataError as why:
            raise TargetError(f"{self.bucket.name}: {why}", retry_s=None, hint=why.hint) from why

    async def _log(self, mine: Head) -> None:
        key = keys.publication(mine.stream, mine.seq)
        await self.bucket.create(key, mine.encode())

    async def _write(self, mine: Head, etag: str | None) -> bool:
        key, data = keys.head(mine.stream), mine.encode()
        written = await (self.bucket.create(key, data) if etag is None else self.bucket.swap(key, data, etag))
        if written is None:
            return False
        there = await self.bucket.get(key)  # for a store that ignores conditions
        return there is not None and there.data == data

    def _refuse_other(self, there: Head) -> None:
        if there.writer != self.writer:
            raise HeadTaken(
                f"{self.bucket.name}: the stream {there.stream} is moved by another daemon (writer {there.writer[:8]})",
                retry_s=None,
                hint="Stop one of the two. When the other is gone for good, run `hlspub recover --from` on a new data_dir.",
            )
