"""One file of a DAG as an HTTP response: conditional, by range, block by block.

Rule: the CID is the strong ETag, for the bytes follow from it. Whoever calls decides what may be cached and for how long, and
which headers say where the file was found.

Source: RFC 9110; specs.ipfs.tech/http-gateways/path-gateway.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hlspub.gateway import media
from hlspub.gateway.ports import Blocks
from hlspub.gateway.reading import BodyResponse, Get, getter
from hlspub.gateway.semantics import Span, Unsatisfiable, disposition, none_match, parse_range, range_applies
from hlspub.hls import media_types
from hlspub.ipld import walk
from hlspub.ipld.cid import Cid

IMMUTABLE: Final = "public, max-age=29030400, immutable"


@dataclass(frozen=True, slots=True)
class File:
    """A file to serve: its `size` in bytes, its type, and the headers that its address calls for.

    `block` is that of `cid` itself, read already.
    """

    cid: Cid
    size: int
    block: bytes
    media_type: str | None  # None: look at the bytes
    headers: Mapping[str, str]
    tag: Cid | None = None  # of what the address names, where that is not the file itself: a directory with an index


async def respond(request: Request, blocks: Blocks, file: File) -> Response:
    """The file, the part of it that was asked for, or that it has not changed.

    Raises:
        HTTPException: 416.
        HlspubError: a block is missing or damaged and nothing was sent yet.
    """
    etag = f'"{file.tag or file.cid}"'
    headers = {"Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff", **file.headers, "ETag": etag}
    if not none_match(request.headers.get("if-none-match"), etag):
        return not_modified(headers)

    get = getter(blocks, {file.cid: file.block})
    media_type = file.media_type or media_types.sniff(await _head(file.cid, get))
    headers["Content-Type"] = media_type
    if media.is_active(media_type):
        headers["Content-Security-Policy"] = media.SANDBOX
    named = disposition(request.query_params.get("filename"), download=request.query_params.get("download") == "true")
    if named is not None:
        headers["Content-Disposition"] = named

    # §14.2: a Range means something in a GET alone.
    asked = request.headers.get("range") if request.method == "GET" else None
    span = requested_span(asked if range_applies(request.headers.get("if-range"), etag) else None, file.size)
    if span is not None:
        headers["Content-Range"] = span.content_range(file.size)
    start, end = (span.start, span.end) if span else (0, file.size)
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return Response(headers=headers)
    pieces = walk.stream_async(walk.read_file(file.cid, start, end), get)
    first = await anext(pieces, None)
    return BodyResponse(first, pieces, status_code=206 if span else 200, headers=headers)


def not_modified(headers: Mapping[str, str]) -> Response:
    """304 with the fields that a cache updates its copy with, RFC 9110 §15.4.5."""
    kept = ("ETag", "Cache-Control", "Vary", "Content-Location", "X-Ipfs-Path", "X-Ipfs-Roots")
    return Response(status_code=304, headers={name: headers[name] for name in kept if name in headers})


def requested_span(field: str | None, size: int) -> Span | None:
    """`parse_range`, refusing with 416.

    Raises:
        HTTPException: 416.
    """
    try:
        return parse_range(field, size)
    except Unsatisfiable as why:
        raise HTTPException(
            416, f"The range {field} lies beyond the {size} bytes of this file.", {"Content-Range": f"bytes */{size}"}
        ) from why


async def _head(cid: Cid, get: Get) -> bytes:
    found = bytearray()
    async for piece in walk.stream_async(walk.read_file(cid, 0, media_types.HEAD_SIZE), get):
        found += piece
    return bytes(found)
