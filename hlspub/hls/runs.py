"""Runs: most of a long playlist, read by columns.

Theory: nearly all lines of a long media playlist repeat one shape, say EXTINF, EXT-X-PROGRAM-DATE-TIME, URI. Where they do,
the lines are a table whose columns are slices with a stride, and a few searches over a whole column prove that each of its
cells is what its first one is. Then the table is taken at once. A segment with a cell that is not plain (another tag, a URI
that needs resolving) is left to `tags`; how much is tried at once grows by four while it succeeds.

Rule: what this takes, `tags.read_line` would have read line by line with the same result; a test holds the two together.
"""

import re
from collections.abc import Sequence
from functools import reduce
from itertools import repeat
from operator import add

from hlspub.hls.playlist import PlaylistKind
from hlspub.hls.reading import Reading
from hlspub.hls.tags import MAX_SECONDS, byterange, seconds

EXTINF = "#EXTINF:"
FIRST_ROWS = 32  # tried first, and left to `tags` when they do not fit
MAX_COLUMNS = 4
_SAMPLE = 64
# In a plain URI nothing is to be decoded, cut off, substituted or normalised, and it names no other scheme.
_SPECIAL = ("#", "%", "\\", ":", "?", "{", "\n.")
_SPECIAL_PATHS = ("//", "/.", "\n/", "/\n")
_NOT_PLAIN = re.compile(r"[#%\\:?{]|\n[./]|/[/.\n]")
_RANGE = "#EXT-X-BYTERANGE:"
_TAGS = (_RANGE, "#EXT-X-PROGRAM-DATE-TIME:", "#EXT-X-BITRATE:")


def take(reading: Reading, lines: Sequence[str], at: int) -> int:
    """Read the run of plain segments that starts with the EXTINF at `lines[at]`; how many lines that was, 0 if none."""
    prefixes = _shape(lines, at)
    if not prefixes:
        return 0
    width, start, rows = len(prefixes), at, FIRST_ROWS
    while True:
        rows = min(rows, (len(lines) - at) // width)
        end = at + width * rows
        columns = [lines[at + column : end : width] for column in range(width)]
        plain = min(map(_alike, columns, prefixes))
        if plain:
            uris = columns[prefixes.index("")][:plain]
            ranges = columns[prefixes.index(_RANGE)][:plain] if _RANGE in prefixes else uris[:0]
            _take(reading, columns[0][:plain], uris, ranges)
            at += width * plain
        if plain < rows or not rows:
            return at - start
        rows *= 4


def _shape(lines: Sequence[str], at: int) -> list[str]:
    """For each line of the segment at `at` the prefix that its like must have, "" for the URI; empty when not plain."""
    prefixes = [EXTINF]
    for line in lines[at + 1 : at + 1 + MAX_COLUMNS]:
        if line.startswith(EXTINF):
            return prefixes if prefixes.count("") == 1 else []
        prefix = next(filter(line.startswith, _TAGS), None) if line.startswith("#") else ""
        if prefix is None or (prefix == _RANGE and ("" in prefixes or _RANGE in prefixes)):
            return []  # behind the URI a byte range is the next segment's
        prefixes.append(prefix)
    return []


def _alike(column: Sequence[str], prefix: str) -> int:
    """How many cells from the top are plain."""
    if prefix:
        if all(map(str.startswith, column, repeat(prefix))):
            return len(column)
        return next(row for row, cell in enumerate(column) if not cell.startswith(prefix))
    text = "\n".join(("", *column, ""))
    # A regular expression would find any special character, at ten times the cost of these searches when there is none.
    if any(special in text for special in _SPECIAL) or (
        "/" in text and any(special in text for special in _SPECIAL_PATHS)
    ):
        special = _NOT_PLAIN.search(text)
        return text.count("\n", 0, special.start() + 1) - 1 if special else len(column)
    return len(column)


def _take(reading: Reading, heads: Sequence[str], uris: Sequence[str], ranges: Sequence[str]) -> None:
    reading.is_a(PlaylistKind.MEDIA, "EXTINF")
    lasting = _durations(heads)
    folder = reading.path[: reading.path.rfind("/") + 1]
    paths = list(map(folder.__add__, uris)) if folder else uris
    for path, cell in zip(paths, ranges, strict=False):
        if extent := byterange(cell[len(_RANGE) :]):
            reading.range_of(path, *extent)
    reading.segments_run(paths, max(lasting), reduce(add, lasting, reading.total_s))


def _durations(heads: Sequence[str]) -> list[float]:
    """The duration in seconds that each EXTINF line gives."""
    if 2 * len(set(heads[:_SAMPLE])) < len(heads[:_SAMPLE]):  # a transcoder's durations repeat
        known = {head: seconds(head[8:]) for head in set(heads)}
        return list(map(known.__getitem__, heads))
    text = "\n".join((*heads, ""))
    try:
        if text.count(",\n") == text.count(",") == len(heads):  # no titles
            found = [float(head[8:-1]) for head in heads]
        else:
            found = [float(head[8:].partition(",")[0]) for head in heads]
    except ValueError:
        found = []
    if found and min(found) >= 0 and sum(found) < MAX_SECONDS:  # which "nan" fails as well
        return found
    return [seconds(head[8:]) for head in heads]
