"""`/live/STREAM/PATH`: a stream at its newest root, for players that know nothing of content addresses.

Rule (DESIGN "Live addresses"): a playlist is that of the newest announced root and may be kept for a second; any other path
comes from the newest root that has it, then from the kept ones, and is asked for again with its CID as ETag, for a name
may come back with other bytes. `X-Ipfs-Path` says which root answered. Only announced roots are looked at, so what a playlist
lists here is there (P4).

Low-Latency HLS attributes that need a dynamic origin are left out (`live_playlist`); such a playlist has its own ETag.
"""

from collections.abc import Sequence
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hlspub.gateway import files, live_playlist, media, paths
from hlspub.gateway.ports import Blocks, LiveRoot, Streams
from hlspub.gateway.reading import Get, getter
from hlspub.gateway.semantics import none_match
from hlspub.hls.classify import classify
from hlspub.hls.media_types import PLAYLIST
from hlspub.ipld import walk
from hlspub.ipld.cid import Cid
from hlspub.ipld.node import Kind
from hlspub.model import FileKind

PREFIX: Final = "/live/"
PLAYLIST_CACHE: Final = "public, max-age=1"
FILE_CACHE: Final = "no-cache"
_ABSENT: Final = {"Cache-Control": "no-store"}  # what is not there may be there in a second
_REMEMBERED: Final = 1024  # playlists known to need no edit


class LiveGateway:
    """The endpoint."""

    def __init__(self, blocks: Blocks, streams: Streams) -> None:
        self._blocks = blocks
        self._streams = streams
        self._static: dict[Cid, None] = {}  # playlists without anything to take out, the oldest first

    async def answer(self, request: Request) -> Response:
        """Answer GET and HEAD.

        Raises:
            HTTPException: 400, 404, 416.
        """
        stream, names = self._stream(request)
        roots = self._streams.roots(stream)
        if roots is None:
            raise _no_stream(stream)
        if not roots:
            raise HTTPException(404, f'Nothing of "{stream}" is published yet.', _ABSENT | {"Retry-After": "1"})
        if not names:
            entry = paths.join("live", *stream.split("/"), *roots[0].entry.split("/"))
            return RedirectResponse(entry, 302, {"Cache-Control": FILE_CACHE})

        is_playlist = classify(names[-1]) is FileKind.PLAYLIST
        get = getter(self._blocks)
        root, found = await _find(roots[:1] if is_playlist else roots, names, get)
        file = files.File(
            found.cid,
            found.size,
            found.block,
            media.type_of_name(names[-1]),
            {
                "Cache-Control": PLAYLIST_CACHE if is_playlist else FILE_CACHE,
                "X-Ipfs-Path": paths.join("ipfs", str(root.root), *names),
                "X-Ipfs-Roots": ",".join(map(str, found.roots)),
            },
        )
        if is_playlist and not await self._is_static(file, get):
            edited = await _edited(file, get)
            if edited is not None:
                return _edited_response(request, file, edited)
        return await files.respond(request, self._blocks, file)

    def _stream(self, request: Request) -> tuple[str, tuple[str, ...]]:
        try:
            segments = paths.split(paths.raw_path(request.scope).removeprefix(PREFIX))
        except UnicodeDecodeError as why:
            raise HTTPException(400, "The path is not UTF-8, as every name in a tree is.") from why
        found = paths.longest_name(segments, frozenset(self._streams.names()))
        if found is None:
            raise _no_stream(segments[0] if segments else "")
        return found

    async def _is_static(self, file: files.File, get: Get) -> bool:
        """Whether the playlist has no EXT-X-SERVER-CONTROL; looked for once, block by block."""
        if file.cid in self._static:
            return True
        before = b""
        async for piece in walk.stream_async(walk.read_file(file.cid), get):
            if live_playlist.TAG in (text := before + bytes(piece)):
                return False
            before = text[-len(live_playlist.TAG) :]
        while len(self._static) >= _REMEMBERED:
            del self._static[next(iter(self._static))]
        self._static[file.cid] = None
        return True


async def _find(roots: Sequence[LiveRoot], names: tuple[str, ...], get: Get) -> tuple[LiveRoot, walk.Resolution]:
    """The first of `roots` with a file of that path."""
    for root in roots:
        found = await walk.run_async(walk.resolve(root.root, names), get)
        if not found.remaining and found.kind is Kind.FILE:
            return root, found
    raise HTTPException(404, f'There is no file "{"/".join(names)}" in the newest roots.', _ABSENT)


async def _edited(file: files.File, get: Get) -> bytes | None:
    """The playlist as a static origin may serve it; None when that is as it is."""
    text = b"".join([bytes(piece) async for piece in walk.stream_async(walk.read_file(file.cid), get)])
    edited = live_playlist.static(text)
    return None if edited is text or edited == text else edited


def _edited_response(request: Request, file: files.File, text: bytes) -> Response:
    headers = {
        **file.headers,
        "ETag": f'"{file.cid}.static"',
        "Content-Type": file.media_type or PLAYLIST,
        "X-Content-Type-Options": "nosniff",
    }
    if not none_match(request.headers.get("if-none-match"), headers["ETag"]):
        return files.not_modified(headers)
    return Response(text, headers=headers)


def _no_stream(name: str) -> HTTPException:
    return HTTPException(404, f'There is no stream "{name}". The streams of this gateway are listed at /', _ABSENT)
