"""Binding: making roots stay at the targets, before a root is announced and in the background.

Rule: a root is bound at a target only when the target holds all its CARs. Where every required target must confirm, that is so
when the root is made (each file in it is held by each of them). In every other case, and for a root that was made before this
start, the target must have confirmed all that was queued before the root was written down (`Bindable.mark`): so a target that
is behind counts towards no quorum, and is bound to nothing, until its backlog has been empty up to there.

An announcement waits for the required targets, as many as the quorum needs, and never for another. Each target has a worker
that binds what it lacks: the newest announced root, and the final roots of sessions, which are kept for ever; roots in
between are not made up. A root supersedes the one before it of the same session that is not final; the journal remembers
what was bound (`RootBound`), so that this holds across starts. What was bound a moment before a crash, and is not the newest
root any more, stays bound: that costs room, never a viewer.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import anyio
import structlog

from hlspub.engine.files import Quorum
from hlspub.errors import TargetError
from hlspub.ipld.cid import Cid
from hlspub.model import Clock
from hlspub.pipeline.deliver import Courier
from hlspub.pipeline.ports import Queue, Writer
from hlspub.pipeline.wake import Broadcast, Wake
from hlspub.records import RootBound
from hlspub.targets.base import in_time
from hlspub.telemetry.metrics import Metrics

LOOK_S = 1.0  # how often a target that is behind is looked at

log = structlog.get_logger()


class SavedRoot(Protocol):
    """A root as the journal has it (`journal.values.SavedRoot`)."""

    @property
    def session(self) -> int: ...  # noqa: D102 -- a field
    @property
    def number(self) -> int: ...  # noqa: D102 -- a field
    @property
    def root(self) -> Cid: ...  # noqa: D102 -- a field
    @property
    def final(self) -> bool: ...  # noqa: D102 -- a field
    @property
    def bound(self) -> frozenset[str]: ...  # noqa: D102 -- a field


@dataclass(frozen=True, slots=True)
class Bindable:
    """The `number`-th root of a session; all its CARs were queued when `mark` was the newest shard.

    `is_old`: it was made before this start, so a target that was added since may lack its files, required or not.
    """

    session: int
    number: int
    root: Cid
    final: bool
    mark: int
    is_old: bool = False


@dataclass(slots=True, eq=False)
class _Desk:
    """What one target has, and what it lacks, oldest first: final roots, and at most one other, the newest."""

    courier: Courier
    has: Bindable | None = None
    lacks: list[Bindable] = field(default_factory=list[Bindable])
    wake: Wake = field(default_factory=Wake)

    def want(self, root: Bindable) -> None:
        """The target is to have this root too."""
        self.lacks = [one for one in self.lacks if one.final]
        if root not in self.lacks and root != self.has:
            self.lacks.append(root)
        self.wake.ring()


@dataclass(slots=True, eq=False)
class Binder:
    """Binds the roots of one stream; see the module's rule."""

    stream: str
    quorum: Quorum
    couriers: Sequence[Courier]
    queue: Queue
    journal: Writer
    clock: Clock
    metrics: Metrics
    on_bound: Callable[[str, str, Cid], None] = lambda _stream, _target, _root: None
    told: Callable[[], None] = lambda: None  # a root was announced, or bound somewhere
    _desks: dict[str, _Desk] = field(init=False)
    _bound: Broadcast = field(default_factory=Broadcast)

    def __post_init__(self) -> None:
        self._desks = {courier.target.name: _Desk(courier) for courier in self.couriers}

    def remember(self, kept: Iterable[SavedRoot], last: Iterable[tuple[str, SavedRoot]], mark: int) -> None:
        """Go on as the journal knows: `kept` are announced roots, newest first, `last` the newest bound at each target."""
        roots = list(kept)
        for name, saved in last:
            if name in self._desks:
                self._desks[name].has = _bindable(saved, 0)
                self.on_bound(self.stream, name, saved.root)
        for name, desk in self._desks.items():
            # Final roots of long ago are not made up: the target may have been added since, and never been sent them.
            since = desk.has.session if desk.has else roots[0].session if roots else 0
            due = [saved for saved in reversed(roots) if saved.final or saved is roots[0]]
            for saved in due:
                if saved.session >= since and name not in saved.bound:
                    desk.want(_bindable(saved, mark))

    def is_done(self) -> bool:
        """Whether every target is bound to all that it is to have."""
        return not any(desk.lacks for desk in self._desks.values())

    async def run(self) -> None:
        """Bind until cancelled."""
        async with anyio.create_task_group() as tasks:
            for desk in self._desks.values():
                tasks.start_soon(self._serve, desk)

    async def bind(self, root: Bindable) -> None:
        """Bind a root that is to be announced; returns when enough of the targets that count have it. `run` must run."""
        for name in self.quorum.required & self._desks.keys():
            self._desks[name].want(root)
        while not self.quorum.satisfied(name for name, desk in self._desks.items() if desk.has == root):
            await self._bound.wait()

    def announced(self, root: Bindable) -> None:
        """A root was announced: it is the newest, and every target is to have it."""
        for desk in self._desks.values():
            desk.want(root)
        self.told()

    async def _serve(self, desk: _Desk) -> None:
        while True:
            while desk.lacks and await self._bind(desk, desk.lacks[0]):
                pass
            await desk.wake.wait(self._pause_s(desk))

    async def _bind(self, desk: _Desk, root: Bindable) -> bool:
        """Bind one root; false when that is not possible now."""
        courier, target = desk.courier, desk.courier.target
        if self.clock.now() < courier.resume_at or not await self._may(courier, root):
            return False
        before = desk.has
        is_replaced = before is not None and before.session == root.session and not before.final
        supersedes = before.root if before is not None and is_replaced and before.root != root.root else None
        started = self.clock.monotonic()
        try:
            await in_time(target, "bind", 0, target.bind, root.root, supersedes=supersedes)
        except TargetError as why:
            result = "refused" if why.retry_s is None else "retry"
            self.metrics.target_request(target.name, "bind", result, self.clock.monotonic() - started)
            self.metrics.publication_failed(self.stream)
            courier.degraded(why, "bind")
            return False
        self.metrics.target_request(target.name, "bind", "ok", self.clock.monotonic() - started)
        courier.recovered("bind")
        await self.journal.write([RootBound(root.session, root.number, target.name, self.clock.now())])
        desk.has = root
        desk.lacks = [one for one in desk.lacks if one != root]
        log.debug("root.bound", stream=self.stream, target=target.name, root=str(root.root))
        self.on_bound(self.stream, target.name, root.root)
        self._bound.tell()
        self.told()
        return True

    async def _may(self, courier: Courier, root: Bindable) -> bool:
        required = self.quorum.required
        if courier.target.name in required and self.quorum.need == len(required) and not root.is_old:
            return True
        return await courier.holds(root.mark)

    def _pause_s(self, desk: _Desk) -> float | None:
        if not desk.lacks:
            return None
        return min(max(desk.courier.resume_at - self.clock.now(), 0.01), LOOK_S) if desk.courier.reason else LOOK_S


def _bindable(saved: SavedRoot, mark: int) -> Bindable:
    return Bindable(saved.session, saved.number, saved.root, saved.final, mark, is_old=True)
