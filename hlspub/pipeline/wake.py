"""Wake-ups: "look again". They carry nothing; what there is to do stands in the journal or in a stream's state."""

import anyio


class Wake:
    """For one waiter: it looks again once for all rings since it last looked, also those before it waited."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def ring(self) -> None:
        """Wake the waiter, now or when it next waits."""
        self._event.set()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for a ring, at most `timeout_s` seconds; false when there was none."""
        with anyio.move_on_after(timeout_s):
            await self._event.wait()
        rung = self._event.is_set()
        if rung:
            self._event = anyio.Event()
        return rung


class Broadcast:
    """For many waiters: each wakes at the next change after it began to wait, and checks its own condition."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def tell(self) -> None:
        """Wake all who wait."""
        self._event.set()
        self._event = anyio.Event()

    async def wait(self) -> None:
        """Wait for the next change."""
        await self._event.wait()
