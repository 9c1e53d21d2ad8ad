"""Sweeping a bucket: CARs that nothing needs any more are removed.

Theory. A bucket belongs to several writers (data directories), and what a writer has confirmed may come into its next root,
however long ago it was sent. So an index is a claim: a CAR that another writer's index names stays. In its own index the one
who sweeps lets go of the CARs that neither its journal knows nor a kept root needs; so each writer clears up behind itself,
and the last of those who sent a CAR removes it. A writer that is gone for good is *retired* by a person: then its index claims
only what kept roots need. Kept are, of all streams of the bucket: every marked root, every head, and what was published within
`recent_s`.

A CAR goes when no claim names it and it is older than `grace_s`: one that was sent a moment ago may not be in an index yet.
Needed is a CAR when an index names it for any block that a kept root needs, even if another one has the block too.

Order of a round: name the CARs (`removal`) → look again at indexes, marks, heads and journal, and at each CAR's age → take
them out of the indexes → remove them → end the removal. So whoever reads an index afresh never meets a CAR that is gone; a
reader with older pages looks again when it does. Cut off anywhere, all that is needed is where it was: what left the indexes
and was not removed is an object without a claim, and goes at the next sweep.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import TypeVar

import anyio

from hlspub.errors import BlockError, DataError, TargetError, one_error
from hlspub.ipld import block_index, dag
from hlspub.ipld.block import matches
from hlspub.ipld.cid import Cid, Codec
from hlspub.targets.s3 import keys
from hlspub.targets.s3.blocks import read_block
from hlspub.targets.s3.bucket import Bucket
from hlspub.targets.s3.documents import Head
from hlspub.targets.s3.lookup import Lookup
from hlspub.targets.s3.manners import probe
from hlspub.targets.s3.memory import MemoryPages
from hlspub.targets.s3.reader import BucketReader
from hlspub.targets.s3.removal import ROUND_S, Clock, GcBusy, Removals
from hlspub.targets.s3.whole_index import WholeIndex

ROUND = 4000  # CARs that are removed in one round
READS = 16  # blocks read at once
_DELETES = 1000  # objects that one request removes
_MERGED = 3  # rounds that may be lost to writers that merge

T = TypeVar("T")
Known = Callable[[Sequence[bytes]], Awaitable[set[bytes]]]
"""Of keys of blocks (`block_index.key_of`) those that the journal of this data directory knows."""
Told = Callable[[str, int, str, int], None]
Get = Callable[[Cid], Awaitable[bytes | None]]


async def _nothing(_keys: Sequence[bytes]) -> set[bytes]:
    return set()


async def _nowhere(_cid: Cid) -> bytes | None:
    return None


@dataclass(frozen=True, slots=True)
class Claims:
    """What a sweep goes by.

    Attributes:
        own: this data directory's writer; None when it has none.
        retired: writers that are gone for good.
        dropped: roots that this data directory announced and keeps no longer: their marks are taken away.
        recent_s: how long a root stays after its publication, whatever supersedes it.
        grace_s: how old a CAR without a claim must be.
        known: what the journal knows; here: blocks that lie on this machine.
    """

    own: str | None
    retired: frozenset[str] = frozenset()
    dropped: frozenset[Cid] = frozenset()
    recent_s: float = 3600.0
    grace_s: float = 86400.0
    known: Known = _nothing
    here: Get = _nowhere


@dataclass(frozen=True, slots=True)
class Swept:
    """What went, or would. `held`: by writer, the CARs and bytes that stay only because its index names them."""

    cars: int
    bytes: int
    roots: int
    held: tuple[tuple[str, int, int], ...]


@dataclass(slots=True, eq=False)
class Sweep:
    """One sweep of a bucket. `told` hears of progress now and then: doing, how many, of what, and their bytes."""

    bucket: Bucket
    claims: Claims
    now: Clock
    told: Told = lambda _doing, _count, _what, _size: None
    _lookup: Lookup = field(init=False)
    _indexes: dict[str, WholeIndex] = field(default_factory=dict[str, WholeIndex])
    _roots: set[Cid] = field(default_factory=set[Cid])
    _needed: set[bytes] = field(default_factory=set[bytes])
    _read: int = 0

    def __post_init__(self) -> None:
        self._lookup = Lookup(self.bucket, MemoryPages())

    async def run(self, *, dry_run: bool) -> Swept:
        """Sweep; a dry run changes nothing and tells what would go.

        Raises:
            TargetError: the bucket; it ignores conditions; another gc is at work; or a kept root is not whole.
        """
        try:
            return await self._run(dry_run=dry_run)
        except DataError as why:
            raise TargetError(f"{self.bucket.name}: {why}", retry_s=None, hint=why.hint) from why

    async def _run(self, *, dry_run: bool) -> Swept:
        if not dry_run:
            await self._prepare()
        await self._look()
        old = await self._old()
        leaving, unclaimed = await self._judge(old.keys())
        held = self._held(old, unclaimed)
        if dry_run:
            return Swept(len(unclaimed), sum(old[car] for car in unclaimed), len(self._roots), held)
        gone = set[bytes]()
        for some in _some(sorted(leaving), ROUND):
            gone |= await self._round(some)
            self.told("removed", len(gone), "CARs", sum(old[car] for car in gone))
        return Swept(len(gone), sum(old[car] for car in gone), len(self._roots), held)

    async def _prepare(self) -> None:
        manners = await probe(self.bucket, token_hex(8))
        if not manners.conditions:
            raise TargetError(
                f"{self.bucket.name}: it ignores If-None-Match and If-Match, so nothing can be removed safely",
                retry_s=None,
                hint="Move to a store that keeps them, or remove the whole prefix when nobody needs it.",
            )
        moved = {one.writer: one.stream for one in await self._heads()}
        for writer in sorted(self.claims.retired):
            if (stream := moved.get(writer)) is not None:
                raise TargetError(
                    f"{self.bucket.name}: the writer {writer} moves the stream {stream}",
                    retry_s=None,
                    hint="Take its streams over first, with `hlspub recover --from`.",
                )
            index = await WholeIndex.read(self.bucket, writer)
            if not await index.retire():
                raise TargetError(
                    f"{self.bucket.name}: the writer {writer} is at work", retry_s=None, hint="Stop it before."
                )
        marks = [keys.root(root) for root in self.claims.dropped]
        for some in _some(marks, _DELETES):
            await self.bucket.delete(some)

    # what claims CARs

    async def _look(self) -> None:
        """Look at everything that claims CARs, or what is new of it."""
        for writer in await self.bucket.folders(keys.WRITERS):
            if writer in self._indexes:
                await self._indexes[writer].look()
            else:
                self._indexes[writer] = await WholeIndex.read(self.bucket, writer)
        await self._lookup.renew()
        strict = {head.root for head in await self._heads()}
        async for one in self.bucket.listed(keys.ROOTS):
            if (root := keys.root_of(one.key)) is not None and root not in self.claims.dropped:
                strict.add(root)
        recent = {root for stream in await BucketReader(self.bucket).streams() for root in await self._recent(stream)}
        await self._need(strict - self._roots, whole=True)
        # Of what was superseded an earlier sweep may have removed some.
        await self._need(recent - strict - self._roots, whole=False)

    async def _heads(self) -> list[Head]:
        reader = BucketReader(self.bucket)
        found = [await reader.head(stream) for stream in await reader.streams()]
        return [head for head in found if head is not None]

    async def _recent(self, stream: str) -> list[Cid]:
        """The roots of a stream that stay for their age; a log has no gap, but at its beginning."""
        reader, found = BucketReader(self.bucket), list[Cid]()
        here = await reader.head(stream)
        while here is not None and here.published_at >= self.now() - self.claims.recent_s:
            found.append(here.root)
            here = await reader.publication(stream, here.seq - 1)
        return found

    async def _need(self, roots: Iterable[Cid], *, whole: bool) -> None:
        """Note every block under these roots."""
        todo = list(roots)
        self._roots.update(todo)
        limit = anyio.CapacityLimiter(READS)
        while todo:
            some, todo = todo[:ROUND], todo[ROUND:]
            some = [cid for cid in dict.fromkeys(some) if cid.inline is None and self._is_new(cid)]
            self.told("looked at", len(self._needed), "blocks", self._read)
            with one_error():
                async with anyio.create_task_group() as tasks:
                    for cid in some:
                        if cid.codec is not Codec.RAW:
                            tasks.start_soon(self._follow, cid, todo, limit, whole)

    def _is_new(self, cid: Cid) -> bool:
        key = block_index.key_of(cid)
        if key in self._needed:
            return False
        self._needed.add(key)
        return True

    async def _follow(self, cid: Cid, todo: list[Cid], limit: anyio.CapacityLimiter, whole: bool) -> None:
        async with limit:
            data = await self.claims.here(cid)
            if data is None or not matches(cid, data):
                data = await read_block(self.bucket, self._lookup, cid)
        if data is not None and matches(cid, data):
            self._read += len(data)
            todo += dag.links(cid, data)
        elif whole:
            raise BlockError(
                f"the block {cid} of a kept root is {'not there' if data is None else 'damaged'}, so nothing is removed",
                hint="Bring it back with `hlspub replicate`, from a target that has it whole.",
            )

    async def _old(self) -> dict[bytes, int]:
        """The CARs that are past the grace, and their sizes."""
        before, old = self.now() - self.claims.grace_s, dict[bytes, int]()
        async for one in self.bucket.listed(keys.CARS):
            digest = keys.digest_of(one.key)
            if digest is not None and one.modified_at < before:
                old[digest] = one.size
        return old

    async def _judge(self, cars: Iterable[bytes]) -> tuple[set[bytes], set[bytes]]:
        """Of the CARs those that are to leave the indexes that are judged here, and those that nobody claims then.

        One that another writer names too leaves them as well: else each of two would wait for the other for ever.
        """
        asked = set(cars)
        needed, others, mine = set[bytes](), set[bytes](), set[bytes]()
        blocks: dict[bytes, list[bytes]] = {}
        for index in self._indexes.values():
            judged = self._is_judged(index.writer)
            for entry in index.entries():
                car, key = block_index.car_in(entry), block_index.key_in(entry)
                if car not in asked:
                    continue
                (mine if judged else others).add(car)
                if key in self._needed:
                    needed.add(car)
                elif judged:
                    blocks.setdefault(key, []).append(car)
        known = await self.claims.known(list(blocks))
        needed |= {car for key in known for car in blocks[key]}
        unclaimed = asked - needed - others
        return (mine - needed) | unclaimed, unclaimed

    def _is_judged(self, writer: str) -> bool:
        """Whether it is this sweep's to say what of an index is needed."""
        return writer == self.claims.own or writer in self.claims.retired or self._indexes[writer].manifest.retired

    def _held(self, old: dict[bytes, int], unclaimed: set[bytes]) -> tuple[tuple[str, int, int], ...]:
        needed: set[bytes] = set()
        held: dict[str, set[bytes]] = {}
        for index in self._indexes.values():
            for entry in index.entries():
                if block_index.key_in(entry) in self._needed:
                    needed.add(block_index.car_in(entry))
            if not self._is_judged(index.writer):
                held[index.writer] = {block_index.car_in(entry) for entry in index.entries()} & old.keys()
        found = ((writer, cars - needed - unclaimed) for writer, cars in sorted(held.items()))
        return tuple((writer, len(cars), sum(old[car] for car in cars)) for writer, cars in found if cars)

    # removing

    async def _round(self, cars: Sequence[bytes]) -> set[bytes]:
        """One round; the CARs that went."""
        removals, by = Removals(self.bucket, self.now), token_hex(8)
        for _ in range(_MERGED):
            await removals.begin(by, frozenset(map(keys.car, cars)))
            try:
                with anyio.fail_after(ROUND_S):
                    await self._look()
                    leaving, unclaimed = await self._judge(cars)
                    leaving = await self._still_old(leaving)
                    unclaimed &= leaving
                    if await self._let_go(frozenset(leaving)):
                        for some in _some(sorted(map(keys.car, unclaimed)), _DELETES):
                            await self.bucket.delete(some)
                        return unclaimed
            except TimeoutError as why:
                raise TargetError(
                    f"{self.bucket.name}: it is too slow for {len(cars)} CARs in {ROUND_S:.0f} s",
                    retry_s=None,
                    hint="What was not removed stays readable. Try again at a calmer hour.",
                ) from why
            finally:
                with anyio.CancelScope(shield=True), anyio.move_on_after(ROUND_S):
                    await removals.end()
        raise GcBusy(f"{self.bucket.name}: its indexes do not hold still", retry_s=1.0, hint="Try again.")

    async def _let_go(self, cars: frozenset[bytes]) -> bool:
        judged = [index for index in self._indexes.values() if self._is_judged(index.writer)]
        return all([await index.without(cars) for index in judged])

    async def _still_old(self, cars: set[bytes]) -> set[bytes]:
        """Those that are there and past the grace now: one that went may have been sent again since."""
        before, found, limit = self.now() - self.claims.grace_s, set[bytes](), anyio.CapacityLimiter(READS)

        async def look(car: bytes) -> None:
            async with limit:
                seen = await self.bucket.head(keys.car(car))
            if seen is not None and seen.modified_at < before:
                found.add(car)

        with one_error():
            async with anyio.create_task_group() as tasks:
                for car in cars:
                    tasks.start_soon(look, car)
        return found


def _some(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
