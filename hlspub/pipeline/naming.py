"""Names: one worker a name moves it to the newest root that its readers can get, and sends its record to the routers.

Rule: a name moves only to a root that was announced and that a target which serves its readers has confirmed. The record is
written into the journal, under the next sequence, before anyone sees it; then the gateway has it, and each router is sent the
newest record, one at a time, at most once an `interval_s`. A record that is sent stays sent for `refresh_s`, then it is sent
again, as routers forget; when half of its validity is over a new one is made. A router that fails is left alone for a while and
said aloud (`name.degraded`); it holds nobody back.

Sequences grow by one. The first is the time, in Unix seconds, and no name gets more than one record a second: so also after
the journal was lost none is used twice. Should a router know a newer record still (another signer, a clock that went back),
that is said, and the sequence goes beyond it.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import anyio
import structlog

from hlspub.engine.schedule import retry_after
from hlspub.engine.voice import Voice
from hlspub.errors import IpnsError, TargetError
from hlspub.gateway.ports import NamedRecord
from hlspub.ipld.cid import Cid
from hlspub.ipns.key import Key
from hlspub.ipns.record import NS, Record, read, sign
from hlspub.journal.reader import JournalReader, JournalReads
from hlspub.journal.values import SavedRoot
from hlspub.model import Clock
from hlspub.names.base import PATIENCE_S, NameService
from hlspub.pipeline.ports import Writer
from hlspub.pipeline.wake import Wake
from hlspub.records import NameMoved, NameSent
from hlspub.telemetry.metrics import Metrics

PACE_S = 1.0  # between two records of a name, see the rule
LAST_WORD_S = 10.0  # how long a stop waits for routers; the next start sends what they lack
_LONGEST_SLEEP_S = 60.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NamePlan:
    """What the configuration says of a name; `targets` are those that serve its readers."""

    label: str
    stream: str
    key: Key
    ttl_s: float
    validity_s: float
    interval_s: float
    refresh_s: float
    targets: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Held:
    """The newest record."""

    record: Record
    signed: bytes
    root: Cid
    made_at: float


@dataclass(slots=True, eq=False)
class _Desk:
    """What one router was sent."""

    service: NameService
    sequence: int = -1
    sent_at: float = 0.0
    failures: int = 0
    resume_at: float = 0.0
    reason: str = ""
    wake: Wake = field(default_factory=Wake)
    voice: Voice = field(default_factory=Voice)


@dataclass(slots=True, eq=False)
class Namer:
    """Moves one name; see the module's rule."""

    plan: NamePlan
    services: Sequence[NameService]
    reads: JournalReads
    journal: Writer
    clock: Clock
    metrics: Metrics
    wake: Wake = field(default_factory=Wake)  # a root was announced, or bound somewhere
    held: _Held | None = None
    _beyond: int = -1  # the next sequence is higher than this
    _remembers: bool = False
    _one_at_a_time: anyio.Lock = field(default_factory=anyio.Lock)  # moves: a stop's last word meets the worker's own
    _desks: list[_Desk] = field(init=False)

    def __post_init__(self) -> None:
        self._desks = [_Desk(service) for service in self.services]

    @property
    def name(self) -> str:
        """The name, as text."""
        return str(self.plan.key.name)

    def record(self) -> NamedRecord | None:
        """The newest record, for the gateway."""
        held = self.held
        if held is None:
            return None
        return NamedRecord(
            held.signed, held.record.value, held.record.ttl_ns / NS, held.record.expires_ns / NS, held.made_at
        )

    async def run(self) -> None:
        """Move the name and send its records until cancelled."""
        async with anyio.create_task_group() as tasks:
            for desk in self._desks:
                self.metrics.add_name(self.plan.label, desk.service.name)
                tasks.start_soon(self._serve, desk)
            while True:
                await self.wake.wait(await self._move())

    async def drain(self) -> None:
        """The last word of a stop: move the name once more, and send each router once what it lacks."""
        with anyio.move_on_after(LAST_WORD_S):
            await self._move()
            async with anyio.create_task_group() as tasks:
                for desk in self._desks:
                    if self.held is not None and desk.sequence != self.held.record.sequence:
                        tasks.start_soon(self._send, desk)

    async def aclose(self) -> None:
        """Let go of the routers' connections."""
        for service in self.services:
            await service.aclose()

    async def _remember(self) -> None:
        saved = next((one for one in await self.reads.run(JournalReader.named) if one.name == self.name), None)
        self._remembers = True
        if saved is None:
            return
        self._beyond = saved.sequence
        self.held = _Held(read(self.plan.key.name, saved.signed), saved.signed, saved.root, saved.made_at)
        for desk in self._desks:
            desk.sequence, desk.sent_at = saved.sent.get(desk.service.name, (-1, 0.0))

    async def _move(self) -> float:
        """Make a new record where one is due; returns when to look again, in seconds."""
        async with self._one_at_a_time:
            if not self._remembers:
                await self._remember()
                for desk in self._desks:
                    desk.wake.ring()
            return await self._move_on()

    async def _move_on(self) -> float:
        root = await self.reads.run(_newest, self.plan.stream, self.plan.targets)
        held, now = self.held, self.clock.now()
        if root is None:
            return _LONGEST_SLEEP_S
        if held is not None:
            half_over = held.record.expires_ns / NS - now < self.plan.validity_s / 2
            if (
                held.root == root.root
                and not half_over
                and held.record.sequence >= self._beyond
                and held.record.ttl_ns == round(self.plan.ttl_s * NS)
            ):
                return _LONGEST_SLEEP_S
            if 0 <= now - held.made_at < PACE_S:
                return PACE_S - (now - held.made_at)
        first = int(now) if held is None else 0
        record = Record(
            f"/ipfs/{root.root}",
            max(self._beyond + 1, first),
            int(now + self.plan.validity_s) * NS,
            round(self.plan.ttl_s * NS),
        )
        signed = sign(record, self.plan.key)
        moved = NameMoved(self.name, self.plan.label, self.plan.stream, record.sequence, root.root, signed, now)
        self._beyond = record.sequence  # before the write: one that is cancelled may have come to pass
        await self.journal.write([moved])
        self.held = _Held(record, signed, root.root, now)
        log.debug("name.moved", name=self.plan.label, id=self.name, root=str(root.root), sequence=record.sequence)
        for desk in self._desks:
            desk.wake.ring()
        return _LONGEST_SLEEP_S

    async def _serve(self, desk: _Desk) -> None:
        while True:
            wait_s = self._due_in(desk)
            if wait_s <= 0:
                await self._send(desk)
            else:
                await desk.wake.wait(min(wait_s, _LONGEST_SLEEP_S))

    def _due_in(self, desk: _Desk) -> float:
        """Seconds until this router is to be sent the newest record."""
        now, held = self.clock.now(), self.held
        if held is None:
            return _LONGEST_SLEEP_S
        pause_s = self.plan.refresh_s if desk.sequence == held.record.sequence else self.plan.interval_s
        since_s = now - desk.sent_at
        due_s = 0.0 if since_s < 0 else pause_s - since_s  # a clock that went back delays nothing
        return max(due_s, desk.resume_at - now)

    async def _send(self, desk: _Desk) -> None:
        held = self.held
        assert held is not None  # noqa: S101 -- nothing is due before there is a record
        label, service = self.plan.label, desk.service
        try:
            with anyio.fail_after(PATIENCE_S):
                await service.put(self.plan.key.name, held.signed)
        except TimeoutError:
            await self._failed(desk, TargetError(f"no answer within {PATIENCE_S:.0f} s", retry_s=0.0))
            return
        except TargetError as why:
            await self._failed(desk, why)
            return
        now = self.clock.now()
        await self.journal.write([NameSent(self.name, service.name, held.record.sequence, now)])
        desk.sequence, desk.sent_at, desk.failures, desk.resume_at, desk.reason = held.record.sequence, now, 0, 0.0, ""
        self.metrics.name_sent(label, service.name, at=now)
        if desk.voice.ends(now):
            log.info("name.recovered", name=label, router=service.name)
        log.debug("name.sent", name=label, router=service.name, sequence=held.record.sequence)

    async def _failed(self, desk: _Desk, why: TargetError) -> None:
        label, service = self.plan.label, desk.service
        self.metrics.name_failed(label, service.name)
        await self._overtake(desk)
        now = self.clock.now()
        desk.failures += 1
        wait_s = retry_after(desk.failures, random.random(), asked_s=why.retry_s)  # noqa: S311 -- spreads retries
        desk.resume_at, desk.reason = now + wait_s, str(why)
        if desk.voice.speaks(desk.reason, now):
            log.warning(
                "name.degraded",
                name=label,
                router=service.name,
                reason=desk.reason,
                retry_in_s=round(wait_s, 1),
                lasts_s=round(desk.voice.lasts_s(now)),
                hint=why.hint,
            )

    async def _overtake(self, desk: _Desk) -> None:
        """Whether the router refuses because it knows a newer record; then the next one goes beyond it."""
        try:
            with anyio.move_on_after(PATIENCE_S):
                signed = await desk.service.get(self.plan.key.name)
                known = None if signed is None else read(self.plan.key.name, signed)
                if known is not None and self.held is not None and known.is_newer_than(self.held.record):
                    self._beyond = max(self._beyond, known.sequence)
                    log.warning(
                        "name.overtaken",
                        name=self.plan.label,
                        router=desk.service.name,
                        sequence=known.sequence,
                        hint="Another program signs for this name too, or this machine's clock went back.",
                    )
                    self.wake.ring()
        except (TargetError, IpnsError) as why:  # the put's own failure is said
            log.debug("name.unread", name=self.plan.label, router=desk.service.name, reason=str(why))

    def status(self) -> dict[str, object]:
        """For `hlspub status`."""
        held, now = self.held, self.clock.now()
        return {
            "name": self.plan.label,
            "id": self.name,
            "stream": self.plan.stream,
            "root": str(held.root) if held else None,
            "sequence": held.record.sequence if held else None,
            "expires": datetime.fromtimestamp(held.record.expires_ns // NS, UTC).isoformat() if held else None,
            "routers": [
                {
                    "name": desk.service.name,
                    "state": _state(desk, held),
                    "sequence": desk.sequence if desk.sent_at else None,
                    "sent_at": desk.sent_at or None,
                    "error": desk.reason or None,
                    "next_try_in_seconds": max(0.0, desk.resume_at - now) if desk.reason else None,
                }
                for desk in self._desks
            ],
        }


def _state(desk: _Desk, held: _Held | None) -> str:
    if desk.reason:
        return "degraded"
    return "ok" if held is not None and desk.sequence == held.record.sequence else "pending"


def _newest(reader: JournalReader, stream: str, targets: frozenset[str]) -> SavedRoot | None:
    """The stream's newest announced root that one of the targets has bound."""
    found = [root for target in targets if (root := reader.last_bound(stream, target)) is not None]
    return max(found, key=lambda root: (root.session, root.number), default=None)
