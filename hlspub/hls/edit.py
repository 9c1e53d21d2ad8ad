"""Edits: the only changes that hlspub makes to a transcoder's playlist, line by line.

Rule: every byte that is not inserted stays as it was: order, spelling, line ends, a byte order mark. Two edits exist. A segment
that was lost is marked EXT-X-GAP, so that players step over it; a stream that ended without saying so gets its
EXT-X-ENDLIST. Both change nothing when there is nothing to do.

Source: RFC 8216bis §4.4.4.7 (EXT-X-GAP), §4.4.4.9 (GAP attribute of EXT-X-PART), §4.4.3.4 (EXT-X-ENDLIST).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import MappingProxyType

from hlspub.hls import runs
from hlspub.hls.playlist import ReferenceKind
from hlspub.hls.reading import Reading
from hlspub.hls.tags import read_line
from hlspub.hls.text import BLANKS, decode

_GAP = b"#EXT-X-GAP"
_PART_GAP = b",GAP=YES"
_ENDLIST = b"#EXT-X-ENDLIST"
_HAS_ENDLIST = re.compile(rb"^[ \t]*#EXT-X-ENDLIST(?:[ \t\r]*$|:)", re.MULTILINE)
_MARKED = (ReferenceKind.SEGMENT, ReferenceKind.PART)
_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


def mark_gaps(data: bytes, path: str, lost: AbstractSet[str], *, variables: Mapping[str, str] = _NO_VARIABLES) -> bytes:
    """Mark the segments and partial segments of the playlist at `path` whose files are in `lost`.

    A lost media initialization section marks every segment that needs it.

    Args:
        data: the playlist's bytes, whole.
        path: its own path relative to the stream's directory.
        lost: paths of lost files.
        variables: as for `scan`.

    Raises:
        PlaylistError: as `scan`, where the tags contradict one another.
    """
    raw = data.split(b"\n")
    texts = [line.strip(BLANKS) for line in decode(data)[0].split("\n")]
    places = [place for place, text in enumerate(texts) if text]
    reading = Reading(path, variables)
    for at, kind in reversed(list(_lost_lines(reading, [texts[place] for place in places], lost))):
        place = places[at]
        if kind is ReferenceKind.PART:
            body = raw[place].rstrip(BLANKS.encode())
            raw[place] = body + _PART_GAP + raw[place][len(body) :]
        else:
            raw.insert(place, _GAP + (b"\r" if raw[place].endswith(b"\r") else b""))
    return b"\n".join(raw)


def _lost_lines(reading: Reading, lines: Sequence[str], lost: AbstractSet[str]) -> Iterator[tuple[int, ReferenceKind]]:
    """Where lost segments (their URI lines) and lost partial segments stand that are not marked yet."""
    paths = reading.gathered.paths
    at, without_map = 0, False
    while at < len(lines):
        seen = len(paths)
        plain = lines[at].startswith(runs.EXTINF) and reading.idle and not without_map
        if plain and (taken := runs.take(reading, lines, at)):
            if not lost.isdisjoint(paths[seen:]):
                uris = [place for place in range(at, at + taken) if not lines[place].startswith("#")]
                listed = zip(uris, paths[seen:], strict=True)
                yield from ((place, ReferenceKind.SEGMENT) for place, path in listed if path in lost)
            at += taken
            continue
        read_line(reading, lines[at])
        if len(paths) > seen:
            _, kind, required, _ = reading.gathered.runs[-1]
            gone = paths[-1] in lost
            if kind is ReferenceKind.MAP:
                without_map = gone
            elif kind in _MARKED and required and (gone or without_map):
                yield at, kind
        at += 1


def add_endlist(data: bytes) -> bytes:
    """Append EXT-X-ENDLIST where there is none."""
    if _HAS_ENDLIST.search(data):
        return data
    end = b"\r\n" if b"\r\n" in data else b"\n"
    return data + (b"" if data.endswith(b"\n") else end) + _ENDLIST + end
