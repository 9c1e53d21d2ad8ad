"""A bounded cache on disk: what was read from far away, by name.

Rule: nothing here needs to last and nothing is synced; who reads a block from here holds it to its CID, as one from far away. A
write is made whole under another name first. At the bound what was used longest ago goes. A disk that refuses makes the cache
smaller, never a request fail.
"""

import os
import tempfile
from collections import OrderedDict
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock

import anyio.to_thread

_UNFINISHED = ".part"


class DiskCache:
    """Files below `root`, `room` bytes at most; one process's own."""

    def __init__(self, root: Path, room: int) -> None:
        self.root = root
        self.room = room
        self.used = 0
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._lock = Lock()

    def open(self) -> None:
        """Take stock of what an earlier life left, oldest first. Blocking."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        found: list[tuple[float, str, int]] = []
        for path in self.root.glob("*/*"):
            if path.suffix == _UNFINISHED:
                path.unlink(missing_ok=True)
            else:
                stat = path.stat()
                found.append((stat.st_mtime, path.parent.name + path.name, stat.st_size))
        for _, key, size in sorted(found):
            self._sizes[key] = size
            self.used += size
        self._shrink()

    async def get(self, name: str) -> bytes | None:
        """What was kept, None when it was not or is no more."""
        key = sha256(name.encode()).hexdigest()
        if key not in self._sizes:
            return None
        return await anyio.to_thread.run_sync(self._read, key)

    async def put(self, name: str, data: bytes) -> None:
        """Keep it, if there is room."""
        if len(data) <= self.room:
            await anyio.to_thread.run_sync(self._write, sha256(name.encode()).hexdigest(), data)

    def _path(self, key: str) -> Path:
        return self.root / key[:2] / key[2:]

    def _read(self, key: str) -> bytes | None:
        with self._lock, suppress(KeyError):
            self._sizes.move_to_end(key)
        try:
            return self._path(key).read_bytes()
        except OSError:
            self._forget(key)
            return None

    def _write(self, key: str, data: bytes) -> None:
        path = self._path(key)
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            handle, part = tempfile.mkstemp(dir=path.parent, suffix=_UNFINISHED)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                Path(part).replace(path)
            except OSError:
                Path(part).unlink(missing_ok=True)
                raise
        except OSError:
            self._give_way()
            return
        with self._lock:
            self.used += len(data) - self._sizes.pop(key, 0)
            self._sizes[key] = len(data)
        self._shrink()

    def _give_way(self) -> None:
        """The disk is full or failing: half of what is here makes room for what matters more."""
        while self.used > self.room // 2 and self._drop():
            pass

    def _shrink(self) -> None:
        while self.used > self.room and self._drop():
            pass

    def _drop(self) -> bool:
        with self._lock:
            if not self._sizes:
                return False
            key, size = self._sizes.popitem(last=False)
            self.used -= size
        with suppress(OSError):
            self._path(key).unlink()
        return True

    def _forget(self, key: str) -> None:
        with self._lock:
            self.used -= self._sizes.pop(key, 0)
