"""A place that keeps CARs behind HTTP on the loopback, and misbehaves on command; and the adapter that speaks to it.

It keeps a CAR's length and digest, not its bytes, so that what it keeps does not count as hlspub's memory.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

import anyio.to_thread
import httpx

from hlspub.errors import InputError, TargetError
from hlspub.ipld.cid import Cid
from hlspub.targets import http
from hlspub.targets.base import Capabilities, CarFile

HOST = "127.0.0.1"
Answer = tuple[int, str]


class Mood(StrEnum):
    WELL = "well"
    CLOSED = "closed"  # connections are refused
    HANGS = "hangs"  # connections are taken, and nothing is ever said
    FAILS = "fails"  # 503
    LIES = "lies"  # 200, and not what was asked for
    DENIES = "denies"  # 401


@dataclass
class Place:
    """`cars` are length and digest by key; `bound` the roots that stay, `binds` all that ever were, in order."""

    port: int = 0
    mood: Mood = Mood.WELL
    cars: dict[str, tuple[int, str]] = field(default_factory=dict)
    bound: list[str] = field(default_factory=list)
    binds: list[str] = field(default_factory=list)
    asked: int = 0
    sent_again: int = 0
    on_put: Callable[[str], None] = lambda _key: None
    _server: asyncio.Server | None = None
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def become(self, mood: Mood) -> None:
        self.mood = mood
        if mood is Mood.CLOSED:
            await self.close()
        elif self.mood is Mood.WELL:
            self._hang_up()
        if self._server is None and mood is not Mood.CLOSED:
            self._server = await asyncio.start_server(self._serve, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._hang_up()
            await asyncio.gather(*self._open, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    def _hang_up(self) -> None:
        for task in self._open:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while True:
                status, body = await self._answer(reader)
                data = body.encode()
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(data), data))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.asked += 1
        method, target, _ = lines[0].split(" ")
        if self.mood is Mood.HANGS:
            await asyncio.Event().wait()
        if self.mood is not Mood.WELL:
            refusals = {Mood.FAILS: (503, "come back later"), Mood.DENIES: (401, "the token ran out")}
            return refusals.get(self.mood, (200, "<html>Welcome to your router</html>"))
        url = urlsplit(target)
        return self._keep(url.path[6:], body) if method == "PUT" else self._bind(url.path[6:], parse_qs(url.query))

    def _keep(self, key: str, body: bytes) -> Answer:
        self.on_put(key)
        self.sent_again += key in self.cars
        self.cars[key] = len(body), sha256(body).hexdigest()
        return 200, self.cars[key][1]

    def _bind(self, root: str, query: dict[str, list[str]]) -> Answer:
        self.binds.append(root)
        self.bound = [one for one in self.bound if one not in (root, *query.get("supersedes", ()))] + [root]
        return 200, root


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    here = Place()
    await here.become(Mood.WELL)
    try:
        yield here
    finally:
        await here.close()


@dataclass
class PlaceTarget:
    """The adapter. `open_car` gives a CAR's bytes."""

    url: str
    open_car: Callable[[str], BinaryIO]
    client: httpx.AsyncClient
    name: str = "place"
    kind: str = "place"
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(concurrency=4, patience_s=0.5))

    async def put(self, cars: Sequence[CarFile]) -> str:
        for car in cars:
            data = await anyio.to_thread.run_sync(self._read, car.key)
            digest = await self._ask("PUT", f"{self.url}/cars/{car.key}", data)
            if digest != sha256(data).hexdigest():
                raise TargetError(
                    f"{self.url}: it kept something else: {digest[:40]}", retry_s=0.1, hint="Is this the place?"
                )
        return "kept"

    async def has(self, car: CarFile) -> bool:
        raise NotImplementedError

    async def read(self, cid: Cid) -> bytes | None:
        raise NotImplementedError

    async def bind(self, root: Cid, *, supersedes: Cid | None) -> None:
        query = f"?supersedes={supersedes}" if supersedes else ""
        if await self._ask("POST", f"{self.url}/bind/{root}{query}") != str(root):
            raise TargetError(f"{self.url}: it bound something else", retry_s=0.1, hint="Is this the place?")

    async def forget(self, root: Cid) -> None:
        raise NotImplementedError

    async def check(self) -> str:
        return self.url

    async def aclose(self) -> None:
        await self.client.aclose()

    def _read(self, key: str) -> bytes:
        try:
            with self.open_car(key) as file:
                return file.read()
        except InputError as why:
            raise TargetError(str(why), retry_s=None) from why

    async def _ask(self, method: str, url: str, data: bytes = b"") -> str:
        with http.failures(self.url):
            async with self.client.stream(method, url, content=data) as response:
                if not response.is_success:
                    why = await http.refusal(response, self.url)
                    raise TargetError(str(why), retry_s=None if why.retry_s is None else 0.1, hint=why.hint)
                return (await http.read_bounded(response, 1000, self.url)).decode()
