"""`/ipfs/CID[/path]`: files, directories and blocks by content address, from the local store alone.

Rule: what stands under such an address never changes, so it may be cached for ever; what is not held is a 404 and is never
fetched from elsewhere. Four answers: a file (`files`), a directory's page (`listing`), and for clients that check what they get
against its CID a block as it is (`format=raw`) or many (`format=car`, `cars`). Other formats are refused in a sentence.

Source: specs.ipfs.tech/http-gateways path-gateway and trustless-gateway; IPIP-523 (`format` beats Accept), IPIP-524.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hlspub.gateway import cars, files, listing, media, paths
from hlspub.gateway.ports import Blocks
from hlspub.gateway.reading import getter
from hlspub.gateway.semantics import disposition, none_match, range_applies
from hlspub.ipld import walk
from hlspub.ipld.cid import Cid
from hlspub.ipld.node import Kind

PREFIX: Final = "/ipfs/"
RAW: Final = "application/vnd.ipld.raw"
# Accept's name of a format, and `format`'s
_FORMATS: Final = {
    RAW: "raw",
    cars.MEDIA_TYPE: "car",
    "application/vnd.ipfs.ipns-record": "ipns-record",
    "application/vnd.ipld.dag-json": "dag-json",
    "application/vnd.ipld.dag-cbor": "dag-cbor",
    "application/cbor": "cbor",
    "application/x-tar": "tar",
}
_KNOWN: Final = frozenset((*_FORMATS.values(), "json"))
_INDEX: Final = "index.html"


@dataclass(frozen=True, slots=True)
class Address:
    """What a request names: its path as it stands there, the CID that it means, and the names behind that.

    `base`: the path without a last slash, as it is redirected to. `headers`: what every answer has. `cache`: for a listing.
    """

    path: str
    root: Cid
    names: tuple[str, ...]
    base: str
    headers: Mapping[str, str]
    cache: str = listing.CACHE


class PathGateway:
    """The endpoint; `blocks` is all it knows."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks

    async def answer(self, request: Request) -> Response:
        """Answer GET and HEAD.

        Raises:
            HTTPException: 400, 404, 406, 412, 416.
            CidError, NotHeld, BlockError, StorageError: as the walk finds them.
        """
        return await self.resolve(request, _address(paths.raw_path(request.scope)))

    async def resolve(self, request: Request, at: Address) -> Response:
        """Answer what `at` means; raises what `answer` does."""
        form = _format(request)
        _refuse_service_worker(request, at)
        await self._refuse_uncached(request, at.root)
        found = await walk.run_async(walk.resolve(at.root, at.names), getter(self._blocks))
        if found.remaining:
            raise HTTPException(404, f'There is no "{found.remaining[0]}" in {found.cid}.')
        headers = {
            **at.headers,
            "X-Ipfs-Path": at.path,
            "X-Ipfs-Roots": ",".join(map(str, found.roots)),
        }
        if form == "raw":
            return _block(request, found, headers)
        if form == "car":
            return await cars.respond(request, self._blocks, at.names, found, headers)
        match found.kind:
            case Kind.DIRECTORY:
                return await self._directory(request, at, found, headers)
            case Kind.FILE | Kind.SYMLINK:
                name = request.query_params.get("filename") or (at.names[-1] if at.names else "")
                media_type = "inode/symlink" if found.kind is Kind.SYMLINK else media.type_of_name(name)
                file = files.File(found.cid, found.size, found.block, media_type, headers)
                return await files.respond(request, self._blocks, file)
            case Kind.OTHER:
                codec = found.cid.codec.name.lower().replace("_", "-")
                raise HTTPException(406, f"{found.cid} is {codec}, not a file or directory. Its block: ?format=raw")

    async def _directory(
        self, request: Request, at: Address, found: walk.Resolution, headers: dict[str, str]
    ) -> Response:
        if not at.path.endswith("/"):
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"{at.base}/{query}", 301, headers)
        get = getter(self._blocks, {found.cid: found.block})
        index = await walk.run_async(walk.resolve(at.root, (*at.names, _INDEX)), get)
        if not index.remaining and index.kind is Kind.FILE:
            page = files.File(index.cid, index.size, index.block, media.type_of_name(_INDEX), headers, tag=found.cid)
            return await files.respond(request, self._blocks, page)
        headers |= {**listing.HEADERS, "ETag": listing.etag(found.cid), "Cache-Control": at.cache}
        if not none_match(request.headers.get("if-none-match"), headers["ETag"]):
            return files.not_modified(headers)
        entries = await walk.run_async(walk.list_directory(found.cid), get)
        return Response(listing.page(at.base, at.root, at.names, entries), headers=headers)

    async def _refuse_uncached(self, request: Request, root: Cid) -> None:
        """`only-if-cached` asks for what is here, and here is all there is: 412 says so before anything is walked."""
        wanted = request.headers.get("cache-control", "").lower()
        if "only-if-cached" in wanted and root.inline is None and await self._blocks.get(root) is None:
            raise HTTPException(412, f"This gateway does not hold {root}.")


def _address(path: str) -> Address:
    try:
        segments = paths.split(path.removeprefix(PREFIX))
    except UnicodeDecodeError as why:
        raise HTTPException(400, "The path is not UTF-8, as every name in a tree is.") from why
    if not segments:
        raise HTTPException(400, "A CID is missing: /ipfs/CID or /ipfs/CID/path.")
    root, names = Cid.parse(segments[0]), segments[1:]
    return Address(path, root, names, paths.join("ipfs", str(root), *names), {"Cache-Control": files.IMMUTABLE})


def _format(request: Request) -> str | None:
    """The format asked for, None for a file or page.

    Raises:
        HTTPException: 406 for one that is not served, 400 for one that nobody knows.
    """
    form = asked_format(request)
    if form in (None, "raw", "car"):
        return form
    if form not in _KNOWN:
        raise HTTPException(400, f"There is no format {form[:40]!r}. This gateway knows format=raw and format=car.")
    raise HTTPException(
        406, f"This gateway does not serve {form}. It serves files, directories, format=raw and format=car."
    )


def asked_format(request: Request) -> str | None:
    """The format that `format`, else Accept, asks for."""
    return request.query_params.get("format") or _accepted(request.headers.getlist("accept"))


def _accepted(fields: Sequence[str]) -> str | None:
    ranges = [part.partition(";")[0].strip().lower() for field in fields for part in field.split(",")]
    return next((_FORMATS[name] for name in ranges if name in _FORMATS), None)


def _refuse_service_worker(request: Request, at: Address) -> None:
    """A worker at /ipfs/CID would rule every root on this origin; below /ipfs/CID/ it rules its own."""
    if request.headers.get("service-worker") == "script" and not at.names and not at.path.endswith("/"):
        raise HTTPException(400, "A service worker may not be registered for all of /ipfs/.")


def _block(request: Request, found: walk.Resolution, headers: dict[str, str]) -> Response:
    """The terminus as it is: the bytes that its CID names."""
    etag = f'"{found.cid}.raw"'
    filename = request.query_params.get("filename") or f"{found.cid}.bin"
    headers |= {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Type": RAW,
        "Content-Disposition": disposition(filename, download=True) or "",
        "X-Content-Type-Options": "nosniff",
    }
    if "format" not in request.query_params:
        headers["Content-Location"] = f"{headers['X-Ipfs-Path']}?format=raw"
    if not none_match(request.headers.get("if-none-match"), etag):
        return files.not_modified(headers)
    asked = request.headers.get("range") if request.method == "GET" else None
    size = len(found.block)
    span = files.requested_span(asked if range_applies(request.headers.get("if-range"), etag) else None, size)
    if span is None:
        return Response(found.block, headers=headers)
    headers["Content-Range"] = span.content_range(size)
    return Response(found.block[span.start : span.end], 206, headers)
