"""The streams of a bucket, as a gateway without a daemon sees them: their heads, looked at every second.

Rule: a root is shown after the index was looked at, so that its blocks are found. A bucket that does not answer leaves what was
seen last: a viewer goes on with it. The kept roots of a running session are those that this process saw, and at first the last
ones of the bucket's log.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import anyio
import structlog

from hlspub.errors import DataError, TargetError, one_error
from hlspub.gateway.ports import LiveRoot
from hlspub.ipld.cid import Cid
from hlspub.pipeline.wake import Broadcast

LOOK_S = 1.0
NAMES_S = 10.0  # how often it is looked for new streams
KEPT = 32  # roots of a session

log = structlog.get_logger()


class Head(Protocol):
    """A publication as the bucket has it (`targets.s3.documents.Head`)."""

    @property
    def session(self) -> str: ...  # noqa: D102 -- a field
    @property
    def seq(self) -> int: ...  # noqa: D102 -- a field
    @property
    def root(self) -> Cid: ...  # noqa: D102 -- a field
    @property
    def entry(self) -> str: ...  # noqa: D102 -- a field
    @property
    def final(self) -> bool: ...  # noqa: D102 -- a field
    @property
    def published_at(self) -> float: ...  # noqa: D102 -- a field


class Publications(Protocol):
    """Where the heads are (`targets.s3.reader.BucketReader`)."""

    async def streams(self) -> Sequence[str]:
        """Their names."""
        ...

    async def head(self, stream: str) -> Head | None:
        """The newest publication."""
        ...

    async def publication(self, stream: str, seq: int) -> Head | None:
        """An earlier one."""
        ...


@dataclass(slots=True, eq=False)
class BucketView:
    """The gateway's `Streams` and `Health`. `renew` looks at the index's end."""

    place: str
    publications: Publications
    renew: Callable[[], Awaitable[None]]
    version: int = 0
    away: str = ""
    started: bool = False
    _roots: dict[str, deque[LiveRoot]] = field(default_factory=dict[str, deque[LiveRoot]])
    _changes: Broadcast = field(default_factory=Broadcast)

    def names(self) -> Sequence[str]:
        """The streams, by name."""
        return sorted(self._roots)

    def roots(self, stream: str) -> Sequence[LiveRoot] | None:
        """The newest root, then those of the same session that were seen before."""
        seen = self._roots.get(stream)
        return None if seen is None else list(seen)

    async def changed(self, seen: int) -> int:
        """Wait until the version is not `seen`."""
        while self.version == seen:
            await self._changes.wait()
        return self.version

    async def status(self) -> dict[str, object]:
        """Streams and the bucket, as far as a gateway knows them."""
        streams: list[dict[str, object]] = [
            {
                "name": name,
                "state": "waiting" if not roots else "ended" if roots[0].final else "running",
                "root": str(roots[0].root) if roots else None,
                "entry": roots[0].entry if roots else None,
                "sessions": [],
            }
            for name, roots in sorted(self._roots.items())
        ]
        state = "degraded" if self.away else "ok"
        bucket: dict[str, object] = {"name": self.place, "kind": "s3", "state": state, "error": self.away or None}
        return {"streams": streams, "targets": [bucket]}

    def alive(self) -> tuple[bool, Sequence[str]]:
        """It answers, so it lives."""
        return True, ()

    def ready(self) -> tuple[bool, Sequence[str]]:
        """Whether the bucket answered when it was last asked."""
        if self.started and not self.away:
            return True, ()
        return False, [self.away or "The bucket was not looked at yet."]

    async def run(self) -> None:
        """Look until cancelled."""
        turn = 0
        while True:
            try:
                with anyio.fail_after(10 * LOOK_S):
                    await self._look(names=turn % round(NAMES_S / LOOK_S) == 0)
                turn += 1
            except (TargetError, DataError, TimeoutError) as why:
                self._failed(str(why) or f"{self.place}: no answer in time")
            else:
                self._answered()
            await anyio.sleep(LOOK_S)

    async def _look(self, *, names: bool) -> None:
        if names:
            for name in await self.publications.streams():
                self._roots.setdefault(name, deque(maxlen=KEPT))
        with one_error():
            async with anyio.create_task_group() as tasks:
                for name in self._roots:
                    tasks.start_soon(self._look_at, name)

    async def _look_at(self, stream: str) -> None:
        seen = self._roots[stream]
        head = await self.publications.head(stream)
        if head is None or (seen and (seen[0].seq, seen[0].root) == (head.seq, head.root)):
            return
        before = await self._before(stream, head) if not seen else []
        await self.renew()
        if seen and seen[0].session != head.session:
            seen.clear()
        seen.extend(before)
        seen.appendleft(_live(head))
        self.version += 1
        self._changes.tell()

    async def _before(self, stream: str, head: Head) -> list[LiveRoot]:
        """What the log has of the head's session, newest first; only a running session needs it."""
        if head.final:
            return []
        found: dict[int, Head] = {}

        async def get(seq: int) -> None:
            one = await self.publications.publication(stream, seq)
            if one is not None and one.session == head.session:
                found[seq] = one

        with one_error():
            async with anyio.create_task_group() as tasks:
                for seq in range(max(1, head.seq - KEPT + 1), head.seq):
                    tasks.start_soon(get, seq)
        return [_live(found[seq]) for seq in sorted(found, reverse=True)]

    def _failed(self, why: str) -> None:
        if not self.away:
            log.warning("bucket.away", target=self.place, reason=why, hint="What was seen last is served meanwhile.")
        self.away = why

    def _answered(self) -> None:
        if self.away:
            log.info("bucket.back", target=self.place)
        self.away, self.started = "", True


def _live(head: Head) -> LiveRoot:
    return LiveRoot(head.root, head.entry, head.seq, head.published_at, head.final, head.session)
