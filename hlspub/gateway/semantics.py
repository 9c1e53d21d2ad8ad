"""HTTP semantics: conditional requests, ranges, and the header fields that name a file.

Rule: text in, values out; nothing here knows of requests or blocks. Where a client's header is malformed, RFC 9110 has it
ignored, and so it is: a wrong Range gives the whole file, a wrong If-None-Match a full answer.

Source: RFC 9110 §8.8.3 (ETag), §13 (preconditions), §14 (ranges); RFC 6266 and RFC 8187 (Content-Disposition).
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

# entity-tag = [ weak ] opaque-tag; etagc has no quote and no control character
_ENTITY_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_INT_RANGE = re.compile(r"([0-9]*)-([0-9]*)")
_MAX_DIGITS: Final = 19  # what an offset in any file can need; a longer number is an attack on int()


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes from `start` to before `end`."""

    start: int
    end: int

    def content_range(self, size: int) -> str:
        """The Content-Range of a 206; never of an empty span, which it cannot express."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


class Unsatisfiable(Exception):  # noqa: N818 -- the RFC's word
    """The range lies wholly beyond the file: 416."""


def none_match(field: str | None, etag: str) -> bool:
    """Whether If-None-Match holds, that is, whether the client does NOT have `etag` yet. Weak comparison, §13.1.2."""
    if field is None:
        return True
    if field.strip() == "*":
        return False
    return _opaque(etag) not in {opaque for _, opaque in _ENTITY_TAG.findall(field)}


def range_applies(if_range: str | None, etag: str) -> bool:
    """Whether Range is to be obeyed: no If-Range, or one that equals `etag` by strong comparison, §13.1.5.

    A date never equals anything: content-addressed files have no Last-Modified.
    """
    return if_range is None or (if_range.strip() == etag and not etag.startswith("W/"))


def parse_range(field: str | None, size: int) -> Span | None:
    """The span that a Range asks for; None for the whole file: no Range, several ranges, another unit, a malformed one.

    Raises:
        Unsatisfiable: it is well-formed and lies beyond the `size` bytes.
    """
    if field is None:
        return None
    unit, equals, ranges = field.partition("=")
    match = _INT_RANGE.fullmatch(ranges.strip())
    if unit.strip().lower() != "bytes" or not equals or match is None:
        return None
    first, last = match.groups()
    if len(first) > _MAX_DIGITS or len(last) > _MAX_DIGITS or not (first or last):
        return None
    return _from_offset(int(first), last, size) if first else _suffix(int(last), size)


def disposition(filename: str | None, *, download: bool) -> str | None:
    """The Content-Disposition for `?filename=` and `?download=`; None when neither was given.

    A name that is not plain ASCII comes twice: folded for old clients, whole as RFC 8187 encodes it.
    """
    if filename is None:
        return "attachment" if download else None
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in filename)
    encoded = "" if plain == filename else f"; filename*=UTF-8''{quote(filename, safe='', errors='replace')}"
    return f'{"attachment" if download else "inline"}; filename="{plain}"{encoded}'


def _opaque(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


def _from_offset(first: int, last: str, size: int) -> Span | None:
    if last and int(last) < first:
        return None  # "A client that receives … invalid … MUST ignore": §14.1.2 has such a range invalid
    if first >= size:
        raise Unsatisfiable
    return Span(first, min(int(last) + 1, size) if last else size)


def _suffix(length: int, size: int) -> Span | None:
    if length == 0:
        raise Unsatisfiable
    if size == 0:
        return None  # satisfiable, says §14.1.2, but no Content-Range could say so
    return Span(max(size - length, 0), size)
