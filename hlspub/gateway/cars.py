"""`format=car`: a part of a DAG as a CAR, which a client checks block by block as it comes.

Rule: blocks come from the root on, depth first, each once. That is what `order=dfs; dups=n` says of every answer, whatever was
asked: so a DAG that links to one block a million times costs that block once. What is there is known before anything is sent:
a path that leads nowhere is a 404. A block that turns out to be missing later cuts the response.

Source: specs.ipfs.tech/http-gateways/trustless-gateway "CAR Responses"; IPIP-402 (dag-scope, entity-bytes), IPIP-412 (order,
dups), IPIP-523 (parameters of the URL beat those of Accept).
"""

import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hlspub.gateway import files
from hlspub.gateway.ports import Blocks
from hlspub.gateway.reading import BodyResponse, getter
from hlspub.gateway.semantics import disposition, none_match
from hlspub.ipld import car, dag, walk
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid

MEDIA_TYPE: Final = "application/vnd.ipld.car"
_CONTENT_TYPE: Final = f"{MEDIA_TYPE}; version=1; order=dfs; dups=n"
_RANGE = re.compile(r"(-?[0-9]{1,19}):(\*|-?[0-9]{1,19})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a DAG is asked for: how far from where the path leads, and which bytes when that is a file."""

    scope: dag.Scope
    entity_bytes: tuple[int, int | None] | None

    @classmethod
    def of(cls, request: Request) -> "Wanted":
        """Read it from a request.

        Raises:
            HTTPException: 400 for a parameter that means nothing, 406 for another version of CARs than 1.
        """
        given, version = request.query_params, asked_version(request)
        if version not in (None, "1"):
            raise HTTPException(406, f"This gateway serves CARs of version 1, not of version {version[:20]!r}.")
        try:
            scope = dag.Scope(given.get("dag-scope", dag.Scope.ALL))
        except ValueError as why:
            raise HTTPException(400, f"dag-scope is one of {', '.join(dag.Scope)}.") from why
        span = given.get("entity-bytes")
        match = None if span is None else _RANGE.fullmatch(span)
        if span is not None and match is None:
            raise HTTPException(400, f"entity-bytes is FROM:TO or FROM:*, not {span[:40]!r}.")
        wanted = None if match is None else (int(match[1]), None if match[2] == "*" else int(match[2]))
        return cls(scope, wanted)


def asked_version(request: Request) -> str | None:
    """The version that the URL, else Accept, asks for; None: any."""
    if (version := request.query_params.get("car-version")) is not None:
        return version
    ranges = [part for field in request.headers.getlist("accept") for part in field.split(",")]
    for media_type, *parameters in (part.split(";") for part in ranges):
        if media_type.strip().lower() == MEDIA_TYPE:
            said = {
                name.strip().lower(): value.strip() for name, _, value in (one.partition("=") for one in parameters)
            }
            return said.get("version")
    return None


async def respond(
    request: Request, blocks: Blocks, names: Sequence[str], found: walk.Resolution, headers: dict[str, str]
) -> Response:
    """The CAR of what the path `names` means, which leads to `found`; `headers` are those of its address.

    Raises:
        HTTPException: 400, 406.
    """
    wanted, root = Wanted.of(request), found.roots[0]
    key = f"{root}/{'/'.join(names)}?{wanted}"
    headers = {
        **headers,
        "ETag": f'W/"{found.cid}.car.{sha256(key.encode()).hexdigest()[:16]}"',
        "Accept-Ranges": "none",
        "Content-Type": _CONTENT_TYPE,
        "Content-Disposition": disposition(request.query_params.get("filename") or f"{found.cid}.car", download=True)
        or "",
        "X-Content-Type-Options": "nosniff",
    }
    if "format" not in request.query_params:
        query = f"{request.url.query}&" if request.url.query else ""
        headers["Content-Location"] = f"{headers['X-Ipfs-Path']}?{query}format=car"
    if not none_match(request.headers.get("if-none-match"), headers["ETag"]):
        return files.not_modified(headers)
    response = (
        Response(headers=headers)
        if request.method == "HEAD"
        else BodyResponse(
            memoryview(car.header([found.cid])),
            _sections(root, names, wanted, blocks),
            status_code=200,
            headers=headers,
        )
    )
    del response.headers["content-length"]  # nobody knows it before the walk is over
    return response


async def _sections(root: Cid, names: Sequence[str], wanted: Wanted, blocks: Blocks) -> AsyncGenerator[memoryview]:
    async for block in walk.stream_async(_selected(root, names, wanted), getter(blocks)):
        yield memoryview(car.section_head(block.cid, len(block.data)) + block.data)


def _selected(root: Cid, names: Sequence[str], wanted: Wanted) -> walk.Stream[Block]:
    yield from dag.select(root, names, wanted.scope, wanted.entity_bytes)
