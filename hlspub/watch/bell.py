"""Waking a task that sleeps until there is work, and waiting for its next whole round."""

import anyio


class Bell:
    """Wakes one waiter. Rings before the wait count; several count as one."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def ring(self) -> None:
        """Wake the waiter, or whoever waits next."""
        self._event.set()

    async def wait(self, timeout_s: float | None = None) -> None:
        """Return when the bell rings, or after `timeout_s` seconds."""
        with anyio.move_on_after(timeout_s):
            await self._event.wait()
        self._event = anyio.Event()


class Rounds:
    """Lets others wait until a task that works in rounds has made a whole one, begun after they asked."""

    def __init__(self) -> None:
        self._asked: list[anyio.Event] = []
        self._running: list[anyio.Event] = []

    def begin(self) -> None:
        """The task begins a round."""
        self._running += self._asked
        self._asked = []

    def end(self) -> None:
        """The task ended its round."""
        for event in self._running:
            event.set()
        self._running = []

    async def whole(self) -> None:
        """Return when a round that begins from now on has ended."""
        event = anyio.Event()
        self._asked.append(event)
        await event.wait()
