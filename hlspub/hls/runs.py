"""Runs: most of a long playlist, read by columns.

Theory: nearly all lines of a long media playlist repeat one shape, say EXTINF, EXT-X-PROGRAM-DATE-TIME, URI. Where they do,
the lines are a table whose columns are slices with a stride, and a few searches over a whole column prove that each of its
cells is what its first one is. Then the table is taken at once. A segment with a cell that is not plain (another tag, a URI
that needs resolving) is left to `tags`; how much is tried at once grows by four while it succeeds. What interrupts a run
comes at intervals (an advertisement, a new key), so the length of the last run is what is tried first with the next.

Rule: what this takes, `tags.read_line` would have read line by line with the same result; a test holds the two together.
"""

import json
import re
from collections.abc import Sequence
from functools import reduce
from itertools import repeat
from operator import add

from hlspub.hls.playlist import PlaylistKind
from hlspub.hls.reading import Reading
from hlspub.hls.tags import MAX_NUMBER, MAX_SECONDS, byterange, seconds

EXTINF = "#EXTINF:"
FIRST_ROWS = 32  # tried first, and left to `tags` when they do not fit
MAX_COLUMNS = 4
MAX_KNOWN = 4096  # different durations that are looked up
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
    width, start, rows = len(prefixes), at, max(FIRST_ROWS, reading.stretch)
    while at + width <= len(lines) and lines[at].startswith(EXTINF):
        rows = min(rows, (len(lines) - at) // width)
        end = at + width * rows
        columns = [lines[at + column : end : width] for column in range(width)]
        plain = min(map(_alike, columns, prefixes))
        if plain:
            uris = columns[prefixes.index("")][:plain]
            ranges = columns[prefixes.index(_RANGE)][:plain] if _RANGE in prefixes else uris[:0]
            _take(reading, columns[0][:plain], uris, ranges)
            at += width * plain
        if plain < rows:
            break
        rows *= 4
    reading.stretch = (at - start) // width
    return at - start


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
    if column[0] == column[-1] and _are_same(column):
        return len(column) if _plain(column[:1], prefix) else 0
    return _plain(column, prefix)


def _are_same(cells: Sequence[str]) -> bool:
    return cells.count(cells[0]) == len(cells)


def _plain(column: Sequence[str], prefix: str) -> int:
    text = "\n".join(("", *column, ""))
    if prefix:
        if text.count("\n" + prefix) == len(column):
            return len(column)
        return list(map(str.startswith, column, repeat(prefix))).index(False)
    # A regular expression would find any special character, at ten times the cost of these searches when there is none.
    if any(special in text for special in _SPECIAL) or (
        "/" in text and any(special in text for special in _SPECIAL_PATHS)
    ):
        special = _NOT_PLAIN.search(text)
        return text.count("\n", 0, special.start() + 1) - 1 if special else len(column)
    return len(column)


def _take(reading: Reading, heads: Sequence[str], uris: Sequence[str], ranges: Sequence[str]) -> None:
    reading.is_a(PlaylistKind.MEDIA, "EXTINF")
    lasting = _durations(reading, heads)
    folder = reading.path[: reading.path.rfind("/") + 1]
    one_file = bool(ranges) and _are_same(uris)
    paths = [folder + uris[0]] * len(uris) if one_file else list(map(folder.__add__, uris)) if folder else uris
    if not (one_file and _take_ranges(reading, paths[0], ranges)):
        for path, cell in zip(paths, ranges, strict=False):
            if extent := byterange(cell[len(_RANGE) :]):
                reading.range_of(path, *extent)
    reading.segments_run(paths, max(lasting), reduce(add, lasting, reading.total_s))


def _take_ranges(reading: Reading, path: str, cells: Sequence[str]) -> bool:
    """Take the byte ranges of one file at once, where all have an offset, or none has; False when it is not so."""
    text = "\n".join(cells)[len(_RANGE) :].replace("\n" + _RANGE, ",")
    signs = text.encode("ascii", "replace").translate(None, b"0123456789")
    placed = signs == b"@," * (len(cells) - 1) + b"@"
    if not text or not (placed or signs == b"," * (len(cells) - 1)):
        return False
    try:
        numbers = json.loads(f"[{text.replace('@', ',')}]")  # half the time of int() for each; no number starts with 0
    except ValueError:
        return False
    if max(numbers) > MAX_NUMBER:
        return False
    if placed:
        reading.ranges_of(path, list(map(add, numbers[::2], numbers[1::2])))
    else:
        reading.range_of(path, sum(numbers), None)  # each follows the one before
    return True


def _durations(reading: Reading, heads: Sequence[str]) -> list[float]:
    """The duration in seconds that each EXTINF line gives."""
    if _are_same(heads):
        return [seconds(heads[0][8:])] * len(heads)
    known = reading.durations  # a transcoder's durations repeat
    if len(known) < MAX_KNOWN:
        known.update((head, seconds(head[8:])) for head in set(heads).difference(known))
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
