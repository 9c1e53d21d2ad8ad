"""The gateway: which address is answered by what, as one ASGI application.

Rule: a table of routes; every response is counted under the word of its route; refusals are plain text, one sentence. What is
under `/ipfs/`, `/ipns/`, `/live/` and `/routing/` may be read by scripts of any origin (players live elsewhere), the rest may
not. An error of this package's own tree becomes a status here and nowhere else; anything else that is raised is a bug,
answered with 500 by the server and logged by it.
"""

from collections.abc import Mapping
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hlspub.errors import CidError, HlspubError, TargetError
from hlspub.gateway import paths
from hlspub.gateway.feed import Feed
from hlspub.gateway.ipfs import PathGateway
from hlspub.gateway.ipns import NameGateway
from hlspub.gateway.live import LiveGateway
from hlspub.gateway.operations import Operations
from hlspub.gateway.pages import Pages
from hlspub.gateway.ports import Blocks, Health, Metrics, Names, Observe, Streams
from hlspub.gateway.reading import NotHeld
from hlspub.gateway.routing import Routing
from hlspub.model import Clock

log = structlog.get_logger("hlspub.gateway")

CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Range, User-Agent, X-Requested-With",
    "Access-Control-Expose-Headers": (
        "Content-Length, Content-Range, X-Chunked-Output, X-Stream-Output, X-Ipfs-Path, X-Ipfs-Roots"
    ),
}
_PREFLIGHT_S: Final = "86400"
_PUBLIC: Final = frozenset({"ipfs", "ipns", "live", "routing"})
_FORMS: Final = {
    "ipfs": "ipfs",
    "ipns": "ipns",
    "live": "live",
    "routing": "routing",
    "api": "api",
    "": "page",
    "play": "page",
    "static": "page",
}


class Gateway:
    """The ASGI application. `close` lets every long-lived response go; what is under way is still answered."""

    def __init__(
        self,
        *,
        blocks: Blocks,
        streams: Streams,
        health: Health,
        metrics: Metrics,
        observe: Observe,
        clock: Clock,
        names: Names = lambda _: None,
    ) -> None:
        self._observe = observe
        self._feed = Feed(streams, clock)
        pages, operations = Pages(streams), Operations(health, metrics)
        public = ["GET", "HEAD", "OPTIONS"]
        ipfs, live = PathGateway(blocks), LiveGateway(blocks, streams)
        ipns, routing = NameGateway(ipfs, names, clock), Routing(blocks, names, clock)
        self._app: ASGIApp = Starlette(
            routes=[
                Route("/", pages.dashboard),
                Route("/play/{stream:path}", pages.player),
                Route("/static/{name}", pages.static),
                Route("/ipfs/{path:path}", ipfs.answer, methods=public),
                Route("/ipns/{path:path}", ipns.answer, methods=public),
                Route("/live/{path:path}", live.answer, methods=public),
                Route("/routing/v1/providers/{cid}", routing.providers, methods=public),
                Route("/routing/v1/ipns/{name}", routing.record, methods=public),
                Route("/api/status", self._feed.status),
                Route("/api/events", self._feed.events),
                Route("/metrics", operations.metrics),
                Route("/healthz", operations.healthz),
                Route("/readyz", operations.readyz),
            ],
            exception_handlers={HTTPException: _refused, HlspubError: _failed},
        )

    def close(self) -> None:
        """End every server-sent event stream and accept no new one."""
        self._feed.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            raise RuntimeError(f"the gateway does not speak {scope['type']}")
        # Routed by the encoded path: decoded, a name may hold a newline, or a "/" that ends nothing.
        path = paths.raw_path(scope)
        area = path.split("/", 2)[1] if path.startswith("/") else ""
        is_public = area in _PUBLIC

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                if is_public:
                    message["headers"] = [*message["headers"], *_ENCODED_CORS]
                self._observe(message["status"], _FORMS.get(area, "other"))
            await send(message)

        if is_public and scope["method"] == "OPTIONS":
            await Response(status_code=204, headers={"Access-Control-Max-Age": _PREFLIGHT_S})(scope, receive, counted)
        else:
            await self._app({**scope, "path": path}, receive, counted)


_ENCODED_CORS: Final = [(name.lower().encode(), value.encode()) for name, value in CORS.items()]


async def _refused(_request: Request, why: Exception) -> Response:
    if not isinstance(why, HTTPException):
        raise why
    texts = {404: "There is nothing at this address.", 405: "This address answers GET and HEAD."}
    generic = why.detail in ("Not Found", "Method Not Allowed")
    return _plain(texts[why.status_code] if generic else why.detail, why.status_code, why.headers)


async def _failed(request: Request, why: Exception) -> Response:
    """An error of the tree. The client is told what it asked for wrongly and what is not here; the log, what is broken."""
    fresh = {"Cache-Control": "no-store"}
    if isinstance(why, CidError | NotHeld):
        text = str(why)
        sentence = f"{text[:1].upper()}{text[1:]}. {why.hint}"
        return _plain(sentence, 400 if isinstance(why, CidError) else 404, fresh)
    hint = why.hint if isinstance(why, HlspubError) else ""
    if isinstance(why, TargetError) and why.retry_s is not None:
        log.warning("gateway.response_failed", path=request.scope["path"], reason=str(why), hint=hint)
        again = fresh | {"Retry-After": str(max(1, round(why.retry_s)))}
        return _plain("The place where this gateway reads from does not answer now.", 503, again)
    log.error("gateway.response_failed", path=request.scope["path"], reason=str(why), hint=hint)
    return _plain("This gateway cannot read what was asked for; its log says why.", 500, fresh)


def _plain(text: str, status: int, headers: Mapping[str, str] | None) -> Response:
    return PlainTextResponse(text + "\n", status, {**(headers or {}), "X-Content-Type-Options": "nosniff"})
