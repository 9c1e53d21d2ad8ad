"""Heads: telling a shared place which root of a stream is the newest, and that this daemon moves it.

Rule: a head moves only to a root that was announced and that its own target has bound (P4): who reads there finds all of it.
Only the newest one counts; what a target missed while it was away is not made up. A place that says that another daemon moves
the stream is believed until the next start: that is said once, shown in the status, and nothing else of the stream stops, for
what is content-addressed disturbs nobody.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import anyio
import structlog

from hlspub.errors import TargetError
from hlspub.ipld.cid import Cid
from hlspub.model import Publication
from hlspub.pipeline.wake import Broadcast, Wake

Move = Callable[[Publication, str], Awaitable[None]]
"""(publication, its session's settings as JSON): moves the head; raises TargetError, for good when `retry_s` is None."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Line:
    """One stream at one target."""

    newest: Publication | None = None
    settings: str = "{}"
    bound: Cid | None = None
    moved: int = 0  # the seq that the head is at
    refused: bool = False
    failing: bool = False

    @property
    def due(self) -> bool:
        """Whether the head should move now."""
        newest = self.newest
        return newest is not None and not self.refused and newest.seq > self.moved and newest.root == self.bound


@dataclass(slots=True, eq=False)
class Heads:
    """The heads at every target that has them; `moves` by target. `stopped` is told (stream, what, why)."""

    moves: Mapping[str, Move]
    stopped: Callable[[str, str, str], None]
    _lines: dict[tuple[str, str], _Line] = field(default_factory=dict[tuple[str, str], _Line])
    _wakes: dict[str, Wake] = field(init=False)
    _done: Broadcast = field(default_factory=Broadcast)

    def __post_init__(self) -> None:
        self._wakes = {name: Wake() for name in self.moves}

    def bound(self, stream: str, target: str, root: Cid) -> None:
        """The target has bound a root of the stream."""
        if target in self.moves:
            self._line(stream, target).bound = root
            self._wakes[target].ring()

    def announced(self, publication: Publication, settings: str, targets: Iterable[str] | None = None) -> None:
        """A root was announced; the streams' targets that have heads are to show it."""
        for name in self.moves if targets is None else self.moves.keys() & set(targets):
            line = self._line(publication.stream, name)
            line.newest, line.settings = publication, settings
            self._wakes[name].ring()

    async def run(self) -> None:
        """Move heads until cancelled."""
        async with anyio.create_task_group() as tasks:
            for name, move in self.moves.items():
                tasks.start_soon(self._serve, name, move)

    async def settle(self, patience_s: float) -> None:
        """Wait until no head is due, but not for longer than that."""
        with anyio.move_on_after(patience_s):
            while any(line.due for line in self._lines.values()):
                await self._done.wait()

    async def _serve(self, name: str, move: Move) -> None:
        while True:
            pause_s: float | None = None
            for (stream, target), line in list(self._lines.items()):
                if target == name and line.due:
                    wait_s = await self._move(stream, name, line, move)
                    pause_s = min(filter(None, (pause_s, wait_s)), default=None)
            self._done.tell()
            await self._wakes[name].wait(pause_s)

    async def _move(self, stream: str, target: str, line: _Line, move: Move) -> float | None:
        """Try it; the seconds until another try is due, None when none is."""
        newest = line.newest
        assert newest is not None  # noqa: S101 -- it is due
        try:
            await move(newest, line.settings)
        except TargetError as why:
            if why.retry_s is None:
                line.refused = True
                self.stopped(stream, f"head at {target}", str(why))
                log.error("head.refused", stream=stream, target=target, reason=str(why), hint=why.hint)
                return None
            if not line.failing:
                line.failing = True
                log.warning("head.delayed", stream=stream, target=target, reason=str(why), retry_in_s=why.retry_s)
            return max(why.retry_s, 0.1)
        line.moved, line.failing = newest.seq, False
        log.debug("head.moved", stream=stream, target=target, seq=newest.seq, root=str(newest.root))
        return None

    def _line(self, stream: str, target: str) -> _Line:
        return self._lines.setdefault((stream, target), _Line())
