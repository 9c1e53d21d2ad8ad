"""Waiting for room on the disk: whoever makes something waits, aloud, until there is room again.

Rule: the stream says why it stands still (`Stream.stopped`), for `status`; the log says it by `engine.voice`. What waits can
be cancelled.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ParamSpec, TypeVar

import anyio
import structlog

from hlspub.engine.voice import Voice
from hlspub.errors import StorageError
from hlspub.model import Clock
from hlspub.pipeline.stream import Stream

PAUSE_S = 2.0
EVENTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "intake": ("intake.stopped", "intake.resumed"),
        "publishing": ("publishing.stopped", "publishing.resumed"),
    }
)

log = structlog.get_logger()
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Room:
    """Room for what one stream makes. `work` is a key of `EVENTS` and of `Stream.stopped`."""

    stream: Stream
    clock: Clock
    work: str
    _voice: Voice = field(default_factory=Voice)

    async def until(self, act: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what needs room on the disk; while it refuses, say so and try again."""
        while True:
            try:
                done = await act(*args, **kwargs)
            except StorageError as why:
                self.refused(why)
                await anyio.sleep(PAUSE_S)
            else:
                self.granted()
                return done

    def refused(self, why: StorageError) -> None:
        """There is no room."""
        now, reason, (stopped, _) = self.clock.now(), str(why), EVENTS[self.work]
        self.stream.stopped[self.work] = reason
        if self._voice.speaks(why.hint, now):  # the reason names a file, which is another one each time
            log.error(
                stopped,
                stream=self.stream.name,
                reason=reason,
                hint=why.hint,
                retry_in_s=PAUSE_S,
                lasts_s=round(self._voice.lasts_s(now)),
            )

    def granted(self) -> None:
        """There is room."""
        if self.stream.stopped.pop(self.work, None) is not None and self._voice.ends(self.clock.now()):
            _, resumed = EVENTS[self.work]
            log.info(resumed, stream=self.stream.name)
