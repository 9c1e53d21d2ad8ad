"""What a media playlist's versions teach, one after the other, for the archive playlist (see `archive`).

Rule: a segment keeps the lines of its first sighting, but none that only a window's head gave it. What is learned is handed
out as `Kept` values, once; a learner remembers of them only what the next version is read against, so that its memory does
not grow with the stream. A journal of the values is the archive's memory, across crashes too.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hlspub.hls.playlist import Playlist, Source
from hlspub.hls.text import BOM, decode, split_lines
from hlspub.hls.window import DISCONTINUITY, Listed, State, Window


class KeptSegment(NamedTuple):
    """A segment of the archive: its lines joined by newlines, EXT-X-DISCONTINUITY first and the URI last.

    `number` is its discontinuity sequence number, `target_s` the longest target duration so far in seconds, `at_head` whether
    it led the window in which it was first seen.
    """

    sequence: int
    text: str
    state: State
    number: int
    target_s: float
    at_head: bool


class KeptRange(NamedTuple):
    """An EXT-X-DATERANGE line before the segment `sequence`; `floats`: it was only seen at the head of a window."""

    sequence: int
    line: str
    floats: bool


Kept = KeptSegment | KeptRange


def is_broken(text: str) -> bool:
    """Whether a kept segment begins with EXT-X-DISCONTINUITY."""
    return text.startswith(DISCONTINUITY + "\n")


class Learner:
    """Learns from the versions of one media playlist in a session."""

    __slots__ = (
        "first",
        "first_listed",
        "floating",
        "last",
        "line_end",
        "number",
        "ranges",
        "source",
        "target_s",
        "window",
    )

    def __init__(self) -> None:
        self.first = self.last = -1  # media sequence numbers of the segments ever listed; -1 before the first
        self.number = 0  # discontinuity sequence number of the last one
        self.target_s = 0.0
        self.ranges: dict[str, int] = {}  # EXT-X-DATERANGE line → the segment that it stands before
        self.floating: set[str] = set()
        # Of the version that was fed last:
        self.window = Window(0)
        self.source = Source(0, b"")
        self.first_listed = 0
        self.line_end = "\n"

    def feed(self, data: bytes, playlist: Playlist) -> list[Kept]:
        """Take a version; `playlist` is the scan of `data`. Returns what it taught."""
        read = self.source.length if self.source.resume and self.source.begins(data) else 0
        if not read:
            self.window = Window(playlist.discontinuity_sequence)
        self.source = playlist.source
        self.line_end = "\r\n" if b"\r\n" in data else "\n"
        self.first_listed = playlist.last_sequence - playlist.segments + 1
        self.target_s = max(self.target_s, playlist.target_duration)
        text, _ = decode(data[read:])
        kept: list[Kept] = []
        new: list[tuple[int, Listed]] = []
        for listed in filter(None, map(self.window.line, split_lines(text.removeprefix(BOM)))):
            sequence = self.first_listed + listed.place
            kept += self._learn_ranges(sequence, listed)
            if sequence > self.last:
                new.append((sequence, listed))
        kept += [self._learn(sequence, listed) for sequence, listed in new]
        return kept

    def restore(self, kept: Iterable[Kept]) -> None:
        """Remember what `feed` returned, in that order; a learner needs the first and last segment and every range only."""
        for item in kept:
            if isinstance(item, KeptSegment):
                self.add(item)
            else:
                self._add_range(item)

    def is_complete(self, playlist: Playlist) -> bool:
        """Whether this version has ended and lists all that was ever listed: then its own bytes are the archive."""
        first = playlist.last_sequence - playlist.segments + 1
        return playlist.endlist and (self.last < 0 or (first <= self.first and self.last <= playlist.last_sequence))

    def add(self, item: KeptSegment) -> None:
        """Remember a segment behind all others."""
        if self.last < 0:
            self.first = item.sequence
        self.last, self.number = item.sequence, item.number
        self.target_s = max(self.target_s, item.target_s)

    def _learn(self, sequence: int, listed: Listed) -> KeptSegment:
        # A writer may count a discontinuity that left the window instead of listing it (RFC 8216bis §4.4.3.3).
        at_head = listed.place == 0 and self.last >= 0
        broken = listed.discontinuity or (at_head and listed.number > self.number)
        text = "\n".join((DISCONTINUITY, *listed.lines) if broken else listed.lines)
        item = KeptSegment(sequence, text, listed.state, listed.number, self.target_s, at_head)
        self.add(item)
        return item

    def _learn_ranges(self, sequence: int, listed: Listed) -> Iterator[KeptRange]:
        at_head = listed.place == 0
        first = self.first if self.last >= 0 else sequence
        for line in listed.ranges:
            known = self.ranges.get(line)
            if known is None:
                item = KeptRange(sequence, line, at_head)
            elif at_head and line in self.floating and known not in {sequence, first}:
                item = KeptRange(first, line, floats=True)
            else:
                continue
            self._add_range(item)
            yield item

    def _add_range(self, item: KeptRange) -> None:
        self.ranges[item.line] = item.sequence
        if item.floats:
            self.floating.add(item.line)
