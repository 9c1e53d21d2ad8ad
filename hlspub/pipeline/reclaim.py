"""Reclaim: letting go of what no kept root needs; see `engine.keeping` for the theory.

Order: the journal forgets, then the file goes. A crash in between leaves a name in the journal's list of what is gone, and
the next pass removes that file. Files that the journal never knew are nobody's to delete here: after a lost journal they are
all there is.

The race that must not be: the journal has forgotten a CAR, intake takes the same bytes again, `local` finds the old file
standing and confirms it, and then the file is removed. `local` adopts under a claim, and only after the new row is committed;
a file is removed under the lock that claims need, after the journal was asked again there. So whoever comes first is seen by
the other one: either the row is there and the file stays, or the file is gone before `local` looks.

A pass reads in slices in a reader's thread and writes in small transactions. The next one waits a hundred times as long as
the last one took, at least `EVERY_S`: a long archive is looked through more rarely.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import anyio
import structlog

from hlspub.engine import keeping
from hlspub.engine.keeping import Keep
from hlspub.errors import StorageError
from hlspub.ipld import node
from hlspub.ipld.block import matches
from hlspub.ipld.cid import Cid
from hlspub.journal.reader import JournalReader, JournalReads
from hlspub.journal.values import CarUse, RootFacts
from hlspub.model import CarKind, Clock
from hlspub.pipeline.marks import Marks
from hlspub.pipeline.ports import Writer
from hlspub.records import (
    CarsForgotten,
    CarsRemoved,
    FilesForgotten,
    ListingsForgotten,
    PicturesForgotten,
    RootsForgotten,
    SessionState,
)

EVERY_S = 300.0
_EASE = 100  # a pass may take one part in so many of the time
_NODES = 500  # directory nodes read in one slice
_CARS = 500  # looked at in one slice
_FORGET = 100  # forgotten in one transaction
_ROWS = 2000  # of listings, in one transaction

log = structlog.get_logger()
T = TypeVar("T")

Block = Callable[[JournalReader, Cid], bytes | None]
"""A whole block by its CID, in a reader's thread."""


class Store(Protocol):
    """Where the files lie (`spool.store.CarStore`)."""

    def release(self, key: str, is_unneeded: Callable[[], bool]) -> bool:
        """Let a CAR go that nobody claims and `is_unneeded`, asked while nobody can claim it; whether it went."""
        ...


@dataclass(frozen=True, slots=True)
class Freed:
    """What a pass let go, or would."""

    cars: int = 0
    bytes: int = 0

    def answer(self) -> dict[str, object]:
        """What `hlspub gc --json` prints."""
        return {"cars": self.cars, "freed_bytes": self.bytes}


@dataclass(slots=True, eq=False)
class _Plan:
    """What one pass goes by; `upto` is the newest CAR that it looks at."""

    upto: int
    kept: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    roots: list[Cid] = field(default_factory=list[Cid])
    live: set[int] = field(default_factory=set[int])
    over: list[int] = field(default_factory=list[int])  # sessions whose listings nobody asks for
    left: set[tuple[int, str, int]] = field(default_factory=set[tuple[int, str, int]])  # by live sessions
    pictures: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])  # of roots that are not kept
    needed: Marks = field(default_factory=Marks)


@dataclass(slots=True, eq=False)
class Reclaimer:
    """Lets go of what no kept root needs, in the journal and in `stores`. `keep` is asked at each pass."""

    reads: JournalReads
    journal: Writer
    stores: Sequence[Store]
    block: Block
    clock: Clock
    keep: Callable[[], Keep]
    freed: Freed = Freed()  # since the start
    _one_at_a_time: anyio.Lock = field(default_factory=anyio.Lock)

    async def run(self) -> None:
        """A pass now and then, until cancelled. One that fails says why, and is tried again."""
        pause_s = EVERY_S
        while True:
            await anyio.sleep(pause_s)
            started = self.clock.monotonic()
            try:
                await self.reclaim()
            except StorageError as why:
                log.error("gc.stopped", reason=str(why), hint=why.hint)
            pause_s = max(EVERY_S, _EASE * (self.clock.monotonic() - started))

    async def reclaim(self, *, dry_run: bool = False) -> Freed:
        """One whole pass; a dry run changes nothing and tells what would go.

        Raises:
            StorageError: a block of a kept root is not here, so nothing can be said to be needless; or the disk fails.
        """
        async with self._one_at_a_time:
            if not dry_run:
                await self._remove_gone()
            plan = await self.reads.run(_plan, self.keep(), self.clock.now())
            await self._mark(plan)
            if dry_run:
                return await self._count(plan)
            await self._forget_details(plan)
            freed = await self._sweep(plan)
        self.freed = Freed(self.freed.cars + freed.cars, self.freed.bytes + freed.bytes)
        if freed.cars:
            log.info("gc.freed", cars=freed.cars, freed_bytes=freed.bytes)
        return freed

    async def _mark(self, plan: _Plan) -> None:
        """Find every CAR that a kept root needs."""
        todo = list(plan.roots)

        def mark(reader: JournalReader) -> None:
            for _ in range(_NODES):
                if not todo:
                    return
                _mark_node(reader, self.block, todo, plan.needed)

        while todo:
            await self.reads.run(mark)

    async def _count(self, plan: _Plan) -> Freed:
        freed, after = Freed(), 0
        while uses := await self.reads.run(JournalReader.uses, after, plan.upto, _CARS):
            after = uses[-1].number
            sizes = [use.size_bytes for use in uses if _is_needless(use, plan)]
            freed = Freed(freed.cars + len(sizes), freed.bytes + sum(sizes))
        return freed

    async def _forget_details(self, plan: _Plan) -> None:
        for some in _batches(plan.pictures, _FORGET):
            await self.journal.write([PicturesForgotten(tuple(some))])
        for session in plan.over:
            while await self.reads.run(JournalReader.has_listings, session):
                await self.journal.write([ListingsForgotten(session, _ROWS)])

    async def _sweep(self, plan: _Plan) -> Freed:
        freed, after = Freed(), 0
        while uses := await self.reads.run(JournalReader.uses, after, plan.upto, _CARS):
            after = uses[-1].number
            for some in _batches([use for use in uses if _is_needless(use, plan)], _FORGET):
                await self.journal.write(
                    [
                        RootsForgotten(tuple(root for use in some for root in use.roots)),
                        FilesForgotten(tuple(file for use in some for file in use.files)),
                        CarsForgotten(tuple(use.key for use in some)),
                    ]
                )
                went = await self._remove([use.key for use in some])
                sizes = [use.size_bytes for use in some if use.key in went]
                freed = Freed(freed.cars + len(sizes), freed.bytes + sum(sizes))
        return freed

    async def _remove_gone(self) -> None:
        """What a crash left between the journal and the disk."""
        while gone := await self.reads.run(JournalReader.gone, _FORGET):
            await self._remove(gone)

    async def _remove(self, keys: Sequence[str]) -> set[str]:
        """Take the files of forgotten CARs away; returns those whose CARs are forgotten indeed."""

        def remove(reader: JournalReader) -> set[str]:
            return {
                key
                for key in keys
                for store in self.stores
                if store.release(key, lambda key=key: not reader.has_car(key))
            }

        went = await self.reads.run(remove)
        # One that stayed has a row again: its adopter claims it, or the journal said so. It is that row's file now.
        await self.journal.write([CarsRemoved(tuple(keys))])
        return went


def _plan(reader: JournalReader, keep: Keep, now: float) -> _Plan:
    """Read what decides; the newest CAR first, so that nothing which comes later is judged by what was before."""
    plan = _Plan(reader.newest_car())
    for stream in reader.streams():
        sessions = [(one.id, one.state is SessionState.ENDED) for one in reader.sessions(stream.name)]
        roots = reader.root_facts(stream.name)
        live = keeping.live(sessions)
        kept = keeping.kept(roots, [session for session, is_over in sessions if not is_over], keep, now)
        plan.live |= live
        plan.over += [session for session, _ in sessions if session not in live]
        plan.kept |= kept
        # A root of which nothing is in the journal is kept elsewhere: it was published from a machine that is gone.
        here = [root.root for root in roots if (root.session, root.number) in kept]
        plan.roots += [root for root in here if reader.cars_with(root.digest)]
        plan.pictures += _unpictured(roots, kept)
        for session in live:
            plan.left |= _old_texts(reader, session, roots, kept)
            plan.left |= {(session, path, version) for path, version in reader.passed(session)}
    return plan


def _unpictured(roots: Iterable[RootFacts], kept: set[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    names = ((root.session, root.number) for root in roots if root.has_picture)
    return (name for name in names if name not in kept)


def _old_texts(
    reader: JournalReader, session: int, roots: Iterable[RootFacts], kept: set[tuple[int, int]]
) -> set[tuple[int, str, int]]:
    mine = [root.number for root in roots if root.session == session]
    if not mine:
        return set()
    pictured = {one for number in mine if (session, number) in kept for one in reader.picture(session, number).items()}
    old = keeping.superseded(reader.texts(session), reader.picture(session, max(mine)), pictured)
    return {(session, path, version) for path, version in old}


def _mark_node(reader: JournalReader, block: Block, todo: list[Cid], marks: Marks) -> None:
    """Mark the CARs of one block, and what lies below it when it is a directory's."""
    cid = todo.pop()
    if cid.inline is not None or marks.seen(cid):
        return
    cars = reader.cars_with(cid.digest)
    for number, _ in cars:
        marks.mark(number)
    is_file = bool(cars) and all(kind is not CarKind.NODES for _, kind in cars)
    marks.see(cid, file=is_file)
    if is_file:
        return  # all its blocks are in its CAR
    data = block(reader, cid)
    if data is None or not matches(cid, data):  # what a damaged block does not name must not go
        state = "lacks" if data is None else "has a damaged"
        raise StorageError(
            f"the local store {state} block {cid} of a kept root, so nothing is let go",
            hint="Run `hlspub verify` on the streams' roots, then `hlspub recover --force`.",
        )
    todo.extend(link.cid for link in node.read(cid, data).links)


def _is_needless(use: CarUse, plan: _Plan) -> bool:
    return (
        use.number not in plan.needed
        and not use.pending
        and keeping.may_go(use.files, use.roots, plan.live, plan.left, plan.kept)
    )


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
