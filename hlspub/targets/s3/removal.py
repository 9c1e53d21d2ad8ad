"""How a gc that removes CARs and writers that count on them keep out of each other's way, without a lock.

Rule: each writes first and looks second. Who counts on a CAR that was there before it came puts what refers to it into the
bucket (entries of its index, a root's mark), and then looks at `gc/removing.json`. A gc names there what it is about to
remove, and then looks at everything that may refer to it. A bucket shows what was written to whoever asks afterwards, so at
least one of the two sees what the other did:

    the gc sees the reference     the CAR stays
    the writer sees the removal   it waits until that is over
    the writer comes behind it    it sees none: so it looks last of all whether the CAR is there, and sends it again if it went

That file is also what lets one gc remove at a time: it is created, and never overwritten. A gc has `ROUND_S` from naming CARs
to having removed them, else it stops. So a removal that is older than `STALE_S` was left by a gc that died, and is passed
over: that is longer than a round and the clocks that a store puts up with (15 minutes off at most) together.

It needs a store that keeps conditions: on others nothing is removed.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from hlspub.errors import DataError, TargetError
from hlspub.targets.s3 import keys
from hlspub.targets.s3.bucket import Bucket
from hlspub.targets.s3.documents import Removal

ROUND_S = 120.0
STALE_S = 1800.0
LOOK_S = 0.5

Clock = Callable[[], float]  # Unix seconds


class GcBusy(TargetError):  # noqa: N818 -- read as a sentence where it is caught
    """Another gc removes CARs of this bucket."""


@dataclass(frozen=True, slots=True)
class Removals:
    """The removal of a bucket, for both sides."""

    bucket: Bucket
    now: Clock = time.time
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep

    async def outlast(self, key: str) -> None:
        """Wait until no gc is about to remove that object."""
        while await self.names(key):
            await self.sleep(LOOK_S)

    async def names(self, key: str) -> bool:
        """Whether a gc is about to remove that object."""
        there = await self._look()
        return there is not None and key in there[0].objects

    async def begin(self, by: str, objects: frozenset[str]) -> None:
        """Name what is about to be removed.

        Raises:
            GcBusy: another gc does so.
        """
        data = Removal(by, self.now(), objects).encode()
        if await self.bucket.create(keys.REMOVING, data) is not None:
            return
        there = await self._look()
        if there is not None and there[0].by != by:
            raise GcBusy(
                f"{self.bucket.name}: another gc is at work, since {self.now() - there[0].at:.0f} s",
                retry_s=LOOK_S,
                hint="Let it end. One that died is passed over after half an hour.",
            )
        await self._replace(data)

    async def end(self) -> None:
        """Nothing is being removed any more."""
        await self.bucket.delete([keys.REMOVING])

    async def _replace(self, data: bytes) -> None:
        """Take the place of one that died; who of two comes later sees that."""
        found = await self.bucket.get(keys.REMOVING)
        done = await (
            self.bucket.create(keys.REMOVING, data)
            if found is None
            else self.bucket.swap(keys.REMOVING, data, found.etag)
        )
        if done is None:
            raise GcBusy(f"{self.bucket.name}: another gc began just now", retry_s=LOOK_S, hint="Let it end.")

    async def _look(self) -> tuple[Removal, str] | None:
        found = await self.bucket.get(keys.REMOVING)
        if found is None:
            return None
        try:
            removal = Removal.decode(found.data, keys.REMOVING)
        except DataError as why:
            raise TargetError(f"{self.bucket.name}: {why}", retry_s=None, hint=f"Remove {keys.REMOVING}.") from why
        return None if self.now() - removal.at > STALE_S else (removal, found.etag)
