"""The archive playlist: one VOD playlist out of all the windows that a sliding playlist showed.

Rule: it depends on the segments and on the last version, not on which versions in between were seen, so long as each
segment was in one of them. So a segment keeps the lines of its first sighting, but none that only a window's head gave it:
keys and maps are written where they change, byte ranges have their offsets, and a date that a writer puts before each
window's first segment stays only where dates start anew. A date range stands before the segment it was first seen at, or
before the first of all when it travels with the window's head.

A media sequence number that no version showed becomes an EXT-X-GAP (with its neighbour's URI, so that a player which ignores
gaps repeats and does not fail); where more are missing than a player should step over, an EXT-X-DISCONTINUITY.

What it is made of comes from a `learning.Learner`, by way of the journal.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from math import ceil, floor
from types import MappingProxyType
from urllib.parse import quote

from hlspub.hls import attributes
from hlspub.hls.learning import KeptSegment, Learner, is_broken
from hlspub.hls.tags import seconds
from hlspub.hls.text import encode
from hlspub.hls.window import DATE_TIME, DISCONTINUITY, ENDLIST, EXTINF, GAP, NO_KEY, State

MAX_HOLE = 100  # segments that no version showed and that are still written as gaps
_NO_NAMES: Mapping[int, str] = MappingProxyType({})


def archived_name(path: str, sequence: int) -> str:
    """Where an earlier version of a reused name lives: `a/seg0.ts` as of segment 7 is `a/seg0.7.ts`."""
    folder, slash, name = path.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    return f"{folder}{slash}{stem}.{sequence}.{suffix}" if stem and dot else f"{path}.{sequence}"


class Archive(Learner):
    """Everything that one media playlist ever listed in a session. A version has to be fed before `render`."""

    __slots__ = ("_at_head", "_first_number", "_sequences", "_states", "_texts")

    def __init__(self) -> None:
        super().__init__()
        # Columns, one entry a segment: all that grows.
        self._sequences: list[int] = []
        self._texts: list[str] = []
        self._states: list[State] = []
        self._at_head: set[int] = set()
        self._first_number = 0

    def add(self, item: KeptSegment) -> None:
        """Remember a segment behind all others."""
        if not self._sequences:
            self._first_number = item.number - is_broken(item.text)
        self._sequences.append(item.sequence)
        self._texts.append(item.text)
        same = bool(self._states) and self._states[-1] == item.state
        self._states.append(self._states[-1] if same else item.state)
        if item.at_head:
            self._at_head.add(item.sequence)
        super().add(item)

    def render(self, *, gaps: AbstractSet[int] = frozenset(), renamed: Mapping[int, str] = _NO_NAMES) -> bytes:
        """The archive playlist.

        Args:
            gaps: media sequence numbers of segments that were lost.
            renamed: media sequence number → path, for segments whose name was used again (`archived_name`).
        """
        target = self._target()
        lines = [*self._header(target), *self._body(target, gaps, renamed)]
        lines += [line for line in self.window.trailing_ranges if line not in self.ranges]
        return encode(self.line_end.join((*lines, ENDLIST, "")))

    # what render writes

    def _target(self) -> int:
        """§4.4.3.1: no segment, rounded, may be longer than the target duration."""
        lines = (line for text in self._texts for line in text.split("\n") if line.startswith(EXTINF))
        longest = max((floor(seconds(line.partition(":")[2]) + 0.5) for line in lines), default=1)
        return max(ceil(self.target_s), longest)

    def _undated(self) -> AbstractSet[int]:
        """Segments whose date the window's head gave them: where no segment behind a head has one of its own."""
        behind: set[bool] = set()
        heads: set[int] = set()
        for sequence, text in zip(self._sequences, self._texts, strict=True):
            if sequence in self._at_head and not is_broken(text):
                heads.add(sequence)
            elif sequence != self._sequences[0] and not is_broken(text):
                behind.add(DATE_TIME in text)
        return heads if behind == {False} else frozenset()

    def _header(self, target: int) -> Iterator[str]:
        """That of the last version, but for what is other for the whole."""
        values = {
            "#EXT-X-TARGETDURATION": target,
            "#EXT-X-MEDIA-SEQUENCE": self._sequences[0] if self._sequences else self.first_listed,
            "#EXT-X-DISCONTINUITY-SEQUENCE": self._first_number,
            "#EXT-X-PLAYLIST-TYPE": "VOD",
        }
        at = bisect_left(self._sequences, self.first_listed)
        of_a_segment = set(self._texts[at].split("\n")) if at < len(self._texts) else set[str]()
        said: set[str] = set()
        for line in self.window.header:
            name = line.partition(":")[0]
            if name not in values and line not in of_a_segment:
                yield line
            elif name in values and name not in said:
                said.add(name)
                yield f"{name}:{values[name]}"
        for name, value in values.items():
            if name not in said and value != 0:  # a sequence that starts at 0 need not be said
                yield f"{name}:{value}"

    def _body(self, target: int, gaps: AbstractSet[int], renamed: Mapping[int, str]) -> Iterator[str]:
        undated = self._undated()
        ranges: defaultdict[int, list[str]] = defaultdict(list)
        for line, sequence in self.ranges.items():
            ranges[sequence].append(line)
        now, expected = State(), self._sequences[0] if self._sequences else 0
        for sequence, text, state in zip(self._sequences, self._texts, self._states, strict=True):
            lines = text.split("\n")
            if sequence in undated:
                lines = [line for line in lines if not line.startswith(DATE_TIME)]
            if sequence in renamed:
                lines[-1] = _renamed(lines[-1], renamed[sequence])
            hole, expected = sequence - expected, sequence + 1
            if hole <= MAX_HOLE:
                yield from (GAP, f"{EXTINF}:{target},", lines[-1]) * hole
            if lines[0] == DISCONTINUITY:
                del lines[0]
                yield DISCONTINUITY
            elif hole > MAX_HOLE:
                yield DISCONTINUITY
            yield from _changes(now, state)
            now = state
            yield from sorted(ranges[sequence], key=_start_date)
            if sequence in gaps and GAP not in lines:
                yield GAP
            yield from lines


def _start_date(line: str) -> tuple[str, str]:
    return attributes.parse(line.partition(":")[2]).get("START-DATE", ""), line


def _changes(now: State, then: State) -> Iterator[str]:
    """The EXT-X-KEY and EXT-X-MAP lines between two segments."""
    keys = now.keys
    if then.map and then.map != now.map:
        yield from _key_changes(keys, then.map_keys)
        keys = then.map_keys
        yield then.map
    yield from _key_changes(keys, then.keys)


def _key_changes(now: tuple[str, ...], then: tuple[str, ...]) -> Iterator[str]:
    """A key is replaced by one of its KEYFORMAT; only METHOD=NONE, which ends all, ends one without that (§4.4.4.4)."""
    if _formats(now) - _formats(then):
        yield NO_KEY
        now = ()
    yield from (line for line in then if line not in now)


def _formats(keys: tuple[str, ...]) -> set[str]:
    return {attributes.parse(line.partition(":")[2]).get("KEYFORMAT", "identity") for line in keys}


def _renamed(uri: str, path: str) -> str:
    """`uri` with the name of `path`, which lies in the same folder."""
    folder = uri.partition("#")[0].partition("?")[0].rpartition("/")
    return folder[0] + folder[1] + quote(path.rpartition("/")[2].encode("utf-8", "surrogateescape"))
