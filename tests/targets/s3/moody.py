"""A small S3 server on the loopback that misbehaves on command. It checks no signature."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

HOST = "127.0.0.1"
WHEN = "Thu, 26 Nov 2026 12:00:00 GMT"


class Mood(StrEnum):
    WELL = "well"
    SLOW_DOWN = "slow down"
    FAILS = "fails"
    RESETS = "resets"  # in the middle of a body, whichever way it goes
    DAMAGES = "damages"  # keeps other bytes than it was sent, and says so by their ETag
    REFUSES_DIGEST = "refuses digest"
    SKEWED = "skewed"
    DENIES = "denies"
    LOSES_ANSWERS = "loses answers"  # does what it was told, and never says so


REFUSALS = {
    Mood.SLOW_DOWN: (503, "SlowDown"),
    Mood.FAILS: (500, "InternalError"),
    Mood.REFUSES_DIGEST: (400, "BadDigest"),
    Mood.SKEWED: (403, "RequestTimeTooSkewed"),
    Mood.DENIES: (403, "AccessDenied"),
}


@dataclass
class Moody:
    """`left`: how many more requests its mood lasts; None: until it is told otherwise. `only`: the methods it concerns."""

    port: int = 0
    mood: Mood = Mood.WELL
    left: int | None = None
    only: frozenset[str] = frozenset({"PUT"})
    conditions: bool = True
    md5: bool = True
    objects: dict[str, tuple[bytes, dict[str, str]]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    def become(self, mood: Mood, left: int | None = None, *, only: str = "PUT") -> None:
        self.mood, self.left, self.only = mood, left, frozenset(only.split())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def stop(self) -> None:
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
        method, target, _ = lines[0].split(" ")
        mood = self._mood(method)
        size = int(headers.get("content-length", "0"))
        if mood is Mood.RESETS and method == "PUT":
            await reader.readexactly(size // 2)
            return False
        body = await reader.readexactly(size)
        self.asked[method] += 1
        status, said, data = self._answer(method, target, headers, body, mood)
        if mood is Mood.LOSES_ANSWERS:
            return False
        length = int(said.pop("Content-Length", len(data)))
        head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{head}\r\n".encode())
        if mood is Mood.RESETS:
            writer.write(data[: len(data) // 2])
            await writer.drain()
            return False
        writer.write(b"" if method == "HEAD" else data)
        await writer.drain()
        return True

    def _mood(self, method: str) -> Mood:
        if self.mood is Mood.WELL or method not in self.only or self.left == 0:
            return Mood.WELL
        if self.left is not None:
            self.left -= 1
        return self.mood

    def _answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes, mood: Mood
    ) -> tuple[int, dict[str, str], bytes]:
        if mood in REFUSALS:
            status, code = REFUSALS[mood]
            return (
                status,
                {},
                f"<Error><Code>{code}</Code><Message>AKHLSPUB0000000000 is told</Message></Error>".encode(),
            )
        url = urlsplit(target)
        key = unquote(url.path).split("/", 2)[2] if url.path.count("/") > 1 else ""
        if method == "PUT":
            return self._put(key, headers, body[:-1] + b"?" if mood is Mood.DAMAGES else body)
        if method == "POST":
            gone = [part.split("</Key>")[0] for part in body.decode().split("<Key>")[1:]]
            for one in gone:
                self.objects.pop(one, None)
            said = "".join(f"<Deleted><Key>{one}</Key></Deleted>" for one in gone)
            return 200, {}, f"<DeleteResult>{said}</DeleteResult>".encode()
        if method == "DELETE":
            self.objects.pop(key, None)
            return 204, {}, b""
        if not key or "list-type" in url.query:
            return 200, {}, self._list(parse_qs(url.query).get("prefix", [""])[0])
        return self._get(key, headers)

    def _put(self, key: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        there = self.objects.get(key)
        if self.conditions and (
            ("if-none-match" in headers and there is not None)
            or ("if-match" in headers and (there is None or self._etag(there[0]) != headers["if-match"]))
        ):
            return 412, {}, b"<Error><Code>PreconditionFailed</Code></Error>"
        self.objects[key] = body, {name: value for name, value in headers.items() if name.startswith("x-amz-meta-")}
        return 200, {"ETag": self._etag(body)}, b""

    def _get(self, key: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        if key not in self.objects:
            return 404, {}, b"<Error><Code>NoSuchKey</Code></Error>"
        data, metadata = self.objects[key]
        said = {"ETag": self._etag(data), "Last-Modified": WHEN, **metadata}
        if "range" not in headers:
            return 200, said, data
        start, end = map(int, headers["range"].removeprefix("bytes=").split("-"))
        part = data[start : end + 1]
        return 206, said | {"Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(data)}"}, part

    def _list(self, prefix: str) -> bytes:
        names = sorted({prefix + key[len(prefix) :].split("/")[0] for key in self.objects if key.startswith(prefix)})
        shown = "".join(f"<CommonPrefixes><Prefix>{escape(name)}/</Prefix></CommonPrefixes>" for name in names)
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{shown}</ListBucketResult>".encode()

    def _etag(self, data: bytes) -> str:
        digest = hashlib.md5(data, usedforsecurity=False) if self.md5 else hashlib.sha1(data, usedforsecurity=False)
        return f'"{digest.hexdigest()}"'


@asynccontextmanager
async def moody() -> AsyncIterator[Moody]:
    here = Moody()
    server = await asyncio.start_server(here.serve, HOST, 0, limit=1 << 20)
    here.port = server.sockets[0].getsockname()[1]
    try:
        yield here
    finally:
        server.close()
        await here.stop()
        await server.wait_closed()
