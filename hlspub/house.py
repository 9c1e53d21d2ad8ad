"""What all streams of a process share, and how a stream's runner is built of it.

Rule: this is the composition root's larger half; `app` and the commands that own a data directory for a moment import it.
`with_house` opens the data directory, and closes in the right order whatever happens.
"""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import anyio
import anyio.to_thread

from hlspub.building import Parts, build_targets
from hlspub.config.model import Config
from hlspub.config.places import JOURNAL_NAME
from hlspub.gateway.ports import NamedRecord
from hlspub.hls.classify import classify, is_temporary, rendition_of
from hlspub.journal.journal import Journal
from hlspub.journal.reader import JournalReader, JournalReads
from hlspub.model import FileKind, Publication
from hlspub.pipeline.archiving import Archiving
from hlspub.pipeline.bind import Binder
from hlspub.pipeline.deliver import Courier
from hlspub.pipeline.edits import Editor
from hlspub.pipeline.ending import Ending
from hlspub.pipeline.fetching import Fetcher
from hlspub.pipeline.gaps import Gaps
from hlspub.pipeline.heads import Heads, Move
from hlspub.pipeline.hooks import Hooks
from hlspub.pipeline.intake import Intake
from hlspub.pipeline.known import look_up, unsent
from hlspub.pipeline.naming import Namer
from hlspub.pipeline.notices import journal_said, notices
from hlspub.pipeline.passing import Passing
from hlspub.pipeline.patience import Room
from hlspub.pipeline.plans import hold_of, keep_of, plan_of, quorum_of
from hlspub.pipeline.playlists import PlaylistReader
from hlspub.pipeline.publish import Publisher
from hlspub.pipeline.receipts import JournalReceipts
from hlspub.pipeline.reclaim import Reclaimer
from hlspub.pipeline.recovering_need import refuse_missing, refuse_older
from hlspub.pipeline.runner import Runner
from hlspub.pipeline.shelf import JournalQueue, Leftovers, LocalBlocks
from hlspub.pipeline.stream import Stream
from hlspub.pipeline.view import View
from hlspub.records import HookJoined, HookLeft, StreamDeclared
from hlspub.spool.publications import FILE_NAME, PublicationLog, PublishedLine
from hlspub.spool.quota import Quota
from hlspub.spool.store import CarStore
from hlspub.targets.base import MovesHeads, Target
from hlspub.telemetry.clock import SystemClock
from hlspub.telemetry.metrics import Metrics
from hlspub.watch.directory import DirectoryWatch
from hlspub.watch.ports import Names

HEADS_S = 10.0  # how long a stop waits for heads that are to move
READERS = 2  # journal connections for the gateway and the couriers


@dataclass(slots=True, eq=False)
class House:
    """What all streams of a process share."""

    config: Config
    journal: Journal
    reads: JournalReads
    spool: CarStore
    store: CarStore
    clock: SystemClock
    metrics: Metrics
    hashing: anyio.CapacityLimiter
    publications: PublicationLog
    couriers: list[Courier]
    runners: dict[str, Runner]
    blocks: LocalBlocks
    view: View
    address: Callable[[], str | None]
    hooks: Hooks
    heads: Heads = field(init=False)
    namers: list[Namer] = field(default_factory=list[Namer])
    _heard: list[list[tuple[str, str]]] = field(default_factory=list[list[tuple[str, str]]])

    def __post_init__(self) -> None:
        self.heads = Heads({}, self._stopped)

    def _stopped(self, stream: str, work: str, why: str) -> None:
        if (runner := self.runners.get(stream)) is not None:
            runner.stream.stopped[work] = why
        self.view.tell()

    def reclaimer(self) -> Reclaimer:
        """Who lets go of what no kept root needs; one a process."""
        stores = (self.store, self.spool)
        return Reclaimer(self.reads, self.journal, stores, self.blocks.block, self.clock, lambda: keep_of(self.config))

    async def announce(self, publication: Publication, settings: str) -> None:
        """Tell of a publication: the append-only file first, then who watches."""
        await anyio.to_thread.run_sync(self.publications.append, PublishedLine.of(publication, settings))
        self.heads.announced(publication, settings, self.config.targets_of(publication.stream))
        self.view.tell()

    def ring_tellers(self) -> None:
        """A root was announced or bound: a name may be moved, hooks be told."""
        for namer in self.namers:
            namer.wake.ring()
        self.hooks.ring()

    async def settle_hooks(self) -> None:
        """Write down who is told of which stream from now on; where a hook stood that is told no more is forgotten."""
        config = self.config
        before = await self.reads.run(JournalReader.hook_streams)
        left = [HookLeft(hook, stream) for hook, stream in before if hook not in config.hooks_of(stream)]
        await self.journal.write([*left, *(one for name in self.runners for one in self._joined(name))])

    def _joined(self, stream: str) -> list[HookJoined]:
        return [HookJoined(hook, stream) for hook in self.config.hooks_of(stream)]

    def named(self, name: str) -> NamedRecord | None:
        """The newest record of a name of this process, by its text."""
        return next((namer.record() for namer in self.namers if namer.name == name), None)

    def ring_couriers(self) -> None:
        """There is something to deliver."""
        for courier in self.couriers:
            courier.wake.ring()

    def confirmed(self, target: str, car: str) -> None:
        """A target keeps a CAR."""
        for runner in self.runners.values():
            runner.stream.confirmed(target, car)
        for heard in self._heard:
            heard.append((target, car))

    async def build(self, name: str) -> Runner:
        """One stream's runner, as the journal remembers it."""
        plan = plan_of(self.config, name)
        couriers = [one for one in self.couriers if one.target.name in self.config.targets_of(name)]
        targets = tuple(courier.target.name for courier in couriers)
        quorum = quorum_of(self.config, name)
        declared = StreamDeclared(name, str(plan.directory), self.clock.now())
        await self.journal.write([declared, *self._joined(name)])

        await self.journal.write(await self.reads.run(unsent, name, targets, self.clock.now()))

        self._heard.append(heard := list[tuple[str, str]]())  # receipts that come while the journal is read
        try:
            known = await self.reads.run(look_up, plan, targets, quorum, now=self.clock.now())
        finally:
            self._heard = [one for one in self._heard if one is not heard]
        stream = Stream(plan, targets, quorum, self.journal.next_session, known.seq)
        stream.published.extend(known.published)
        stream.remember(known.remembered.courses, known.remembered.last, self.clock.monotonic())
        for receipt in heard:
            stream.confirmed(*receipt)
        drop = Leftovers(self.reads, self.spool).drop
        publishing = Room(stream, self.clock, "publishing")
        editor = Editor(self.spool, self.journal, self.clock, self.blocks.read, self.ring_couriers, drop, publishing)
        archiving = Archiving(self.reads, self.blocks.read)
        intake = Intake(
            stream,
            self.spool,
            self.journal,
            self.clock,
            self.metrics,
            self.hashing,
            self.ring_couriers,
            drop,
            Room(stream, self.clock, "intake"),
            PlaylistReader(stream, self.spool),
            archiving,
        )
        watch = DirectoryWatch(
            plan.directory,
            stream,
            intake,
            clock=self.clock,
            names=Names(is_temporary, lambda path: classify(path) is FileKind.PLAYLIST, rendition_of),
            notify=notices(name, self.metrics),
            mode=self.config.stream[name.partition("/")[0]].watch,
            settle_s=plan.settle_s,
            rescan_s=plan.rescan_s,
        )
        intake.watcher = watch
        ending = Ending(stream, intake, watch, editor, self.journal, self.clock, self.metrics, archiving)
        queue = JournalQueue(self.reads)
        told = (self.heads.bound, self.ring_tellers)
        binder = Binder(name, quorum, couriers, queue, self.journal, self.clock, self.metrics, *told)
        binder.remember(known.roots, known.bound, known.mark)
        publisher = Publisher(
            stream,
            self.spool,
            self.journal,
            self.clock,
            self.metrics,
            binder,
            self,
            ending.finalise,
            Passing(stream, self.journal, self.clock).step,
            self.ring_couriers,
            publishing,
        )
        gaps = Gaps(stream, editor, self.clock, self.metrics)
        return Runner(stream, watch, intake, publisher, ending, gaps)


async def with_house(
    config: Config,
    clock: SystemClock,
    metrics: Metrics,
    address: Callable[[], str | None],
    use: Callable[[House], Awaitable[None]],
    *,
    targets: Callable[[Config, Parts], Sequence[Target]] = build_targets,
) -> None:
    """Open the data directory, build what all streams share, use it, and close in the right order."""
    data_dir = config.data_dir
    spool = CarStore(data_dir / "spool", quota=(quota := Quota(config.limits.spool_size)))
    store = CarStore(data_dir / "local")
    metrics.spool_is(lambda: quota.used)
    await anyio.to_thread.run_sync(spool.prepare)
    await anyio.to_thread.run_sync(store.prepare)
    await anyio.to_thread.run_sync(refuse_missing, data_dir)
    journal = await Journal.open(data_dir / JOURNAL_NAME, on_event=journal_said)
    reads = JournalReads(data_dir / JOURNAL_NAME, threads=READERS)
    runners: dict[str, Runner] = {}
    couriers: list[Courier] = []
    hooks = Hooks(reads, clock, metrics)
    view = View(runners, couriers, reads, clock, address, hooks)
    house = House(
        config,
        journal,
        reads,
        spool,
        store,
        clock,
        metrics,
        anyio.CapacityLimiter(config.limits.hash_threads),
        PublicationLog(data_dir / FILE_NAME),
        couriers,
        runners,
        LocalBlocks(reads, (store, spool)),
        view,
        address,
        hooks,
        view.namers,
    )
    parts = Parts(
        config.limits.delivery_concurrency, os.environ, spool, store, house.blocks.get, partial(JournalReceipts, reads)
    )
    built = targets(config, parts)
    fetcher = Fetcher(reads, spool, store, built)
    for target in built:
        metrics.add_target(target.name)
        couriers.append(
            Courier(
                target,
                JournalQueue(reads),
                journal,
                clock,
                metrics,
                house.confirmed,
                Leftovers(reads, spool).drop,
                config.waited_for(),
                lambda: hold_of(house.config),
                partial(fetcher.fetch, but=target.name),
            )
        )
    house.heads = Heads(_moves(couriers), house.heads.stopped)
    try:
        await reads.run(refuse_older, data_dir)
        await Leftovers(reads, spool).sweep()
        for line in await anyio.to_thread.run_sync(house.publications.newest):
            house.heads.announced(line.publication(), line.settings)  # a crash may have come before the head moved
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(house.heads.run)
            await use(house)
            await house.heads.settle(HEADS_S)
            tasks.cancel_scope.cancel()
    finally:
        for courier in couriers:
            await courier.target.aclose()
        for namer in house.namers:
            await namer.aclose()
        await hooks.aclose()
        await journal.close()
        reads.close()


def _moves(couriers: Sequence[Courier]) -> dict[str, Move]:
    targets = [courier.target for courier in couriers if courier.target.capabilities.heads]
    return {target.name: cast("MovesHeads", target).move_head for target in targets}
