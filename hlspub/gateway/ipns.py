"""`/ipns/NAME[/path]`: what a name of this process leads to, and with `format=ipns-record` its signed record.

Rule: a name stands for a root at one moment, so an answer may be kept as long as the record says (its TTL) and never past its
end. Only names that this process moves are known; none is looked up elsewhere. A name in another spelling is sent on to its
canonical one.

Source: specs.ipfs.tech/http-gateways path-gateway "Cache-Control", trustless-gateway "IPNS Record Responses".
"""

from email.utils import formatdate
from hashlib import sha256
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hlspub.errors import IpnsError
from hlspub.gateway import files, paths
from hlspub.gateway.ipfs import Address, PathGateway, asked_format
from hlspub.gateway.ports import NamedRecord, Names
from hlspub.gateway.semantics import disposition, none_match
from hlspub.ipld.cid import Cid
from hlspub.ipns.name import Name
from hlspub.ipns.record import MEDIA_TYPE
from hlspub.model import Clock

PREFIX: Final = "/ipns/"
_STALE_S: Final = 2678400  # a listing may be shown that long while a new one is fetched


class NameGateway:
    """The endpoint; `names` is all it knows, and `ipfs` answers for the roots."""

    def __init__(self, ipfs: PathGateway, names: Names, clock: Clock) -> None:
        self._ipfs = ipfs
        self._names = names
        self._clock = clock

    async def answer(self, request: Request) -> Response:
        """Answer GET and HEAD; raises what `PathGateway.answer` does."""
        path = paths.raw_path(request.scope)
        try:
            segments = paths.split(path.removeprefix(PREFIX))
        except UnicodeDecodeError as why:
            raise HTTPException(400, "The path is not UTF-8, as every name in a tree is.") from why
        if not segments:
            raise HTTPException(400, "A name is missing: /ipns/NAME or /ipns/NAME/path.")
        try:
            name = Name.canonical(segments[0]) or str(Name.parse(segments[0]))
        except IpnsError as why:
            raise HTTPException(400, f"{why}. {why.hint}") from why
        if name != segments[0]:
            slash = "/" if path.endswith("/") else ""
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(paths.join("ipns", name, *segments[1:]) + slash + query, 302)
        record = self._names(name)
        left_s = 0 if record is None else int(min(record.ttl_s, record.expires_at - self._clock.now()))
        if record is None or record.expires_at <= self._clock.now():
            raise HTTPException(404, f"This gateway has no record of {name}.", {"Cache-Control": "no-store"})
        cache = f"public, max-age={max(left_s, 0)}"
        if asked_format(request) == "ipns-record":
            return _record(request, name, record, segments[1:], cache)
        root, *inner = record.value.removeprefix("/ipfs/").split("/")
        headers = {"Cache-Control": cache, "Last-Modified": formatdate(record.made_at, usegmt=True)}
        at = Address(
            path,
            Cid.parse(root),
            (*inner, *segments[1:]),
            paths.join("ipns", *segments),
            headers,
            f"{cache}, stale-while-revalidate={_STALE_S}",
        )
        return await self._ipfs.resolve(request, at)


def _record(request: Request, name: str, record: NamedRecord, behind: tuple[str, ...], cache: str) -> Response:
    if behind:
        raise HTTPException(400, "A record is of a name, not of a path behind it.")
    headers = {
        "Cache-Control": cache,
        "Content-Type": MEDIA_TYPE,
        "Content-Disposition": disposition(request.query_params.get("filename") or f"{name}.ipns-record", download=True)
        or "",
        "ETag": f'"{sha256(record.signed).hexdigest()[:32]}"',
        "X-Content-Type-Options": "nosniff",
    }
    if "format" not in request.query_params:
        headers["Content-Location"] = f"{PREFIX}{name}?format=ipns-record"
    if not none_match(request.headers.get("if-none-match"), headers["ETag"]):
        return files.not_modified(headers)
    return Response(record.signed, headers=headers)
