"""A transcoder that writes sliding windows, and what its whole stream would look like in one playlist."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

DISCONTINUITY = "#EXT-X-DISCONTINUITY"


@dataclass(frozen=True)
class Segment:
    name: str
    duration: float
    discontinuity: bool
    keys: tuple[str, ...]
    map: str
    ranges: tuple[str, ...]
    cue: str
    gap: bool
    length: int  # of its byte range; 0: the file has its own name
    date: str


@dataclass(frozen=True)
class Style:
    """How the writer likes it."""

    dates: str  # none, each, head
    counts: bool  # writes EXT-X-DISCONTINUITY-SEQUENCE, and drops the tag before a window's first segment
    end: str
    start: int
    single_file: bool


def _target(segments: Sequence[Segment]) -> int:
    return max(1, *(int(segment.duration + 0.5) for segment in segments))


def _state(before: Segment | None, segment: Segment) -> list[str]:
    """The EXT-X-KEY and EXT-X-MAP lines before a segment; one key format at most, the map after the key."""
    keys = before.keys if before else ()
    lines = list(segment.keys) if segment.keys != keys else []
    if keys and not segment.keys:
        lines.append("#EXT-X-KEY:METHOD=NONE")
    if segment.map and segment.map != (before.map if before else ""):
        lines.append(segment.map)
    return lines


def _own(segment: Segment, style: Style, offset: int, *, explicit: bool) -> list[str]:
    lines = [segment.cue] if segment.cue else []
    lines += ["#EXT-X-GAP"] if segment.gap else []
    lines.append(f"#EXTINF:{segment.duration:.3f},")
    if style.single_file:
        lines.append(f"#EXT-X-BYTERANGE:{segment.length}" + (f"@{offset}" if explicit else ""))
    return [*lines, "all.mp4" if style.single_file else segment.name]


def window(stream: Sequence[Segment], first: int, last: int, style: Style, *, ended: bool = False) -> bytes:
    """The version that lists stream[first:last]."""
    shown = stream[first:last]
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "## by a writer", f"#EXT-X-TARGETDURATION:{_target(shown)}"]
    lines.append(f"#EXT-X-MEDIA-SEQUENCE:{style.start + first}")
    if style.counts:
        gone = sum(segment.discontinuity for segment in stream[: first + (first > 0)])
        lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{gone}")
    for place, segment in enumerate(shown):
        if segment.discontinuity and (place or not first or not style.counts):
            lines.append(DISCONTINUITY)
        lines += _state(shown[place - 1] if place else None, segment)
        lines += segment.ranges
        if style.dates == "each" or (style.dates == "head" and (place == 0 or segment.discontinuity)):
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{segment.date}")
        offset = sum(earlier.length for earlier in stream[: first + place])
        lines += _own(segment, style, offset, explicit=place == 0)
    return style.end.join([*lines, *(["#EXT-X-ENDLIST"] if ended else []), ""]).encode()


def whole(stream: Sequence[Segment], style: Style) -> bytes:
    """The archive playlist that the whole stream must become."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "## by a writer", f"#EXT-X-TARGETDURATION:{_target(stream)}"]
    lines.append(f"#EXT-X-MEDIA-SEQUENCE:{style.start}")
    lines += ["#EXT-X-DISCONTINUITY-SEQUENCE:0"] if style.counts else []
    lines.append("#EXT-X-PLAYLIST-TYPE:VOD")
    for place, segment in enumerate(stream):
        lines += [DISCONTINUITY] if segment.discontinuity else []
        lines += _state(stream[place - 1] if place else None, segment)
        lines += sorted(segment.ranges, key=lambda line: line.partition("START-DATE")[2])
        if style.dates == "each" or (style.dates == "head" and (place == 0 or segment.discontinuity)):
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{segment.date}")
        lines += _own(segment, style, sum(earlier.length for earlier in stream[:place]), explicit=True)
    return style.end.join([*lines, "#EXT-X-ENDLIST", ""]).encode()


styles = st.builds(
    Style,
    dates=st.sampled_from(["none", "each", "head"]),
    counts=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
    start=st.integers(0, 5),
    single_file=st.booleans(),
)


def rarely(other: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.integers(0, 5).flatmap(lambda dice: other if dice == 0 else st.just(""))


@st.composite
def streams(draw: st.DrawFn) -> list[Segment]:
    made: list[Segment] = []
    keys: tuple[str, ...] = ()
    current_map = draw(st.sampled_from(["", '#EXT-X-MAP:URI="init0.mp4"']))
    for number in range(draw(st.integers(1, 16))):
        change = draw(st.integers(0, 11))
        if change == 0:
            keys = draw(st.sampled_from([(), (f'#EXT-X-KEY:METHOD=AES-128,URI="k{number}.key"',)]))
        elif change == 1 and current_map:
            current_map = f'#EXT-X-MAP:URI="init{number}.mp4"'
        ranges = draw(st.sampled_from([(), (), (), (number,), (number + 1000, number)]))
        made.append(
            Segment(
                name=f"s{number}.ts",
                duration=draw(st.sampled_from([2.0, 2.0, 1.96, 3.6])),
                discontinuity=draw(st.integers(0, 6)) == 0,
                keys=keys,
                map=current_map,
                ranges=tuple(f'#EXT-X-DATERANGE:ID="{name}",START-DATE="2026-01-01T00:{name:04}"' for name in ranges),
                cue=draw(rarely(st.just(f"#EXT-X-CUE-OUT:{number}"))),
                gap=draw(st.integers(0, 9)) == 0,
                length=100 + number,
                date=f"2026-01-01T00:00:{number:02}.000Z",
            )
        )
    return made


@st.composite
def samples(draw: st.DrawFn, length: int, size: int) -> list[tuple[int, int]]:
    """Versions of a window of `size` segments over a stream of `length`: each segment is in one, the last is there."""
    seen: list[tuple[int, int]] = []
    last = 0
    while last < length:
        last = min(length, last + draw(st.integers(1, size)))
        seen.append((max(0, last - size), last))
    return seen
