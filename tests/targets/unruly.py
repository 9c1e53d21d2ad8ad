"""A door on the loopback before a real HTTP server, which misbehaves on command: requests pass it whole, one at a time.

What an adapter does about each mood is looked at through its own answers and the server behind.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

HOST = "127.0.0.1"
_END = b"\r\n\r\n"


class Mood(StrEnum):
    WELL = "well"
    CLOSED = "closed"  # connections are refused
    HANGS = "hangs"  # requests are taken, and nothing is ever said
    FAILS = "fails"  # 503, with Retry-After
    DENIES = "denies"  # 401
    LIES = "lies"  # 200, and a page that is not the service's
    LOSES_REPLIES = "loses replies"  # the server acts, and its answer never arrives
    CUTS_REPLIES = "cuts replies"  # the server acts, and half of its answer arrives
    CUTS_REQUESTS = "cuts requests"  # half of a request's body arrives


CANNED = {
    Mood.FAILS: b"HTTP/1.1 503 Unavailable\r\nRetry-After: 3\r\nContent-Length: 16\r\n\r\ncome back later\n",
    Mood.DENIES: b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 18\r\n\r\nthe token ran out\n",
    Mood.LIES: b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 30\r\n\r\n<html>Welcome, router!!</html>",
}


@dataclass
class Unruly:
    """The door; `requests` are the request lines that came, whatever became of them."""

    upstream: tuple[str, int]
    port: int = 0
    mood: Mood = Mood.WELL
    requests: list[str] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def become(self, mood: Mood) -> None:
        self.mood = mood
        await self.close()
        if mood is not Mood.CLOSED:
            self._server = await asyncio.start_server(self._serve, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while await self._pass(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether the connection goes on."""
        head = await reader.readuntil(_END)
        body = await _body(reader, head)
        self.requests.append(head.split(b"\r\n", 1)[0].decode())
        if self.mood is Mood.HANGS:
            await asyncio.Event().wait()
        if self.mood in CANNED:
            writer.write(CANNED[self.mood])
            await writer.drain()
            return True
        there, back = await asyncio.open_connection(*self.upstream)
        try:
            lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(b"connection:")]
            back.write(b"\r\n".join([*lines, b"Connection: close"]) + _END)
            if self.mood is Mood.CUTS_REQUESTS:
                back.write(body[: len(body) // 2])
                await back.drain()
                return False
            back.write(body)
            await back.drain()
            answer = await there.read(-1)
        finally:
            back.close()
            with suppress(ConnectionError):
                await back.wait_closed()
        if self.mood is Mood.CUTS_REPLIES:
            writer.write(answer[: answer.index(_END) + len(_END) + 5])
        elif self.mood is Mood.WELL:
            writer.write(answer)
        await writer.drain()
        return False  # the server said it closes


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """A request's body as it was sent, chunks and all."""
    headers = dict(line.lower().split(b": ", 1) for line in head[:-4].split(b"\r\n")[1:])
    if b"content-length" in headers:
        return await reader.readexactly(int(headers[b"content-length"]))
    body = b""
    if headers.get(b"transfer-encoding") == b"chunked":
        while True:
            line = await reader.readuntil(b"\r\n")
            body += line + await reader.readexactly(int(line, 16) + 2)
            if int(line, 16) == 0:
                break
    return body


@asynccontextmanager
async def unruly(url: str) -> AsyncIterator[Unruly]:
    """A door before the server at `url`, well at first."""
    parsed = urlsplit(url)
    door = Unruly((parsed.hostname or HOST, parsed.port or 80))
    await door.become(Mood.WELL)
    try:
        yield door
    finally:
        await door.close()
