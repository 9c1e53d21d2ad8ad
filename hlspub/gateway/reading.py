"""Reading the local store: `ipld.walk` over the `Blocks` port, and a response body that is read while it is sent.

Rule: at most one block of a file is in memory for one viewer, and nothing is read any more for a viewer who has left. A
block that is missing when nothing was sent yet is a 404; later the response is cut, so that the client sees a short body and
never a wrong one.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import TypeAlias

import anyio
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hlspub.errors import HlspubError, InputError
from hlspub.gateway.ports import Blocks
from hlspub.ipld.cid import Cid

log = structlog.get_logger("hlspub.gateway")

Get: TypeAlias = Callable[[Cid], Awaitable[bytes]]
Pieces: TypeAlias = AsyncGenerator[memoryview, None]


class NotHeld(InputError):  # noqa: N818 -- read as a sentence where it is caught
    """The local store lacks a block."""


def getter(blocks: Blocks, known: Mapping[Cid, bytes] | None = None) -> Get:
    """A function from CIDs to blocks that raises `NotHeld`; the blocks in `known` are not read again."""
    held = known or {}

    async def get(cid: Cid) -> bytes:
        data = held.get(cid)
        if data is None:
            data = await blocks.get(cid)
        if data is None:
            raise NotHeld(
                f"this gateway does not hold the block {cid}",
                hint="It serves what its own store holds and fetches nothing from elsewhere.",
            )
        return data

    return get


class BodyResponse(Response):
    """A response whose body is `first` and then `pieces`; `headers` hold its Content-Length."""

    def __init__(
        self, first: memoryview | None, pieces: Pieces, *, status_code: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(status_code=status_code, headers=headers)
        self._first = first
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, until done or the client has left (ASGI 3)."""
        async with aclosing(self._pieces), anyio.create_task_group() as group:
            group.start_soon(cancel_when_gone, receive, group.cancel_scope)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._send_body(scope, send)
            group.cancel_scope.cancel()

    async def _send_body(self, scope: Scope, send: Send) -> None:
        if self._first is not None:
            await send({"type": "http.response.body", "body": bytes(self._first), "more_body": True})
            self._first = None
        try:
            async for piece in self._pieces:
                await send({"type": "http.response.body", "body": bytes(piece), "more_body": True})
        except HlspubError as why:
            log.warning("gateway.response_cut", path=scope["path"], reason=str(why))
            return  # without a last message: the server then closes the connection
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def cancel_when_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    """Cancel `scope` when the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
