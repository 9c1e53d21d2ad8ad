"""Pages in memory: what a process that reads little keeps of an index."""

from collections import OrderedDict
from dataclasses import dataclass, field

ROOM = 32 << 20  # bytes


@dataclass(slots=True, eq=False)
class MemoryPages:
    """The last used ones, `room` bytes at most."""

    room: int = ROOM
    _size: int = 0
    _kept: OrderedDict[str, bytes] = field(default_factory=OrderedDict[str, bytes])

    async def get(self, name: str) -> bytes | None:
        """What was kept."""
        data = self._kept.get(name)
        if data is not None:
            self._kept.move_to_end(name)
        return data

    async def put(self, name: str, data: bytes) -> None:
        """Keep it, and let go of what was used longest ago."""
        self._size += len(data) - len(self._kept.pop(name, b""))
        self._kept[name] = data
        while self._size > self.room:
            _, gone = self._kept.popitem(last=False)
            self._size -= len(gone)
