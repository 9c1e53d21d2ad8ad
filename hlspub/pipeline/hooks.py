"""Hooks: telling others of publications, each hook by a worker of its own that holds nobody back.

Rule: a hook is told of every publication of each stream that it follows, in the order of their seq, at least once: what was
taken is written down afterwards (`HookTold`), so a crash in between tells it again, under the same id. The journal is the
queue: a worker keeps nothing but how long to leave a stream alone, so a hook that is away for a week costs no memory.
Publications whose roots nobody keeps any more are passed over, and so is one that was tried and is older than `give_up_s`;
both are said with their number (`hook.skipped`).

One message is under way at a hook at a time. One that is not taken is tried again (`engine.schedule`), and the next of its
stream waits for it; those of other streams do not. `hook.degraded` and `hook.recovered` are said by `engine.voice`. A hook that
wants no more messages (`hook.gone`) is left alone until the next start or reload.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio
import structlog

from hlspub.engine.schedule import retry_after
from hlspub.engine.voice import Voice
from hlspub.errors import TargetError
from hlspub.hooks.base import Hook
from hlspub.hooks.message import Message
from hlspub.journal.reader import JournalReader, JournalReads
from hlspub.journal.telling import Untold
from hlspub.model import Clock
from hlspub.pipeline.ports import Writer
from hlspub.pipeline.wake import Wake
from hlspub.records import HookTold
from hlspub.telemetry.metrics import Metrics

LAST_WORD_S = 10.0  # how long a stop waits for hooks; the next start tells what they lack
LOOK_S = 30.0  # how often the journal is looked at, whatever rang or did not
MEASURE_S = 5.0

log = structlog.get_logger()


Backoff = Callable[[int, float], float]
"""Seconds until the next try, after so many failed ones; the other side asked for that many at least."""


def backoff(failures: int, asked_s: float) -> float:
    """As for targets."""
    return retry_after(failures, random.random(), asked_s=asked_s)  # noqa: S311 -- spreads retries


@dataclass(slots=True)
class _Line:
    """How one stream does at a hook; `resume_at` by the monotonic clock."""

    failures: int = 0
    resume_at: float = 0.0
    reason: str = ""


@dataclass(slots=True, eq=False)
class Teller:
    """Tells one hook; see the module's rule."""

    hook: Hook
    timeout_s: float
    give_up_s: float
    reads: JournalReads
    journal: Writer
    clock: Clock
    metrics: Metrics
    backoff: Backoff = backoff
    last_word_s: float = LAST_WORD_S
    wake: Wake = field(default_factory=Wake)  # a root was announced
    gone: str = ""  # why it is told nothing more
    _rest_until: float = 0.0  # what the other side asked for, by the monotonic clock
    _lines: dict[str, _Line] = field(default_factory=dict[str, _Line])  # of streams whose last try failed
    _voice: Voice = field(default_factory=Voice)
    _one_at_a_time: anyio.Lock = field(default_factory=anyio.Lock)

    async def run(self) -> None:
        """Tell what is due until cancelled."""
        while True:
            await self.wake.wait(await self._tell_due())

    async def drain(self) -> None:
        """The last word of a stop: tell what waits, each stream until its first failure; returns soon."""
        with anyio.move_on_after(self.last_word_s):
            async with self._one_at_a_time:
                failed = set[str]()
                while due := [one for one in await self._untold() if one.publication.stream not in failed]:
                    failed |= {one.publication.stream for one in due if not await self._tell(one)}

    async def _tell_due(self) -> float:
        """Tell what may be told now; returns when to look again, in seconds."""
        async with self._one_at_a_time:
            while True:
                now = self.clock.monotonic()
                waits = [(self._due_at(one) - now, one) for one in await self._untold()]
                if not any(wait_s <= 0 for wait_s, _ in waits):
                    return min([LOOK_S, *(wait_s for wait_s, _ in waits)])
                for _, one in waits:
                    if self._due_at(one) <= self.clock.monotonic():
                        await self._tell(one)

    async def _untold(self) -> Sequence[Untold]:
        return [] if self.gone else await self.reads.run(JournalReader.untold, self.hook.name)

    def _due_at(self, untold: Untold) -> float:
        line = self._lines.get(untold.publication.stream)
        return max(self._rest_until, line.resume_at if line else 0.0)

    async def _tell(self, untold: Untold) -> bool:
        """Tell one publication; whether it was taken."""
        name, publication = self.hook.name, untold.publication
        if self.gone:
            return False
        if untold.passed:
            await self._pass_over(
                publication.stream, publication.seq - 1, untold.passed, "their roots are not kept any more"
            )
        try:
            with anyio.fail_after(self.timeout_s):
                await self.hook.tell(Message.of(publication))
        except TimeoutError:
            await self._failed(untold, TargetError(f"no end within {self.timeout_s:g} s", retry_s=0.0))
            return False
        except TargetError as why:
            await self._failed(untold, why)
            return False
        now = self.clock.now()
        await self.journal.write([HookTold(name, publication.stream, publication.seq, now)])
        self.metrics.hook_told(name, at=now)
        self._lines.pop(publication.stream, None)
        log.debug("hook.told", hook=name, stream=publication.stream, seq=publication.seq)
        if not self._lines and self._voice.ends(now):
            log.info("hook.recovered", hook=name)
        return True

    async def _failed(self, untold: Untold, why: TargetError) -> None:
        name, publication, now = self.hook.name, untold.publication, self.clock.now()
        self.metrics.hook_failed(name)
        if why.retry_s is None:
            self.gone = str(why)
            log.error("hook.gone", hook=name, reason=self.gone, hint=why.hint)
            return
        line = self._lines.setdefault(publication.stream, _Line())
        line.failures += 1
        line.reason = str(why)
        wait_s = self.backoff(line.failures, why.retry_s)
        line.resume_at = self.clock.monotonic() + wait_s
        if why.retry_s:
            self._rest_until = self.clock.monotonic() + why.retry_s
        if now - publication.published_at >= self.give_up_s:
            reason = f"not taken within {self.give_up_s:g} s: {line.reason}"
            await self._pass_over(publication.stream, publication.seq, 1, reason)
        elif self._voice.speaks(line.reason, now):
            log.warning(
                "hook.degraded",
                hook=name,
                stream=publication.stream,
                seq=publication.seq,
                reason=line.reason,
                retry_in_s=round(wait_s, 1),
                lasts_s=round(self._voice.lasts_s(now)),
                hint=why.hint,
            )

    async def _pass_over(self, stream: str, seq: int, count: int, reason: str) -> None:
        """Said first, then written down: a crash in between says it again."""
        log.warning("hook.skipped", hook=self.hook.name, stream=stream, count=count, last_seq=seq, reason=reason)
        await self.journal.write([HookTold(self.hook.name, stream, seq, None)])
        self.metrics.hook_skipped(self.hook.name, count)

    def status(self) -> dict[str, object]:
        """What `hlspub status` says beside the journal's answer; no "state" where that is right."""
        told: dict[str, object] = {"name": self.hook.name, "kind": self.hook.kind}
        if self.gone:
            return told | {"state": "gone", "error": self.gone}
        failing = [line for line in self._lines.values() if line.failures]
        if not failing:
            return told
        due_at = max(self._rest_until, min(line.resume_at for line in failing))
        wait_s = max(0.0, due_at - self.clock.monotonic())
        return told | {"state": "degraded", "error": failing[-1].reason, "next_try_in_seconds": wait_s}


@dataclass(slots=True, eq=False)
class Hooks:
    """The hooks of a process; at a reload all are replaced."""

    reads: JournalReads
    clock: Clock
    metrics: Metrics
    tellers: Sequence[Teller] = ()
    _running: anyio.CancelScope | None = None
    _stopped: anyio.Event = field(default_factory=anyio.Event)
    _go_on: anyio.Event = field(default_factory=anyio.Event)

    def ring(self) -> None:
        """A root was announced."""
        for teller in self.tellers:
            teller.wake.ring()

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            try:
                with anyio.CancelScope() as self._running:
                    await self._tell()
            finally:
                self._running = None
                self._stopped.set()
            await self._go_on.wait()

    async def _tell(self) -> None:
        async with anyio.create_task_group() as tasks:
            for teller in self.tellers:
                self.metrics.add_hook(teller.hook.name)
                tasks.start_soon(teller.run)
            tasks.start_soon(self._measure)

    async def drain(self) -> None:
        """The last word of a stop."""
        async with anyio.create_task_group() as tasks:
            for teller in self.tellers:
                tasks.start_soon(teller.drain)

    async def replace(self, tellers: Sequence[Teller]) -> None:
        """Go on with these. Where a hook was told is in the journal; a message under way is told again."""
        self._stopped, self._go_on = anyio.Event(), anyio.Event()
        if self._running is not None:
            self._running.cancel()
            await self._stopped.wait()
        await self.aclose()
        self.tellers = tellers
        self._go_on.set()

    async def aclose(self) -> None:
        """Let go of connections."""
        for teller in self.tellers:
            await teller.hook.aclose()

    async def _measure(self) -> None:
        while True:
            waiting = {one.name: one for one in await self.reads.run(JournalReader.hooks)}
            for teller in self.tellers:
                one, now = waiting.get(teller.hook.name), self.clock.now()
                oldest_s = 0.0 if one is None or one.oldest_at is None else max(0.0, now - one.oldest_at)
                self.metrics.set_hook_backlog(teller.hook.name, pending=one.pending if one else 0, oldest_s=oldest_s)
            await anyio.sleep(MEASURE_S)
