"""Edits: the only changes that hlspub makes to a transcoder's playlist, line by line.

Rule: every byte that is not inserted stays as it was: order, spelling, line ends, a byte order mark. Two edits exist. A segment
that was lost is marked EXT-X-GAP, so that players step over it; a stream that ended without saying so gets its
EXT-X-ENDLIST. Both change nothing when there is nothing to do.

Source: RFC 8216bis §4.4.4.7 (EXT-X-GAP), §4.4.4.9 (GAP attribute of EXT-X-PART), §4.4.3.4 (EXT-X-ENDLIST).
"""

import re
from collections.abc import Set as AbstractSet

from hlspub.hls.playlist import ReferenceKind
from hlspub.hls.reading import Reading
from hlspub.hls.tags import read_line

_GAP = b"#EXT-X-GAP"
_ENDLIST = b"#EXT-X-ENDLIST"
_HAS_ENDLIST = re.compile(rb"^[ \t]*#EXT-X-ENDLIST(?:[ \t\r]*$|:)", re.MULTILINE)
_BLANKS = b" \t\r"


def mark_gaps(data: bytes, path: str, lost: AbstractSet[str]) -> bytes:
    """Mark the segments and partial segments of the playlist at `path` whose files are in `lost`.

    A lost media initialization section marks every segment that needs it.

    Args:
        data: the playlist's bytes, whole.
        path: its own path relative to the stream's directory.
        lost: paths of lost files.

    Raises:
        PlaylistError: as `scan`, where the tags contradict one another.
    """
    reading = Reading(path, {})
    lines = data.split(b"\n")
    edited: list[bytes] = []
    without_map = False
    for line in lines:
        marked, seen = reading.gap, len(reading.gathered.paths)
        read_line(reading, line.strip(_BLANKS).decode("utf-8", "surrogateescape"))
        kind, is_lost = None, False
        if len(reading.gathered.paths) > seen:
            kind, is_lost = reading.gathered.runs[-1].kind, reading.gathered.paths[-1] in lost
        if kind is ReferenceKind.MAP:
            without_map = is_lost
        elif kind is ReferenceKind.SEGMENT and (is_lost or without_map) and not marked:
            edited.append(_GAP + _line_end(line))
        elif kind is ReferenceKind.PART and (is_lost or without_map) and reading.gathered.runs[-1].required:
            body = line.rstrip(_BLANKS)
            edited.append(body + b",GAP=YES" + line[len(body) :])
            continue
        edited.append(line)
    return b"\n".join(edited)


def add_endlist(data: bytes) -> bytes:
    """Append EXT-X-ENDLIST where there is none."""
    if _HAS_ENDLIST.search(data):
        return data
    end = b"\r\n" if b"\r\n" in data else b"\n"
    return data + (b"" if data.endswith(b"\n") else end) + _ENDLIST + end


def _line_end(line: bytes) -> bytes:
    """What follows the text of an inserted line before its newline, as in its neighbour."""
    return b"\r" if line.endswith(b"\r") else b""
