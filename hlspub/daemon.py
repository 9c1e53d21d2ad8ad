"""The daemon: start in order, supervise, obey signals, drain, stop.

Order of a start: journal and targets (built by `app`), the streams' first scans, the gateway, the control socket; only then
READY. A failure of code ends the process (70) and the journal makes that safe; what is expected to fail has become a state
in its worker long before it gets here.

    SIGTERM, SIGINT   once: take what is finished, one ordinary root, drain, exit 0; sessions stay open. Twice: leave at once.
    SIGUSR1           end all running sessions and publish their final roots
    SIGHUP            read the configuration again, and try targets that failed at once

The watchdog is pinged only while the loop runs, the journal's thread answers and every watcher lives: a ping from a timer
would prove nothing.
"""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import anyio
import structlog
from anyio.abc import TaskGroup, TaskStatus

from hlspub.engine.life import Event
from hlspub.errors import HlspubError, InputError
from hlspub.journal.journal import Journal
from hlspub.model import Clock
from hlspub.pipeline.deliver import Courier
from hlspub.pipeline.layouts import Discovery
from hlspub.pipeline.reclaim import Reclaimer
from hlspub.pipeline.runner import Runner
from hlspub.pipeline.shelf import JournalQueue
from hlspub.pipeline.view import View
from hlspub.telemetry.metrics import Metrics
from hlspub.telemetry.systemd import Notifier

LOOK_S = 0.1  # how often a drain looks whether the queues are empty
PULSE_S = 1.0  # how often the loop's lag and the backlogs are measured
EXTEND_S = 10.0  # what a drain asks the service manager for, each time it looks back on progress

log = structlog.get_logger()


class Aside(Protocol):
    """What runs beside the streams and holds none of them back: names."""

    async def run(self) -> None:
        """Work until cancelled."""
        ...

    async def drain(self) -> None:
        """The last word of a stop; returns soon, whatever happens."""
        ...


@dataclass(slots=True, eq=False)
class Daemon:
    """See the module's text.

    `names` are tables of the configuration; `discover` makes what finds a table's streams, None where the table is the stream.
    `build` makes the runner of a stream; `reload` reads the configuration and says what changed; `serve` is the gateway,
    which starts with None when it is off, and `control` the control socket.
    """

    names: Sequence[str]
    build: Callable[[str], Awaitable[Runner]]
    discover: Callable[["Daemon", str], Awaitable[Discovery | None]]
    reload: Callable[["Daemon"], Awaitable[None]]
    serve: Callable[[TaskStatus[str | None]], Awaitable[None]]
    control: Callable[[TaskStatus[None]], Awaitable[None]]
    journal: Journal
    queue: JournalQueue
    couriers: Sequence[Courier]
    reclaimer: Reclaimer
    runners: dict[str, Runner]
    view: View
    metrics: Metrics
    notifier: Notifier
    clock: Clock
    watchdog_s: float | None
    drain_timeout_s: float
    aside: Sequence[Aside] = ()
    address: str | None = None
    reasons: list[str] = field(default_factory=list[str])  # why the process is not alive, empty: it is
    started: bool = False
    left: bool = False  # told twice to stop, so the drain was cut short
    _tasks: TaskGroup | None = None
    _scopes: dict[str, anyio.CancelScope] = field(default_factory=dict[str, anyio.CancelScope])

    async def run(self) -> None:
        """Run until told to stop."""
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP) as signals:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                for courier in self.couriers:
                    tasks.start_soon(courier.run)
                for one in self.aside:
                    tasks.start_soon(one.run)
                tasks.start_soon(self._obey, signals)  # from here on a stop is heard
                for table in self.names:
                    await self.follow(table)
                self.address = await tasks.start(self._serve)
                await tasks.start(self._control)
                tasks.start_soon(self._pulse)
                tasks.start_soon(self._prove_alive)
                tasks.start_soon(self.reclaimer.run)
                self.started = True
                self.notifier.ready(self._line())
                log.info("daemon.ready", gateway=self.address, streams=list(self.runners))

    # streams

    async def follow(self, table: str) -> None:
        """Follow what a table of the configuration names; returns after the first look and the first scans."""
        assert self._tasks is not None  # noqa: S101 -- only while running
        discovery = await self.discover(self, table)
        if discovery is None:
            await self.start_stream(table)
            return
        self._scopes[f"{table}/"] = scope = anyio.CancelScope()

        async def scoped() -> None:
            with scope:
                await discovery.run()

        self._tasks.start_soon(scoped)

    def leave(self, table: str) -> None:
        """Follow nothing any more that the table names."""
        if (scope := self._scopes.pop(f"{table}/", None)) is not None:
            scope.cancel()
        for name in [name for name in self.runners if name.partition("/")[0] == table]:
            self.stop_stream(name)

    async def start_stream(self, name: str) -> None:
        """Build a stream's runner and follow its directory; returns after its first scan."""
        assert self._tasks is not None  # noqa: S101 -- only while running
        runner = self.runners[name] = await self.build(name)
        self.metrics.add_stream(name)

        async def scoped(*, task_status: TaskStatus[None]) -> None:
            with anyio.CancelScope() as scope:
                self._scopes[name] = scope
                await runner.run(task_status=task_status)

        await self._tasks.start(scoped)
        log.info("stream.followed", stream=name, directory=str(runner.stream.plan.directory))

    def stop_stream(self, name: str) -> None:
        """Stop following a stream; its session stays open in the journal."""
        self._scopes.pop(name).cancel()
        del self.runners[name]
        self.view.tell()
        log.info("stream.left", stream=name)

    # signals

    async def _obey(self, signals: AsyncIterator[signal.Signals]) -> None:
        assert self._tasks is not None  # noqa: S101 -- only while running
        stopping = False
        async for number in signals:
            if number in (signal.SIGTERM, signal.SIGINT):
                if stopping:
                    self.left = True
                    log.warning("daemon.left", reason=f"a second {number.name}")
                    self._tasks.cancel_scope.cancel()
                    return
                stopping = True
                self._tasks.start_soon(self._stop, number.name)
            elif number == signal.SIGUSR1:
                for runner in list(self.runners.values()):
                    if "signal" in runner.stream.plan.end_on:
                        self._tasks.start_soon(runner.end, Event.SIGNAL, None)
            else:
                self._tasks.start_soon(self._reload)

    async def _reload(self) -> None:
        self.notifier.reloading()
        try:
            await self.reload(self)
        except HlspubError as why:
            log.error("config.refused", reason=str(why), hint=why.hint or "The old configuration stays in force.")
        self.notifier.ready(self._line())

    async def _stop(self, reason: str) -> None:
        assert self._tasks is not None  # noqa: S101 -- only while running
        self.notifier.stopping()
        log.info("daemon.stopping", reason=reason, drain_timeout_s=self.drain_timeout_s)
        with anyio.move_on_after(self.drain_timeout_s):
            if self.started:
                await self._drain()
        left = sum([await self.queue.backlog(courier.target.name) for courier in self.couriers])
        log.info("daemon.stopped", undelivered_cars=left)
        self._tasks.cancel_scope.cancel()

    async def _drain(self) -> None:
        async with anyio.create_task_group() as drains:
            for runner in self.runners.values():
                drains.start_soon(runner.drain)
        for courier in self.couriers:
            while left := await self.queue.backlog(courier.target.name):
                self.notifier.extend_timeout(EXTEND_S)
                self.notifier.status(f"stopping: {left} CARs wait for {courier.target.name}")
                await anyio.sleep(LOOK_S)
        async with anyio.create_task_group() as drains:
            for one in self.aside:
                drains.start_soon(one.drain)

    # the gateway's and the control socket's questions

    async def end(self, stream: str, wait_s: float | None) -> dict[str, object]:
        """End a stream's session on request; waits at most `wait_s` seconds for its final root.

        Raises:
            InputError: there is no such stream, or no session to end.
        """
        runner = self.runners.get(stream)
        if runner is None:
            known = ", ".join(self.runners) or "none"
            raise InputError(f"no stream {stream!r}", hint=f"Streams of this daemon: {known}.")
        course, announced = await runner.end(Event.COMMAND, wait_s)
        if course is None:
            raise InputError(f"stream {stream!r} has no session to end", hint="It begins with the next finished file.")
        return {
            "stream": stream,
            "session": course.session.label,
            "root": str(course.announced) if course.announced else None,
            "state": "ended" if announced else "pending",
        }

    def alive(self) -> tuple[bool, Sequence[str]]:
        """Whether loop, journal thread and watchers were proven alive at the last look."""
        return not self.reasons, self.reasons

    def ready(self) -> tuple[bool, Sequence[str]]:
        """Whether the start is over and every target that counts answers."""
        reasons = [] if self.started else ["the first scan is not over"]
        reasons += [
            f"target {courier.target.name}: {courier.reason}"
            for courier in self.couriers
            if courier.reason and courier.target.name in courier.required
        ]
        return not reasons, reasons

    # inside

    async def _serve(self, *, task_status: TaskStatus[str | None]) -> None:
        await self.serve(task_status)

    async def _control(self, *, task_status: TaskStatus[None]) -> None:
        await self.control(task_status)

    async def _pulse(self) -> None:
        """Measure: how late the loop wakes, what waits for the targets."""
        while True:
            due = self.clock.monotonic() + PULSE_S
            await anyio.sleep(PULSE_S)
            self.metrics.set_loop_lag(max(0.0, self.clock.monotonic() - due))
            now = self.clock.now()
            for courier in self.couriers:
                backlog = await self.queue.waiting(courier.target.name)
                self.metrics.set_backlog(
                    courier.target.name,
                    cars=backlog.cars,
                    size_bytes=backlog.bytes,
                    oldest_s=0.0 if backlog.oldest_at is None else now - backlog.oldest_at,
                )
            self.view.tell()

    async def _prove_alive(self) -> None:
        interval_s = min(self.watchdog_s or 10.0, 10.0)
        while True:
            reasons: list[str] = []
            with anyio.move_on_after(interval_s) as scope:
                await self.journal.ping()
            if scope.cancelled_caught:
                reasons.append("the journal's thread does not answer")
            reasons += [
                f"the watcher of {name} does not live" for name, r in self.runners.items() if not r.watch.alive()
            ]
            if reasons and reasons != self.reasons:
                log.error("daemon.unwell", reasons=reasons)
            self.reasons = reasons
            if not reasons:
                self.notifier.watchdog()
                self.notifier.status(self._line())
            await anyio.sleep(interval_s)

    def _line(self) -> str:
        """One line for `systemctl status`."""
        parts: list[str] = []
        for name, runner in self.runners.items():
            stream = runner.stream
            course, newest = stream.course, stream.published[0] if stream.published else None
            state = course.life.value if course else "waiting"
            root = f", root …{str(newest.root)[-6:]} #{newest.seq}" if newest else ""
            parts.append(f"{name}: {state}{root}")
        well = sum(courier.well for courier in self.couriers)
        return f"{'; '.join(parts) or 'no streams'}; {well}/{len(self.couriers)} targets"


@dataclass(frozen=True, slots=True)
class Commands:
    """What the control socket offers."""

    daemon: Daemon

    async def status(self) -> dict[str, object]:
        """The answer to `hlspub status`."""
        return await self.daemon.view.status()

    async def gc(self, *, dry_run: bool) -> dict[str, object]:
        """Let go of what no kept root needs, or tell what would go."""
        return (await self.daemon.reclaimer.reclaim(dry_run=dry_run)).answer()

    async def end(self, stream: str, wait_s: float) -> dict[str, object]:
        """End a stream's session."""
        return await self.daemon.end(stream, wait_s)
