"""The dashboard, the player and what they load: files of this package, read once.

Rule: no framework, nothing from elsewhere, no inline script or style, so that the policy below can forbid all that. The pages
hold no data: they read `/api/events`. So nothing is escaped on the server, and the pages set text, never markup.
"""

from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hlspub.gateway import paths
from hlspub.gateway.files import not_modified
from hlspub.gateway.ports import Streams
from hlspub.gateway.semantics import none_match

_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_POLICY: Final = (
    "default-src 'self'; media-src 'self' blob:; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)


@dataclass(frozen=True, slots=True)
class _Asset:
    body: bytes
    etag: str
    media_type: str


class Pages:
    """The endpoints."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        folder = resources.files("hlspub.gateway") / "static"
        self._assets = {
            asset.name: _asset(asset.name, asset.read_bytes())
            for asset in folder.iterdir()
            if asset.name.rpartition(".")[2] in _TYPES
        }

    async def dashboard(self, request: Request) -> Response:
        """`/`: every stream and target."""
        return self._respond(request, "dashboard.html")

    async def player(self, request: Request) -> Response:
        """`/play/STREAM`: one stream; 404, with the page, while no stream has that name: one may come."""
        try:
            name = "/".join(paths.split(paths.raw_path(request.scope).removeprefix("/play/")))
        except UnicodeDecodeError as why:
            raise HTTPException(404, "The stream's name is not UTF-8.") from why
        known = name in self._streams.names()
        return self._respond(request, "player.html", 200 if known else 404)

    async def static(self, request: Request) -> Response:
        """`/static/NAME`: what the pages load.

        Raises:
            HTTPException: 404.
        """
        name: str = request.path_params["name"]
        if name not in self._assets or name.endswith(".html"):
            raise HTTPException(404, "There is no such file.")
        return self._respond(request, name)

    def _respond(self, request: Request, name: str, status: int = 200) -> Response:
        asset = self._assets[name]
        headers = {
            "Cache-Control": "no-cache",
            "Content-Security-Policy": _POLICY,
            "Content-Type": asset.media_type,
            "ETag": asset.etag,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        if status == 200 and not none_match(request.headers.get("if-none-match"), asset.etag):  # noqa: PLR2004 -- OK
            return not_modified(headers)
        return Response(asset.body, status, headers)


def _asset(name: str, body: bytes) -> _Asset:
    return _Asset(body, f'"{sha256(body).hexdigest()[:16]}"', _TYPES[name.rpartition(".")[2]])
