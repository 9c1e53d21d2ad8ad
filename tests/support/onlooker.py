"""What a transcoder listed, seen from beside: every media playlist in its directory, read again and again while it writes.

Rule: nothing of hlspub's reads here. Segments are told apart by their media sequence number.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

EVERY_S = 0.05  # a segment stays listed for seconds


class Segment(NamedTuple):
    """A listed segment: its URI, and its duration in seconds."""

    uri: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Listing:
    """A media playlist: its segments by media sequence number, and the tags that say what it is."""

    segments: dict[int, Segment]
    tags: frozenset[str]

    @property
    def seconds(self) -> float:
        return sum(segment.duration_s for segment in self.segments.values())

    @property
    def endlist(self) -> bool:
        return "#EXT-X-ENDLIST" in self.tags


def listing(text: str) -> Listing:
    """Read a media playlist."""
    lines = [line.strip() for line in text.splitlines()]
    number, duration = 0, 0.0
    segments: dict[int, Segment] = {}
    for line in lines:
        if line.startswith("#EXT-X-MEDIA-SEQUENCE:"):
            number = int(line.partition(":")[2])
        elif line.startswith("#EXTINF:"):
            duration = float(line.partition(":")[2].partition(",")[0])
        elif line and not line.startswith("#"):
            segments[number] = Segment(line, duration)
            number += 1
    return Listing(segments, frozenset(line.partition(":")[0] if "TYPE" not in line else line for line in lines))


@dataclass(slots=True, eq=False)
class Onlooker:
    """Looks on in a thread. `before`: texts that an earlier run left, which are not of this one."""

    directory: Path
    before: Mapping[str, str] = field(default_factory=dict[str, str])
    pattern: str = "*.m3u8"  # of the playlists' names
    texts: dict[str, str] = field(default_factory=dict[str, str])  # the newest, by path
    listed: dict[str, dict[int, Segment]] = field(default_factory=dict[str, dict[int, Segment]])
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="onlooker")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def segments(self) -> int:
        """How many segments the longest playlist has listed so far."""
        return max(map(len, self.listed.values()), default=0)

    @property
    def seconds(self) -> float:
        """The longest playlist's duration, everything that it ever listed counted."""
        return max((sum(s.duration_s for s in one.values()) for one in self.listed.values()), default=0.0)

    def look(self) -> None:
        """Read every playlist once."""
        for path in sorted(self.directory.rglob(self.pattern)):
            name = path.relative_to(self.directory).as_posix()
            text = path.read_text(encoding="utf-8")
            if "#EXTINF:" in text and self.before.get(name) != text:
                self.texts[name] = text
                self.listed.setdefault(name, {}).update(listing(text).segments)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self.look()
        self.look()
