"""The scanner: a playlist's bytes in, a `Playlist` out.

Rule: tolerant in what a playlist may hold (unknown tags and attributes, comments, CRLF, a byte order mark, bytes that are not
UTF-8, blanks around a line), strict in what it claims. A playlist that is none, or not whole yet, is an error and not a guess.

Whole means that nothing it says could turn out otherwise once the writer goes on: it says which kind it is, no tag waits for
its URI, and the last line is finished: by a newline, or because it is `#EXT-X-ENDLIST`, a comment behind that, or a URI with
its neighbours' suffix.

`rescan` reads a playlist that grew at its end: when the old bytes, proved by their hash, are the beginning of the new ones,
only the growth is parsed. Source: RFC 8216bis §4.1, §4.4.1.
"""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType

from hlspub.errors import PlaylistError
from hlspub.hls import runs
from hlspub.hls.classify import MEDIA_SUFFIXES, suffix_of
from hlspub.hls.playlist import Playlist, PlaylistKind, Source
from hlspub.hls.reading import Reading
from hlspub.hls.tags import read_line
from hlspub.hls.text import BLANKS, BOM, decode, pieces, split_lines

MAX_LINE = 4096  # bytes; ffmpeg's hls demuxer reads lines into a buffer of this size
_HEADER = re.compile(r"#EXTM3U(?!\S)")
_AGAIN = "hlspub reads it again when it changes."
_NEIGHBOURS = 8
_CUT_OFF = re.compile("[?#]")  # behind these more may follow
_UNMISTAKABLE = MEDIA_SUFFIXES | {"m3u8"}  # .m3u might be the beginning of .m3u8
_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


def scan(data: bytes, path: str, *, variables: Mapping[str, str] = _NO_VARIABLES, partial: bool = False) -> Playlist:
    """Read the playlist at `path`, its own path relative to the stream's directory, against which its URIs resolve.

    Args:
        data: the file's bytes.
        path: where it lies.
        variables: what the multivariant playlist defines, for EXT-X-DEFINE:IMPORT.
        partial: read a playlist that is not whole too, and warn `truncated`.

    Raises:
        PlaylistError: it is not a playlist, or not whole yet.
    """
    reading = Reading(path, variables)
    text = _text(reading, data)
    if text.startswith(BOM):
        reading.warn.add("bom")
        text = text.removeprefix(BOM)
    _check_header(text, path)
    last = _read(reading, data, text)
    return _finish(reading, last, data, sha256(data).digest(), partial=partial)


def rescan(data: bytes, path: str, previous: Playlist, *, variables: Mapping[str, str] = _NO_VARIABLES) -> Playlist:
    """As `scan`, but parses only what was appended since `previous`, if that is all that happened.

    Raises:
        PlaylistError: as `scan`.
    """
    source, resume = previous.source, previous.source.resume
    imported = all(variables.get(name) == previous.variables.get(name) for name in previous.imports)
    if resume is None or resume.path != path or len(data) < source.length or not imported:
        return scan(data, path, variables=variables)
    old = memoryview(data)[: source.length]
    proof = sha256(old)
    if proof.digest() != source.digest:
        return scan(data, path, variables=variables)
    if len(data) == source.length:
        return previous
    growth = data[source.length :]
    proof.update(growth)
    reading = Reading.of(variables, previous, resume)
    last = _read(reading, growth, _text(reading, growth, before=source.length))
    return _finish(reading, last, growth, proof.digest(), partial=False, before=source.length)


def _text(reading: Reading, data: bytes, *, before: int = 0) -> str:
    if b"\0" in data:
        raise PlaylistError(
            f"{reading.path} holds NUL bytes",
            offset=before + data.index(b"\0"),
            hint=f"It is no playlist, or a crash left zeros in it; {_AGAIN}",
        )
    text, is_utf8 = decode(data)
    if not is_utf8:
        reading.warn.add("not-utf8")
    return text


def _check_header(text: str, path: str) -> None:
    start = text.lstrip(BLANKS + "\n")
    if not start:
        raise PlaylistError(
            f"{path} is empty", hint=f"Its writer has not written it yet, or the disk was full; {_AGAIN}"
        )
    if _HEADER.match(start):
        return
    if start.startswith("<"):
        what, hint = (
            "is an HTML or XML page, not a playlist",
            "A server's error page was saved in its place; fetch it again.",
        )
    else:
        what, hint = (
            f"does not start with #EXTM3U but with {start[:40]!r}",
            f"It is no playlist, or not written yet; {_AGAIN}",
        )
    raise PlaylistError(f"{path} {what}", hint=hint)


def _read(reading: Reading, data: bytes, text: str) -> str:
    """Read all lines; the last one."""
    if _has_long_line(data):
        reading.warn.add("line-too-long")
    last = ""
    for piece in pieces(text):
        lines = split_lines(piece)
        _read_lines(reading, lines)
        last = lines[-1] if lines else last
    return last


def _read_lines(reading: Reading, lines: Sequence[str]) -> None:
    at, plain_from = 0, 0
    while at < len(lines):
        line = lines[at]
        if at >= plain_from and line.startswith(runs.EXTINF) and reading.idle:
            taken = runs.take(reading, lines, at)
            if taken:
                at += taken
                continue
            plain_from = at + runs.FIRST_ROWS  # what did not fit is not tried again at each segment
        read_line(reading, line)
        at += 1


def _has_long_line(data: bytes) -> bool:
    """Whether a line is longer than MAX_LINE: leap from newline to newline as far as one may."""
    at = 0
    while len(data) - at > MAX_LINE:
        end = data.rfind(b"\n", at, at + MAX_LINE + 1)
        if end < 0:
            return True
        at = end + 1
    return False


def _finish(reading: Reading, last: str, data: bytes, digest: bytes, *, partial: bool, before: int = 0) -> Playlist:
    if reading.kind is None:
        raise PlaylistError(
            f"{reading.path} lists neither segments nor variant streams, and has no EXT-X-TARGETDURATION",
            hint=f"Its writer has not come further yet; {_AGAIN}",
        )
    finished = data.endswith(b"\n")
    fault = _fault(reading, last, finished=finished)
    if fault and not partial:
        raise PlaylistError(
            f"{reading.path} is not whole: {fault}",
            hint=f"Its writer is still at it, or stopped half-way; {_AGAIN} If it is finished, end its last line.",
        )
    if fault:
        reading.warn.add("truncated")
    goes_on = finished and not reading.dangling and reading.kind is PlaylistKind.MEDIA
    resume = reading.resume() if goes_on else None
    return reading.playlist(reading.kind, Source(before + len(data), digest, resume))


def _fault(reading: Reading, last: str, *, finished: bool) -> str:
    """What makes it not whole, in words; empty when nothing does."""
    if reading.dangling and not reading.endlist:
        return f"after {reading.dangling} the line with the URI is missing"
    if reading.kind is PlaylistKind.MULTIVARIANT and not reading.variants:
        return "it lists no variant stream yet"
    if not finished and not _ends_well(reading, last):
        return f"it breaks off in its last line, after {last[-40:]!r}"
    return ""


def _ends_well(reading: Reading, line: str) -> bool:
    """Whether a last line without a newline can be taken for finished."""
    if line.startswith("#"):
        return line == "#EXT-X-ENDLIST" or (reading.endlist and not line.startswith("#EXT"))
    neighbours = {suffix_of(path) for path in reading.gathered.paths[-_NEIGHBOURS:-1]}
    return not _CUT_OFF.search(line) and suffix_of(line) in neighbours | _UNMISTAKABLE
