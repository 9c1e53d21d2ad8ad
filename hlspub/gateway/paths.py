"""Paths of the gateway: from the bytes of a request target to names, and back to a safe URL.

Rule: the percent-encoded form is the truth, for it alone says where names begin and end; it is decoded once, here. A name in
a tree may hold any character but "/" and NUL, so every name that goes into a URL is encoded whole. Empty segments are passed
over, as IPFS gateways do.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote_to_bytes


def raw_path(scope: Mapping[str, Any]) -> str:
    """The path as it stands in the request, percent-encoded, without the query."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw.decode("ascii", "replace").partition("?")[0]


def split(path: str) -> tuple[str, ...]:
    """The decoded segments of a percent-encoded path.

    Raises:
        UnicodeDecodeError: a segment is not UTF-8, which no name in a tree is.
    """
    return tuple(name for name in unquote_to_bytes(path).decode().split("/") if name)


def join(*segments: str) -> str:
    """The absolute URL path of these segments, each encoded whole."""
    return "".join("/" + quote(segment, safe="") for segment in segments)


def longest_name(segments: Sequence[str], names: Collection[str]) -> tuple[str, tuple[str, ...]] | None:
    """The longest of `names` that the path starts with, and what is left of the path.

    Stream names may hold "/": with the streams `cam` and `cam/north`, /cam/north/a.ts is a file of the second.
    """
    for end in range(len(segments), 0, -1):
        name = "/".join(segments[:end])
        if name in names:
            return name, tuple(segments[end:])
    return None
