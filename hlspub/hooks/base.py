"""The port behind which everything stands that is told of publications.

The promise of a hook: `tell` returns when the other side has taken the message; it is told the same one again when that is not
sure, so it goes by the message's id. What failed is a `TargetError`: `retry_s` is the wait that the other side asks for, and
None means that it wants no more messages. `tell` can be cancelled at any await, and then leaves nothing running.
"""

from typing import Protocol

from hlspub.hooks.message import Message


class Hook(Protocol):
    """See the module's promise."""

    @property
    def name(self) -> str:
        """The name that the configuration gives it."""
        ...

    @property
    def kind(self) -> str:
        """Which sort it is."""
        ...

    async def tell(self, message: Message) -> None:
        """Hand a message over."""
        ...

    def check(self) -> str:
        """Look at what can be looked at without telling anything; returns one line about it, or raises TargetError."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...
