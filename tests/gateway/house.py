"""A gateway in memory: blocks in a dictionary, streams that a test publishes to, and an HTTP client without a network."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import httpx
from anyio.abc import TaskStatus

from hlspub.errors import StorageError
from hlspub.gateway.app import Gateway
from hlspub.gateway.ports import LiveRoot, NamedRecord, Verdict
from hlspub.gateway.serve import serve
from hlspub.ipld.cid import Cid
from hlspub.ipld.profile import UNIXFS_V1_2025
from hlspub.telemetry.clock import SystemClock
from tests.dags import Dags

# Many small blocks, so that a test of a few KiB crosses many borders.
SMALL = replace(UNIXFS_V1_2025, chunk_size=100, max_links=3)
SHARDED = replace(UNIXFS_V1_2025, hamt_threshold=500)
DEADLINE_S = 20.0


class Memory(Dags):
    """`Blocks`; `asked` lists what was read, `broken` fails as a disk does."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False

    async def get(self, cid: Cid) -> bytes | None:  # type: ignore[override]
        await anyio.lowlevel.checkpoint()
        self.asked.append(cid)
        if self.broken:
            raise StorageError("the disk does not answer", hint="Look at the disk.")
        return super().get(cid)


class Stage:
    """`Streams`: what a test puts on it."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {"streams": [], "targets": []}
        self.made = 0  # how often the status was asked for
        self._roots: dict[str, list[LiveRoot]] = {}
        self._version = 0
        self._change = anyio.Event()

    def add(self, stream: str) -> None:
        self._roots.setdefault(stream, [])
        self.touch()

    def publish(self, stream: str, root: Cid, entry: str = "master.m3u8", **more: Any) -> LiveRoot:
        roots = self._roots.setdefault(stream, [])
        known = {"published_at": 1_800_000_000.0, "final": False, "session": "20270115T080000Z-1"} | more
        live = LiveRoot(root=root, entry=entry, seq=len(roots) + 1, **known)
        roots.insert(0, live)
        self.touch()
        return live

    def forget(self, stream: str) -> None:
        self._roots[stream].clear()
        self.touch()

    def touch(self) -> None:
        self._version += 1
        self._change.set()
        self._change = anyio.Event()

    def names(self) -> Sequence[str]:
        return list(self._roots)

    def roots(self, stream: str) -> Sequence[LiveRoot] | None:
        found = self._roots.get(stream)
        return None if found is None else list(found)

    async def status(self) -> dict[str, object]:
        self.made += 1
        return dict(json.loads(json.dumps(self.state)))

    async def changed(self, seen: int) -> int:
        while self._version == seen:
            await self._change.wait()
        return self._version


class Doctor:
    """`Health`, as a test says."""

    def __init__(self) -> None:
        self.well: Verdict = (True, ())
        self.fit: Verdict = (True, ())

    def alive(self) -> Verdict:
        return self.well

    def ready(self) -> Verdict:
        return self.fit


@dataclass
class House:
    blocks: Memory = field(default_factory=Memory)
    streams: Stage = field(default_factory=Stage)
    health: Doctor = field(default_factory=Doctor)
    responses: list[tuple[int, str]] = field(default_factory=list)
    named: dict[str, NamedRecord] = field(default_factory=dict)
    clock: SystemClock = field(default_factory=SystemClock)

    def gateway(self) -> Gateway:
        return Gateway(
            blocks=self.blocks,
            streams=self.streams,
            health=self.health,
            metrics=lambda: b"hlspub_up 1\n",
            observe=lambda code, form: self.responses.append((code, form)),
            clock=self.clock,
            names=self.named.get,
        )

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(self.gateway())
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
            yield client

    async def get(self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> httpx.Response:
        with anyio.fail_after(DEADLINE_S):
            async with self.client() as client:
                return await client.request(method, path, headers=headers)


@dataclass(frozen=True)
class Address:
    host: str
    port: int


@asynccontextmanager
async def running(
    house: House, host: str = "127.0.0.1", deadline_s: float = DEADLINE_S
) -> AsyncGenerator[tuple[str, int]]:
    """The real server, in the test's own loop."""

    async def run(*, task_status: TaskStatus[str]) -> None:
        await serve(house.gateway(), Address(host, 0), started=task_status.started)

    with anyio.fail_after(deadline_s):
        async with anyio.create_task_group() as group:
            url = httpx.URL(await group.start(run))
            yield url.host, url.port or 0
            group.cancel_scope.cancel()
