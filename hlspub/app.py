"""The composition root: the only place that builds the object graph.

`run` is the daemon; `publish` one finished directory through the same pipeline, without gateway and signals. Both own the
data directory while they run.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskStatus

from hlspub import __version__
from hlspub.building import read_again
from hlspub.config.change import diff, without_restart
from hlspub.config.load import load
from hlspub.config.model import Config
from hlspub.config.model import Stream as ConfiguredStream
from hlspub.config.places import SOCKET_NAME
from hlspub.daemon import Commands, Daemon
from hlspub.errors import ExitCode, PermissionRefused, StorageError, one_error
from hlspub.gateway.app import Gateway
from hlspub.gateway.control import serve_control
from hlspub.gateway.serve import serve
from hlspub.hooking import build_tellers
from hlspub.house import House, with_house
from hlspub.journal.lock import InstanceLock
from hlspub.naming import build_namers
from hlspub.pipeline.layouts import Discovery, Flat, Nested, unfinished
from hlspub.pipeline.once import Progress, publish_once
from hlspub.pipeline.plans import plan_of
from hlspub.pipeline.shelf import JournalQueue
from hlspub.spool.disk import make_folder
from hlspub.telemetry.clock import SystemClock
from hlspub.telemetry.log import configure
from hlspub.telemetry.metrics import Metrics
from hlspub.telemetry.systemd import Notifier, watchdog_interval_s

LEFT = 130  # exit code of a daemon that was told twice to stop


log = structlog.get_logger()


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
            await settle_asides(house)
            await house.settle_hooks()
            daemons.append(daemon_of(house, config_path, notifier, address))
            await daemons[0].run()

        await with_house(config, clock, metrics, lambda: address[0], use)
    return LEFT if daemons[0].left else ExitCode.OK


async def settle_asides(house: House) -> None:
    """Build what runs beside the streams: names and hooks.

    Raises:
        ConfigError, InputError, PermissionRefused, IpnsError: a key or secret is not there, or is none.
    """
    house.namers += await anyio.to_thread.run_sync(build_namers, house, os.environ)
    tellers = await anyio.to_thread.run_sync(build_tellers, house, house.config, os.environ)
    await house.hooks.replace(tellers)


async def say_last_words(house: House) -> None:
    """Move names and tell hooks once more; what they do not take now, the next start sends."""
    async with anyio.create_task_group() as tasks:
        for one in (*house.namers, house.hooks):
            tasks.start_soon(one.drain)


async def reload(house: House, path: Path | None, daemon: Daemon) -> None:
    """Read the configuration again; what needs a restart says so and keeps its old value.

    Targets that failed are tried at once, with the proofs that are there now.
    """
    new = await anyio.to_thread.run_sync(load, path, os.environ)
    change = diff(house.config, new)
    for kept in change.restart:
        log.warning("config.kept", key=kept.key, hint="This key takes effect at the next start.")
    if change.targets_added or change.targets_removed:
        log.warning(
            "config.kept",
            key="target",
            targets=[*change.targets_added, *change.targets_removed],
            hint="Targets are added and removed at the next start.",
        )
    config = without_restart(house.config, new).model_copy(update={"target": house.config.target})
    # What is wrong with proofs or secrets is found before anything changes.
    targets = [courier.target for courier in house.couriers]
    renewals = await anyio.to_thread.run_sync(read_again, config, targets, os.environ)
    tellers = await anyio.to_thread.run_sync(build_tellers, house, config, os.environ)
    house.config = config
    configure(config.log_format, config.log_level)
    house.hashing.total_tokens = config.limits.hash_threads
    house.spool.limit(config.limits.spool_size)
    daemon.drain_timeout_s = config.limits.drain_timeout
    for name in change.streams_removed:
        daemon.leave(name)
    for name, runner in house.runners.items():
        runner.stream.replan(plan_of(config, name))
    for name in change.streams_added:
        await daemon.follow(name)
    for renew in renewals:
        renew()
    for courier in house.couriers:
        await courier.try_now()
    await house.hooks.replace(tellers)
    await house.settle_hooks()
    log.info(
        "config.reloaded",
        added=change.streams_added,
        removed=change.streams_removed,
        at_once=[one.key for one in change.at_once],
        next_session=[one.key for one in change.next_session],
    )


async def discovery_of(house: House, daemon: Daemon, table: str) -> Discovery | None:
    """What finds the streams of a table and has followed those that are there; None where the table is the stream."""
    stream = house.config.stream[table]
    if stream.layout == "single":
        return None
    longest = house.config.limits.playlist_size
    finder = Nested(stream.path) if stream.layout == "nested" else Flat(stream.path, stream.idle, longest)

    def is_over(name: str) -> bool:
        runner = daemon.runners.get(name)
        return stream.layout == "nested" and runner is not None and runner.is_over()

    discovery = Discovery(table, finder, house.clock, daemon.start_stream, daemon.stop_stream, is_over)
    await discovery.begin(await house.reads.run(unfinished, table, house.config.targets_of(table)))
    return discovery


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
            names=house.named,
        )

        def started(url: str) -> None:
            address[0] = url
            task_status.started(url)

        await serve(gateway, config.gateway.listen, started=started)

    async def serve_commands(task_status: TaskStatus[None]) -> None:
        await serve_control(config.data_dir / SOCKET_NAME, Commands(daemon), started=task_status.started)

    daemon = Daemon(
        names=list(config.stream),
        build=house.build,
        discover=partial(discovery_of, house),
        reload=lambda running: reload(house, config_path, running),
        serve=serve_gateway,
        control=serve_commands,
        journal=house.journal,
        queue=JournalQueue(house.reads),
        couriers=house.couriers,
        reclaimer=house.reclaimer(),
        runners=house.runners,
        view=house.view,
        metrics=house.metrics,
        notifier=notifier,
        clock=house.clock,
        watchdog_s=watchdog_interval_s(os.environ, os.getpid()),
        drain_timeout_s=config.limits.drain_timeout,
        aside=[*house.namers, house.hooks],
    )
    return daemon


def prepare_data_dir(data_dir: Path) -> None:
    """Make the data directory, for its owner alone, and so that a power cut leaves it.

    Raises:
        PermissionRefused, StorageError: it cannot be made.
    """
    try:
        make_folder(data_dir, mode=0o700)
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
    once = stream.model_copy(
        update={
            "path": directory.absolute(),
            "publish_interval": None,
            "end_on": (),
            "layout": "single",
            "rotate": None,
        }
    )
    with one_error():
        return anyio.run(_publish, config.model_copy(update={"stream": {name: once}}), name, progress)


async def _publish(config: Config, name: str, progress: Callable[[Progress], None]) -> dict[str, object]:
    clock = SystemClock()
    prepare_data_dir(config.data_dir)
    answers: list[dict[str, object]] = []
    with InstanceLock(config.data_dir, clock.now()):

        async def use(house: House) -> None:
            await settle_asides(house)
            runner = house.runners[name] = await house.build(name)
            if runner.stream.course is None:
                runner.stream.last = None  # read everything anew: what is there now is what is published
            async with anyio.create_task_group() as asides:
                for one in (*house.namers, house.hooks):
                    asides.start_soon(one.run)
                answers.append(await publish_once(runner, house.couriers, config.limits.drain_timeout, progress))
                await say_last_words(house)  # the workers go on meanwhile: what they tell just now is told once
                asides.cancel_scope.cancel()
            told = await house.view.status()
            answers[0] |= {"names": told["names"], "hooks": told["hooks"]}

        await with_house(config, clock, Metrics(__version__), lambda: None, use)
    return answers[0]
