"""Finished files on their way to the sink.

Rule: whoever finds a file never waits for whoever takes it. One entry a path: the newest state wins, at the oldest's place in
the queue; so memory is bounded by the number of files, and a path's states arrive in order.
"""

from collections.abc import Awaitable, Callable

import anyio

from hlspub.model import Settled
from hlspub.watch.bell import Bell

ROOM = 1000  # a scan pauses while more files than this wait to be taken


class Outbox:
    """A queue that coalesces by path. All methods are called on the loop."""

    def __init__(self) -> None:
        self._items: dict[str | int, Settled | anyio.Event] = {}
        self._flushes = 0
        self._filled = Bell()
        self._drained = Bell()

    def put(self, item: Settled) -> None:
        """Queue a finished file."""
        self._items[item.path] = item
        self._filled.ring()

    def drop(self, path: str) -> None:
        """The file is gone: whoever takes it would not find it."""
        self._items.pop(path, None)

    async def deliver(self, take: Callable[[Settled], Awaitable[None]]) -> None:
        """Hand everything to `take`, one after another, for ever."""
        while True:
            while self._items:
                item = self._items.pop(next(iter(self._items)))
                if isinstance(item, Settled):
                    await take(item)
                else:
                    item.set()
                self._drained.ring()
            await self._filled.wait()

    async def flush(self) -> None:
        """Return when everything queued so far has been taken."""
        mark = anyio.Event()
        self._flushes += 1
        self._items[self._flushes] = mark
        self._filled.ring()
        await mark.wait()

    async def room(self) -> None:
        """Return when it is worth finding more files. One waiter at a time."""
        while len(self._items) > ROOM:
            await self._drained.wait()
