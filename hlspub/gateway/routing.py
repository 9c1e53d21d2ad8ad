"""`/routing/v1`: who has a CID, and the record of a name, for clients that ask before they fetch (Delegated Routing).

Rule: this gateway speaks of itself alone. It is the provider of what it holds, at the address that it was asked at; of
anything else it knows nobody, which is an empty answer and no error. A provider has to have a peer ID: ours is made anew in
every life and nobody's word is taken on it, since blocks are held to their CIDs.

Source: specs.ipfs.tech/routing/http-routing-v1; multiformats/multiaddr.
"""

import ipaddress
import secrets
from hashlib import sha256
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hlspub.errors import CidError, IpnsError
from hlspub.gateway.ports import Blocks, Names
from hlspub.gateway.semantics import none_match
from hlspub.ipld.cid import Cid
from hlspub.ipns.key import SEED_SIZE, Key
from hlspub.ipns.name import Name
from hlspub.ipns.record import MEDIA_TYPE
from hlspub.model import Clock

_PROTOCOL: Final = "transport-ipfs-gateway-http"
_FOUND_S, _NOT_FOUND_S = 300, 15
_PORTS: Final = {"http": 80, "https": 443}


class Routing:
    """The endpoints; `blocks` and `names` are all they know."""

    def __init__(self, blocks: Blocks, names: Names, clock: Clock) -> None:
        self._blocks = blocks
        self._names = names
        self._clock = clock
        self._peer = Key.from_seed(secrets.token_bytes(SEED_SIZE)).name.peer_id

    async def providers(self, request: Request) -> Response:
        """Who has a CID: we, or nobody that we know.

        Raises:
            HTTPException: 400.
            StorageError: the disk refused.
        """
        try:
            cid = Cid.parse(request.path_params["cid"])
        except CidError as why:
            raise HTTPException(400, f"{why}. {why.hint}") from why
        is_here = cid.inline is not None or await self._blocks.get(cid) is not None
        provider = {"Schema": "peer", "ID": self._peer, "Addrs": [_address(request)], "Protocols": [_PROTOCOL]}
        headers = {"Cache-Control": f"public, max-age={_FOUND_S if is_here else _NOT_FOUND_S}"}
        return JSONResponse({"Providers": [provider] if is_here else []}, headers=headers)

    async def record(self, request: Request) -> Response:
        """The record of one of our names.

        Raises:
            HTTPException: 400, 404.
        """
        try:
            name = Name.parse(request.path_params["name"])
        except IpnsError as why:
            raise HTTPException(400, f"{why}. {why.hint}") from why
        record = self._names(str(name))
        left_s = 0.0 if record is None else record.expires_at - self._clock.now()
        if record is None or left_s <= 0:
            raise HTTPException(404, f"This gateway has no record of {name}.", {"Cache-Control": "no-store"})
        etag = f'"{sha256(record.signed).hexdigest()[:32]}"'
        headers = {
            "Cache-Control": f"public, max-age={int(min(record.ttl_s, left_s))}",
            "Content-Type": MEDIA_TYPE,
            "ETag": etag,
            "X-Content-Type-Options": "nosniff",
        }
        if not none_match(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers={"Cache-Control": headers["Cache-Control"], "ETag": etag})
        return Response(record.signed, headers=headers)


def _address(request: Request) -> str:
    """Where we were asked, as a multiaddr."""
    scheme, host = request.url.scheme, request.url.hostname or "localhost"
    try:
        kind = f"ip{ipaddress.ip_address(host).version}"
    except ValueError:
        kind = "dns"
    return f"/{kind}/{host}/tcp/{request.url.port or _PORTS[scheme]}/{scheme}"
