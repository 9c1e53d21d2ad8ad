"""A bucket as a target: CARs as immutable objects, an index beside them, marks for the roots that stay.

Order: the CAR, what proves that it arrived, then its entry in the index, then the receipt. Each step may be repeated: a CAR
that is there already with the right size and ETag is a success, entries that stand twice are found once. One that was there
already may be about to be removed by a gc: then that is waited for, and it is sent again (`removal`).

What proves arrival is the ETag where it is the MD5 of what was sent (the body was sent with its sha2-256 besides); else the
object is read back and hashed. A store that says what CID it made of a CAR (`names_cid`) must name ours.
"""

import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread
import structlog

from hlspub.errors import CarError, DataError, InputError, PermissionRefused, StorageError, TargetError
from hlspub.ipld import block_index
from hlspub.ipld.cid import Cid
from hlspub.model import Publication
from hlspub.targets.base import Capabilities, CarFile
from hlspub.targets.s3 import keys, shard
from hlspub.targets.s3.blocks import read_block
from hlspub.targets.s3.bucket import PART, Bucket, Seen
from hlspub.targets.s3.documents import Head
from hlspub.targets.s3.heads import Heads
from hlspub.targets.s3.index_log import IndexLog
from hlspub.targets.s3.lookup import Lookup
from hlspub.targets.s3.manners import Manners, probe
from hlspub.targets.s3.memory import MemoryPages
from hlspub.targets.s3.removal import Removals
from hlspub.targets.s3.shard import Open, Shard

CAR_TYPE = "application/vnd.ipld.car"
_DAMAGED_RETRY_S = 1.0
_THERE = "there already"
_MD5 = 32 + 2  # characters of an ETag that is one, with its quotes

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class S3Target:
    """See the module's order.

    `writer` names this data directory; `open_car` gives the CARs to send; `metadata` goes with each; `names_cid`: the store
    answers with the root's CID.
    """

    name: str
    bucket: Bucket
    writer: Callable[[], str]
    open_car: Open
    capabilities: Capabilities
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    names_cid: bool = False
    kind: str = "s3"
    lookup: Lookup = field(init=False)
    _index: IndexLog | None = None
    _manners: Manners | None = None
    _probing: anyio.Lock = field(default_factory=anyio.Lock)

    def __post_init__(self) -> None:
        self.lookup = Lookup(self.bucket, MemoryPages())

    async def put(self, cars: Sequence[CarFile]) -> str:
        """Write them as one object, and where their blocks lie in it."""
        await self.manners()
        try:
            made = await anyio.to_thread.run_sync(shard.make, cars, self.open_car)
        except StorageError as why:
            raise TargetError(f"{self.name}: {why}", retry_s=5.0, hint=why.hint) from why
        except InputError as why:
            if all([await self.has(car) for car in cars]):
                return _THERE
            raise TargetError(f"{self.name}: {why}", retry_s=None, hint=why.hint) from why
        except CarError as why:
            raise TargetError(f"{self.name}: {why}", retry_s=None, hint="Run `hlspub verify`.") from why
        key = keys.car(made.digest)
        said = await self._send(key, made, cars[0])
        if self.names_cid:
            await self._compare_cid(key, cars[0].root)
        await self._in_index((await self._own_index()).add(block_index.entries_of(made.digest, made.blocks)))
        if said == _THERE:
            await Removals(self.bucket).outlast(key)
            if await self.bucket.head(key) is None:
                said = await self._send(key, made, cars[0])
        return said

    async def has(self, car: CarFile) -> bool:
        """Whether the index knows its root, and the CAR that it names is there and about to stay."""
        spot = await self._in_index(self.lookup.find(car.root))
        if spot is None or await Removals(self.bucket).names(keys.car(spot.car)):
            return False
        return await self.bucket.head(keys.car(spot.car)) is not None

    async def read(self, cid: Cid) -> bytes | None:
        """A block, unchecked."""
        return await self._in_index(read_block(self.bucket, self.lookup, cid))

    async def bind(self, root: Cid, *, supersedes: Cid | None) -> None:
        """Mark it; then take the other's mark away."""
        await self.bucket.create(keys.root(root), b"kept\n")
        if supersedes is not None and supersedes != root:
            await self.forget(supersedes)

    async def forget(self, root: Cid) -> None:
        """Take its mark away."""
        await self.bucket.delete([keys.root(root)])

    async def move_head(self, publication: Publication, settings: str) -> None:
        """Compare and swap the stream's head."""
        heads = Heads(self.bucket, await self._writer())
        await heads.move(
            Head(
                stream=publication.stream,
                session=publication.session,
                seq=publication.seq,
                root=publication.root,
                entry=publication.entry,
                final=publication.final,
                published_at=publication.published_at,
                settings=settings,
                writer=heads.writer,
            )
        )

    async def check(self) -> str:
        """Try what the store keeps to, by one small object that is removed again."""
        manners = await self.manners()
        return "; ".join(manners.lacks()) or "keeps conditions, ranges and digests"

    async def aclose(self) -> None:
        """Nothing is open."""

    async def manners(self) -> Manners:
        """What the store keeps to; found out once, and what it does not keep is logged."""
        async with self._probing:
            if self._manners is None:
                self._manners = await probe(self.bucket, secrets.token_hex(8))
                for lack in self._manners.lacks():
                    log.warning("target.lacks", target=self.name, reason=lack)
            return self._manners

    async def _own_index(self) -> IndexLog:
        """The index of this data directory, whose name is made when first needed."""
        if self._index is None:
            writer = await self._writer()
            self._index = self._index or IndexLog(self.bucket, writer)
        return self._index

    async def _writer(self) -> str:
        try:
            return await anyio.to_thread.run_sync(self.writer)
        except (StorageError, PermissionRefused) as why:
            raise TargetError(f"{self.name}: {why}", retry_s=5.0, hint=why.hint) from why

    async def _send(self, key: str, made: Shard, car: CarFile) -> str:
        metadata = {"Content-Type": CAR_TYPE, **self.metadata}
        if made.data is None:
            there = await self.bucket.head(key)
            if there is not None and await self._arrived(key, made, there.size, there.etag):
                return _THERE
            etag = await self.bucket.put_parts(key, self._parts(car.key), metadata)
        else:
            created = await self.bucket.create(key, made.data, metadata)
            if created is None:
                return await self._compare(key, made)
            etag = created
        if not await self._arrived(key, made, made.size, etag):
            raise TargetError(
                f"{self.name}: what arrived is not what was sent", retry_s=_DAMAGED_RETRY_S, hint="It is sent again."
            )
        return "kept"

    async def _compare(self, key: str, made: Shard) -> str:
        """A CAR of that name is there: ours, from a try whose answer was lost, unless it was damaged."""
        there: Seen | None = await self.bucket.head(key)
        if there is None:
            raise TargetError(f"{self.name}: {key} is there and is not", retry_s=1.0, hint="It is tried again.")
        if not await self._arrived(key, made, there.size, there.etag):
            raise TargetError(
                f"{self.name}: {key} is there with other bytes",
                retry_s=None,
                hint="It was damaged there: remove the object, and it is written again.",
            )
        return _THERE

    async def _arrived(self, key: str, made: Shard, size: int, etag: str) -> bool:
        if size != made.size:
            return False
        if etag == made.etag:
            return True
        if len(etag) == _MD5 and made.data is not None and (self._manners is None or self._manners.digests):
            return False
        return await self._read_back(key, made)

    async def _read_back(self, key: str, made: Shard) -> bool:
        digest = hashlib.sha256()
        for start in range(0, made.size, PART):
            part = await self.bucket.read(key, start, min(start + PART, made.size))
            if part is None:
                return False
            digest.update(part)
        return digest.digest() == made.digest

    async def _compare_cid(self, key: str, root: Cid) -> None:
        there = await self.bucket.head(key)
        named = there.metadata.get("cid", "") if there else ""
        if named != str(root):
            raise TargetError(
                f"{self.name}: it made {named or 'no CID'} of the CAR of {root}",
                retry_s=60.0 if not named else None,
                hint="It may need a moment." if not named else "It packs CARs in another way: use another profile.",
            )

    async def _parts(self, key: str) -> AsyncIterator[bytes]:
        file = await anyio.to_thread.run_sync(self.open_car, key)
        with closing(file):
            each = shard.parts(file)
            while part := await anyio.to_thread.run_sync(partial(next, each, b"")):
                yield part

    async def _in_index(self, doing: Awaitable[T]) -> T:
        try:
            return await doing
        except DataError as why:
            raise TargetError(f"{self.name}: {why}", retry_s=None, hint=why.hint) from why
