"""The composition root: the only place that builds the object graph.

`run` is the daemon; `publish` one finished directory through the same pipeline, without gateway and signals. Both own the
data directory while they run.
"""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskStatus

from hlspub import __version__
from hlspub.config.change import diff, without_restart
from hlspub.config.load import load
from hlspub.config.model import Config
from hlspub.config.model import Stream as ConfiguredStream
from hlspub.config.places import JOURNAL_NAME, SOCKET_NAME
from hlspub.daemon import Daemon
from hlspub.errors import ExitCode, PermissionRefused, StorageError, one_error
from hlspub.gateway.app import Gateway
from hlspub.gateway.control import serve_control
from hlspub.gateway.serve import serve
from hlspub.hls.classify import classify, is_temporary, rendition_of
from hlspub.journal.journal import Journal
from hlspub.journal.lock import InstanceLock
from hlspub.journal.reader import JournalReader, JournalReads
from hlspub.model import FileKind, Publication
from hlspub.pipeline.deliver import Courier
from hlspub.pipeline.edits import Editor
from hlspub.pipeline.ending import Ending
from hlspub.pipeline.gaps import Gaps
from hlspub.pipeline.intake import Intake
from hlspub.pipeline.notices import journal_said, notices
from hlspub.pipeline.once import Progress, publish_once
from hlspub.pipeline.plans import plan_of, quorum_of
from hlspub.pipeline.publish import Publisher
from hlspub.pipeline.reconcile import Remembered, remember
from hlspub.pipeline.runner import Runner
from hlspub.pipeline.shelf import JournalQueue, Leftovers, LocalBlocks
from hlspub.pipeline.stream import Stream
from hlspub.pipeline.view import View
from hlspub.records import StreamDeclared
from hlspub.spool.publications import FILE_NAME, PublicationLog, PublishedLine
from hlspub.spool.store import CarStore
from hlspub.targets.base import Target
from hlspub.targets.local import LocalTarget
from hlspub.telemetry.clock import SystemClock
from hlspub.telemetry.log import configure
from hlspub.telemetry.metrics import Metrics
from hlspub.telemetry.systemd import Notifier, watchdog_interval_s
from hlspub.watch.directory import DirectoryWatch
from hlspub.watch.ports import Names

LEFT = 130  # exit code of a daemon that was told twice to stop
READERS = 2  # journal connections for the gateway and the couriers

log = structlog.get_logger()


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
    _heard: list[list[tuple[str, str]]] = field(default_factory=list[list[tuple[str, str]]])

    async def announce(self, publication: Publication, settings: str) -> None:
        """Tell of a publication: the append-only file first, then who watches."""
        await anyio.to_thread.run_sync(self.publications.append, PublishedLine.of(publication, settings))
        self.view.tell()

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
        targets = tuple(courier.target.name for courier in self.couriers)
        quorum = quorum_of(self.config)
        await self.journal.write([StreamDeclared(name, str(plan.directory), self.clock.now())])

        def look_up(reader: JournalReader) -> tuple[Remembered, list[Publication], int]:
            since = self.clock.now() - plan.keep_roots_s
            labels = {saved.id: saved.label for saved in reader.sessions(name)}
            kept = [
                Publication(
                    name,
                    labels[r.session],
                    r.seq or 0,
                    r.root,
                    r.entry,
                    r.final,
                    r.announced_at or 0.0,
                    r.latency_s or 0.0,
                )
                for r in reader.kept_roots(name, since)
            ]
            return (
                remember(reader, name, targets, quorum, entry=plan.tree.entry, now=self.clock.now()),
                kept,
                reader.last_seq(name),
            )

        heard: list[tuple[str, str]] = []  # receipts that come while the journal is read: it may not have them yet
        self._heard.append(heard)
        try:
            remembered, published, seq = await self.reads.run(look_up)
        finally:
            self._heard = [one for one in self._heard if one is not heard]
        stream = Stream(plan, targets, quorum, self.journal.next_session, seq)
        stream.published.extend(published)
        stream.remember(remembered.courses, remembered.last)
        for receipt in heard:
            stream.confirmed(*receipt)
        editor = Editor(self.spool, self.journal, self.clock, self.blocks.read, self.ring_couriers)
        intake = Intake(
            stream,
            self.spool,
            self.journal,
            self.clock,
            self.metrics,
            self.hashing,
            self.ring_couriers,
            Leftovers(self.reads, self.spool).drop,
        )
        watch = DirectoryWatch(
            plan.directory,
            stream,
            intake,
            clock=self.clock,
            names=Names(is_temporary, lambda path: classify(path) is FileKind.PLAYLIST, rendition_of),
            notify=notices(name, self.metrics),
            mode=self.config.stream[name].watch,
            settle_s=plan.settle_s,
            rescan_s=plan.rescan_s,
        )
        intake.watcher = watch
        ending = Ending(stream, intake, watch, editor, self.journal, self.clock, self.metrics)
        publisher = Publisher(
            stream, self.spool, self.journal, self.clock, self.metrics, self.couriers, self, ending.finalise
        )
        gaps = Gaps(stream, editor, self.clock, self.metrics)
        return Runner(stream, watch, intake, publisher, ending, gaps)

    async def reload(self, path: Path | None, daemon: Daemon) -> None:
        """Read the configuration again; what needs a restart says so and keeps its old value."""
        new = await anyio.to_thread.run_sync(load, path, os.environ)
        change = diff(self.config, new)
        for kept in change.restart:
            log.warning("config.kept", key=kept.key, hint="This key takes effect at the next start.")
        if change.targets_added or change.targets_removed:
            log.warning(
                "config.kept",
                key="target",
                targets=[*change.targets_added, *change.targets_removed],
                hint="Targets are added and removed at the next start.",
            )
        config = without_restart(self.config, new).model_copy(update={"target": self.config.target})
        self.config = config
        configure(config.log_format, config.log_level)
        self.hashing.total_tokens = config.limits.hash_threads
        daemon.drain_timeout_s = config.limits.drain_timeout
        for name in change.streams_removed:
            daemon.stop_stream(name)
        for name, runner in self.runners.items():
            runner.stream.replan(plan_of(config, name))
        for name in change.streams_added:
            await daemon.start_stream(name)
        log.info(
            "config.reloaded",
            added=change.streams_added,
            removed=change.streams_removed,
            at_once=[one.key for one in change.at_once],
            next_session=[one.key for one in change.next_session],
        )


def run(config: Config, config_path: Path | None) -> int:
    """The daemon; returns its exit code."""
    configure(config.log_format, config.log_level)
    with one_error():
        return anyio.run(_run, config, config_path)


async def _run(config: Config, config_path: Path | None) -> int:
    clock, notifier = SystemClock(), Notifier.from_environ(os.environ)
    prepare_data_dir(config.data_dir)
    with InstanceLock(config.data_dir, clock.now()), notifier:
        metrics = Metrics(__version__)
        address: list[str | None] = [None]

        daemons: list[Daemon] = []

        async def use(house: House) -> None:
            daemons.append(daemon_of(house, config_path, notifier, address))
            await daemons[0].run()

        await with_house(config, clock, metrics, lambda: address[0], use)
    return LEFT if daemons[0].left else ExitCode.OK


def daemon_of(house: House, config_path: Path | None, notifier: Notifier, address: list[str | None]) -> Daemon:
    """The daemon around a house."""
    config = house.config

    async def serve_gateway(task_status: TaskStatus[str | None]) -> None:
        if config.gateway.listen is None:
            task_status.started(None)
            return
        gateway = Gateway(
            blocks=house.blocks,
            streams=house.view,
            health=daemon,
            metrics=house.metrics.render,
            observe=house.metrics.gateway_responded,
            clock=house.clock,
        )

        def started(url: str) -> None:
            address[0] = url
            task_status.started(url)

        await serve(gateway, config.gateway.listen, started=started)

    async def serve_commands(task_status: TaskStatus[None]) -> None:
        commands = Commands(house.view, daemon)
        await serve_control(config.data_dir / SOCKET_NAME, commands, started=task_status.started)

    daemon = Daemon(
        names=list(config.stream),
        build=house.build,
        reload=lambda running: house.reload(config_path, running),
        serve=serve_gateway,
        control=serve_commands,
        journal=house.journal,
        queue=JournalQueue(house.reads),
        couriers=house.couriers,
        runners=house.runners,
        view=house.view,
        metrics=house.metrics,
        notifier=notifier,
        clock=house.clock,
        watchdog_s=watchdog_interval_s(os.environ, os.getpid()),
        drain_timeout_s=config.limits.drain_timeout,
    )
    return daemon


@dataclass(frozen=True, slots=True)
class Commands:
    """What the control socket offers."""

    view: View
    daemon: Daemon

    async def status(self) -> dict[str, object]:
        """The answer to `hlspub status`."""
        return await self.view.status()

    async def end(self, stream: str, wait_s: float) -> dict[str, object]:
        """End a stream's session."""
        return await self.daemon.end(stream, wait_s)


def targets_of(config: Config, spool: CarStore, store: CarStore) -> Sequence[Target]:
    """The configured targets, by their kind."""

    def adopt(key: str) -> None:
        store.adopt(key, spool)

    return [LocalTarget(name, store, adopt, config.limits.delivery_concurrency) for name in config.target]


async def with_house(
    config: Config,
    clock: SystemClock,
    metrics: Metrics,
    address: Callable[[], str | None],
    use: Callable[[House], Awaitable[None]],
    *,
    targets: Callable[[Config, CarStore, CarStore], Sequence[Target]] = targets_of,
) -> None:
    """Open the data directory, build what all streams share, use it, and close in the right order."""
    data_dir = config.data_dir
    spool, store = CarStore(data_dir / "spool"), CarStore(data_dir / "local")
    await anyio.to_thread.run_sync(spool.prepare)
    await anyio.to_thread.run_sync(store.prepare)
    journal = await Journal.open(data_dir / JOURNAL_NAME, on_event=journal_said)
    reads = JournalReads(data_dir / JOURNAL_NAME, threads=READERS)
    runners: dict[str, Runner] = {}
    couriers: list[Courier] = []
    view = View(runners, couriers, reads, clock, address)
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
    )
    for target in targets(config, spool, store):
        metrics.add_target(target.name)
        couriers.append(
            Courier(
                target,
                JournalQueue(reads),
                journal,
                clock,
                metrics,
                house.confirmed,
                spool.remove,
                frozenset(config.required_targets()),
            )
        )
    try:
        await Leftovers(reads, spool).sweep()
        await use(house)
    finally:
        await journal.close()
        reads.close()


def prepare_data_dir(data_dir: Path) -> None:
    """Make the data directory, for its owner alone.

    Raises:
        PermissionRefused, StorageError: it cannot be made.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except PermissionError as why:
        raise PermissionRefused(
            f"data_dir {data_dir} cannot be made: {why.strerror}", hint="Make it for this user, or change data_dir."
        ) from why
    except OSError as why:
        raise StorageError(f"data_dir {data_dir} cannot be made: {why.strerror}", hint="Change data_dir.") from why


def publish(directory: Path, config: Config, *, name: str, progress: Callable[[Progress], None]) -> dict[str, object]:
    """One finished directory, once; returns the answer of `hlspub publish`."""
    configure(config.log_format, "warning")
    stream = config.stream.get(name) or ConfiguredStream(path=directory.absolute())
    once = stream.model_copy(update={"path": directory.absolute(), "publish_interval": None, "end_on": ()})
    with one_error():
        return anyio.run(_publish, config.model_copy(update={"stream": {name: once}}), name, progress)


async def _publish(config: Config, name: str, progress: Callable[[Progress], None]) -> dict[str, object]:
    clock = SystemClock()
    prepare_data_dir(config.data_dir)
    answers: list[dict[str, object]] = []
    with InstanceLock(config.data_dir, clock.now()):

        async def use(house: House) -> None:
            runner = house.runners[name] = await house.build(name)
            if runner.stream.course is None:
                runner.stream.last = None  # read everything anew: what is there now is what is published
            answers.append(await publish_once(runner, house.couriers, config.limits.drain_timeout, progress))

        await with_house(config, clock, Metrics(__version__), lambda: None, use)
    return answers[0]
