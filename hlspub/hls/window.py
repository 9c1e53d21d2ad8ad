"""Windows: one version of a media playlist, taken apart into what belongs to each segment.

Theory. A sliding window repeats at its head what still holds (EXT-X-MAP, EXT-X-KEY, for some writers a date), and
drops the rest with the segments that leave. So of the lines before a segment some are its own, some are a state that lasts, and
before the first segment some are the playlist's. The table below says which is which; an unknown tag or a comment
belongs to the playlist before the first segment and to the next segment after it.

Source: RFC 8216bis §4.4.3 (playlist), §4.4.4 (segments), §6.2.2 (what a server may change in a live playlist).
"""

import re
from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import NamedTuple

from hlspub.hls import attributes

DISCONTINUITY = "#EXT-X-DISCONTINUITY"
DATE_TIME = "#EXT-X-PROGRAM-DATE-TIME"
ENDLIST = "#EXT-X-ENDLIST"
EXTINF = "#EXTINF"
GAP = "#EXT-X-GAP"
KEY = "#EXT-X-KEY"
NO_KEY = "#EXT-X-KEY:METHOD=NONE"
_RANGE = re.compile(r"#EXT-X-BYTERANGE:\s*([0-9]{1,20})(?:@([0-9]{1,20}))?\s*")


class Belongs(Enum):
    """Whose a line is."""

    PLAYLIST = auto()
    SEGMENT = auto()  # its own, also before the first one
    STATE = auto()  # lasts until it is said anew
    NOBODY = auto()  # makes sense in a live playlist only


_NAMES: Mapping[Belongs, tuple[str, ...]] = MappingProxyType(
    {
        Belongs.PLAYLIST: (
            "#EXTM3U",
            "#EXT-X-ALLOW-CACHE",
            "#EXT-X-DEFINE",
            "#EXT-X-DISCONTINUITY-SEQUENCE",
            "#EXT-X-I-FRAMES-ONLY",
            "#EXT-X-IMAGES-ONLY",
            "#EXT-X-INDEPENDENT-SEGMENTS",
            "#EXT-X-MEDIA-SEQUENCE",
            "#EXT-X-PLAYLIST-TYPE",
            "#EXT-X-START",
            "#EXT-X-TARGETDURATION",
            "#EXT-X-VERSION",
        ),
        Belongs.SEGMENT: (
            EXTINF,
            DATE_TIME,
            DISCONTINUITY,
            GAP,
            "#EXT-OATCLS-SCTE35",
            "#EXT-X-ASSET",
            "#EXT-X-BITRATE",
            "#EXT-X-BYTERANGE",
            "#EXT-X-CUE",
            "#EXT-X-CUE-IN",
            "#EXT-X-CUE-OUT",
            "#EXT-X-CUE-OUT-CONT",
            "#EXT-X-DATERANGE",
            "#EXT-X-SCTE35",
            "#EXT-X-TILES",
        ),
        Belongs.STATE: (KEY, "#EXT-X-MAP"),
        Belongs.NOBODY: (
            ENDLIST,
            "#EXT-X-PART",
            "#EXT-X-PART-INF",
            "#EXT-X-PRELOAD-HINT",
            "#EXT-X-RENDITION-REPORT",
            "#EXT-X-SERVER-CONTROL",
            "#EXT-X-SKIP",
        ),
    }
)
BELONGS: Mapping[str, Belongs] = MappingProxyType({name: whose for whose, names in _NAMES.items() for name in names})


class State(NamedTuple):
    """What holds for a segment: the EXT-X-KEY lines, the EXT-X-MAP line, and the keys that held where that stood."""

    keys: tuple[str, ...] = ()
    map: str = ""
    map_keys: tuple[str, ...] = ()


class Listed(NamedTuple):
    """A segment as a version lists it: its own lines, but EXT-X-DISCONTINUITY and EXT-X-DATERANGE, with the URI last.

    `place` counts the version's segments from 0, `number` is the segment's discontinuity sequence number.
    """

    place: int
    lines: tuple[str, ...]
    state: State
    discontinuity: bool
    number: int
    ranges: tuple[str, ...]


class Window:
    """Takes a version line by line; what it was given last may go on with `line` when the playlist grew."""

    __slots__ = (
        "_discontinuity",
        "_extinf",
        "_keys",
        "_lines",
        "_ranges",
        "_rest",
        "_state",
        "count",
        "header",
        "number",
    )

    def __init__(self, discontinuity_sequence: int) -> None:
        self.header: list[str] = []
        self.number = discontinuity_sequence
        self.count = 0  # segments
        self._state = State()
        self._keys: dict[str, str] = {}
        self._lines: list[str] = []
        self._ranges: list[str] = []
        self._extinf = False
        self._discontinuity = False
        self._rest: tuple[str, int] = ("", 0)  # the last byte range: resource and end

    @property
    def trailing_ranges(self) -> tuple[str, ...]:
        """EXT-X-DATERANGE lines after the last segment."""
        return tuple(self._ranges)

    def line(self, line: str) -> Listed | None:
        """Take a line; the segment that it completes, if it does."""
        if not line.startswith("#"):
            return self._segment(line) if self._extinf else None
        name = "#EXTM3U" if line.startswith("#EXTM3U") else line.partition(":")[0]
        match BELONGS.get(name, Belongs.SEGMENT if self.count else Belongs.PLAYLIST):
            case Belongs.PLAYLIST:
                self.header.append(line)
            case Belongs.SEGMENT:
                self._own(name, line)
            case Belongs.STATE:
                self._last(name, line)
            case Belongs.NOBODY:
                pass
        return None

    def _own(self, name: str, line: str) -> None:
        if name == DISCONTINUITY:
            self._discontinuity = True
        elif name == "#EXT-X-DATERANGE":
            self._ranges.append(line)
        else:
            self._extinf |= name == EXTINF
            self._lines.append(line)

    def _last(self, name: str, line: str) -> None:
        """§4.4.4.4: a key replaces those of its KEYFORMAT; §4.4.4.5: a map is encrypted as the keys before it say."""
        if name == KEY:
            found = attributes.parse(line.partition(":")[2])
            if found.get("METHOD") == "NONE":
                self._keys = {}
            else:
                self._keys[found.get("KEYFORMAT", "identity")] = line
            state = self._state._replace(keys=tuple(self._keys.values()))
        else:
            state = self._state._replace(map=line, map_keys=self._state.keys)
        if state != self._state:  # segments that share a state share the object
            self._state = state

    def _segment(self, uri: str) -> Listed:
        self.number += self._discontinuity
        listed = Listed(
            self.count,
            (*(self._explicit(line, uri) for line in self._lines), uri),
            self._state,
            self._discontinuity,
            self.number,
            tuple(self._ranges),
        )
        self.count += 1
        self._lines, self._ranges, self._extinf, self._discontinuity = [], [], False, False
        return listed

    def _explicit(self, line: str, uri: str) -> str:
        """A byte range with its offset: without one it counts from a neighbour that another version may not have."""
        found = _RANGE.fullmatch(line)
        if not found:
            return line
        resource, end = self._rest
        start = int(found[2]) if found[2] else end if resource == uri else 0
        self._rest = (uri, start + int(found[1]))
        return f"#EXT-X-BYTERANGE:{found[1]}@{start}"
