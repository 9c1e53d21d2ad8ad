import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest

from hlspub.hls.classify import classify, is_temporary, rendition_of
from hlspub.model import FileIdentity, FileKind, Settled
from hlspub.watch.bell import Bell
from hlspub.watch.directory import DirectoryWatch
from hlspub.watch.observer import Observation
from hlspub.watch.ports import Names, Notice, ScanFinished

DEADLINE_S = 30.0


class SystemClock:
    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> float:
        return time.time() + self.ahead_s

    def monotonic(self) -> float:
        return time.monotonic()


def names() -> Names:
    return Names(is_temporary, lambda path: classify(path) is FileKind.PLAYLIST, rendition_of)


class Stream:
    """Evidence in plain sets: what a pipeline would know."""

    def __init__(self) -> None:
        self.taken: dict[str, FileIdentity] = {}
        self.listed_paths: set[str] = set()

    def known(self, path: str) -> FileIdentity | None:
        return self.taken.get(path)

    def wanted(self, path: str) -> bool:
        return path.endswith((".ts", ".m4s", ".mp4", ".m3u8")) or path in self.listed_paths

    def listed(self, path: str) -> bool:
        return path in self.listed_paths


class Recorder:
    """A sink that remembers. Closing its `gate` makes it wait, as a full channel does."""

    def __init__(self, stream: Stream, changed: Callable[[], None]) -> None:
        self.items: list[Settled] = []
        self.gone: list[str] = []
        self.takes = True
        self.gate = anyio.Event()
        self.gate.set()
        self._stream = stream
        self._changed = changed

    async def settled(self, item: Settled) -> None:
        await self.gate.wait()
        self.items.append(item)
        if self.takes:
            self._stream.taken[item.path] = item.identity
        self._changed()

    def vanished(self, path: str) -> None:
        self.gone.append(path)
        self._changed()

    def close_gate(self) -> None:
        self.gate = anyio.Event()

    @property
    def paths(self) -> list[str]:
        return [item.path for item in self.items]

    def of(self, path: str) -> list[Settled]:
        return [item for item in self.items if item.path == path]


class Bench:
    """A directory, everything around a watch of it, and a way to wait for what happens."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.changed = Bell()
        self.clock = SystemClock()
        self.stream = Stream()
        self.sink = Recorder(self.stream, self.changed.ring)
        self.notices: list[Notice] = []
        self.names = names()
        self.watch: DirectoryWatch

    def notify(self, notice: Notice) -> None:
        self.notices.append(notice)
        self.changed.ring()

    @asynccontextmanager
    async def watching(self, **settings: Any) -> AsyncIterator[DirectoryWatch]:
        """Run a watch; on entry its first scan has been handed over."""
        self.watch = DirectoryWatch(
            self.root, self.stream, self.sink, clock=self.clock, names=self.names, notify=self.notify, **settings
        )
        async with anyio.create_task_group() as tasks:
            with anyio.fail_after(DEADLINE_S):
                await tasks.start(self._run)
            yield self.watch
            tasks.cancel_scope.cancel()

    async def _run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        await self.watch.run(task_status=task_status)

    async def until(self, condition: Callable[[], object], *, within_s: float = DEADLINE_S) -> None:
        """Wait until `condition` holds; fail with what happened so far when it does not in time."""
        with anyio.move_on_after(within_s) as scope:
            while not condition():
                await self.changed.wait(0.02)
        if scope.cancelled_caught:
            said = "\n".join(map(str, self.notices[-20:]))
            pytest.fail(
                f"not within {within_s} s; settled {self.sink.paths[-20:]}, gone {self.sink.gone[-20:]}\n{said}"
            )

    def said(self, kind: type[Notice]) -> list[Any]:
        return [notice for notice in self.notices if type(notice) is kind]

    async def scans(self, count: int) -> None:
        """Wait until `count` scans, each begun after this call, have been made."""
        enough = len(self.said(ScanFinished)) + count + 1
        await self.until(lambda: len(self.said(ScanFinished)) >= enough)

    def observation(self) -> Observation:
        """The observer that is at work now."""
        observation = self.watch._supervisor._observation
        assert observation is not None
        return observation

    def deafen(self) -> None:
        """From now on the kernel's events are lost without a word."""
        self.observation()._reader.handle_event = lambda _event: None  # type: ignore[method-assign]

    def write(self, path: str, data: bytes = b"x") -> Path:
        """Create or truncate, write, close."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return file

    def identity(self, path: str) -> FileIdentity:
        return FileIdentity.of((self.root / path).stat())
