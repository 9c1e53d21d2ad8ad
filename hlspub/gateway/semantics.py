"""HTTP semantics: conditional requests, ranges, and the header fields that name a file.

Rule: text in, values out; nothing here knows of requests or blocks. Where a client's header is malformed, RFC 9110 has it
ignored, and so it is: a wrong Range gives the whole file, a wrong If-None-Match a full answer.

Source: RFC 9110 §8.8.3 (ETag), §13 (preconditions), §14 (ranges); RFC 6266 and RFC 8187 (Content-Disposition).
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

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
    """The span that a Range asks for; None for the whole file: no Range, another unit, a malformed one.

    Of several ranges the first that can be satisfied is answered: §15.3.7 lets a server send "only a subset of the data
    requested", and says in Content-Range which.

    Raises:
        Unsatisfiable: it is well-formed and lies wholly beyond the `size` bytes.
    """
    if field is None:
        return None
    unit, equals, ranges = field.partition("=")
    matches = [_INT_RANGE.fullmatch(part.strip()) for part in ranges.split(",")]
    if unit.strip().lower() != "bytes" or not equals or not all(map(_is_valid, matches)):
        return None
    for first, last in (match.groups() for match in matches if match):
        if first and int(first) < size:
            return Span(int(first), min(int(last) + 1, size) if last else size)
        if not first and int(last):
            # Of an empty file a suffix is satisfiable, says §14.1.2, but no Content-Range could say so.
            return Span(max(size - int(last), 0), size) if size else None
    raise Unsatisfiable


def _is_valid(match: re.Match[str] | None) -> bool:
    """Whether it is a range at all: one bound or both, and not the last before the first (§14.1.2)."""
    if match is None or match[0] == "-" or max(len(match[1]), len(match[2])) > _MAX_DIGITS:
        return False
    return not (match[1] and match[2]) or int(match[1]) <= int(match[2])


def disposition(filename: str | None, *, download: bool) -> str | None:
    """The Content-Disposition for `?filename=` and `?download=`; None when neither was given.

    A name that is not plain ASCII comes twice: folded for old clients, whole as RFC 8187 encodes it. One that is encoded still,
    as the pages of IPFS gateways link, is decoded.
    """
    if filename is None:
        return "attachment" if download else None
    with suppress(UnicodeDecodeError):
        filename = unquote(filename, errors="strict")
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in filename)
    encoded = "" if plain == filename else f"; filename*=UTF-8''{quote(filename, safe='', errors='replace')}"
    return f'{"attachment" if download else "inline"}; filename="{plain}"{encoded}'


def _opaque(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')
