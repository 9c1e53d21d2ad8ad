"""The state of everything, once as JSON and as a stream of server-sent events.

Rule: one snapshot is made for a change, however many listen, and never more than one in `INTERVAL_S`. A listener is level
triggered: it waits until the version is not the one it has, then sends the newest snapshot, so a slow one skips what it
missed. Listeners end at once when the gateway closes: they must not hold up a drain.

Source: WHATWG HTML §9.2 (server-sent events).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import anyio
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hlspub.errors import HlspubError
from hlspub.gateway.ports import LiveRoot, Streams
from hlspub.gateway.reading import cancel_when_gone
from hlspub.model import Clock

log = structlog.get_logger("hlspub.gateway")

INTERVAL_S: Final = 0.25
KEEP_ALIVE_S: Final = 15.0  # proxies cut what is silent for longer, often at 30 or 60 s
RETRY_MS: Final = 2000  # how soon a browser connects again
MAX_LISTENERS: Final = 256
RECENT: Final = 60  # roots of a stream whose times are told


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state at one version, as JSON in UTF-8."""

    version: int
    body: bytes


class Feed:
    """Snapshots, shared; and the listeners that wait for them."""

    def __init__(self, streams: Streams, clock: Clock, keep_alive_s: float = KEEP_ALIVE_S) -> None:
        self._streams = streams
        self._clock = clock
        self._keep_alive_s = keep_alive_s
        self._lock = anyio.Lock()
        self._newest = Snapshot(-1, b"")
        self._made_at = -INTERVAL_S
        self._listeners: set[anyio.CancelScope] = set()
        self._closed = False

    async def status(self, _request: Request) -> Response:
        """`/api/status`: the answer of `hlspub status --json`, with `at`, the gateway's time, and `recent` roots."""
        snapshot = await self._at_least(await self._streams.changed(-1))
        return Response(snapshot.body, media_type="application/json", headers={"Cache-Control": "no-store"})

    async def events(self, request: Request) -> Response:
        """`/api/events`: a snapshot now and at every change.

        Raises:
            HTTPException: 503, closing, or too many listeners.
        """
        if self._closed or len(self._listeners) >= MAX_LISTENERS:
            why = "This gateway is stopping." if self._closed else "Too many listen here already."
            raise HTTPException(503, why, {"Retry-After": "5"})
        headers = {
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
        return Response(headers=headers) if request.method == "HEAD" else _EventStream(self, headers)

    def close(self) -> None:
        """Let every listener go, and take no new one."""
        self._closed = True
        for scope in self._listeners:
            scope.cancel()

    async def listen(self, send: Send) -> None:
        """Send events until closed."""
        with anyio.CancelScope() as scope:
            self._listeners.add(scope)
            try:
                await self._send_all(send)
            finally:
                self._listeners.discard(scope)

    async def _send_all(self, send: Send) -> None:
        await _write(send, f"retry: {RETRY_MS}\n\n".encode())
        seen = -1
        while True:
            version = seen
            with anyio.move_on_after(self._keep_alive_s):
                version = await self._streams.changed(seen)
            if version == seen:
                await _write(send, b": still here\n\n")
                continue
            snapshot = await self._at_least(version)
            await _write(send, b"id: %d\ndata: %b\n\n" % (snapshot.version, snapshot.body))
            seen = snapshot.version

    async def _at_least(self, version: int) -> Snapshot:
        """A snapshot of `version` or newer; made now, unless one was within `INTERVAL_S`."""
        async with self._lock:
            early = self._made_at + INTERVAL_S - self._clock.monotonic()
            if early > 0 and self._newest.version >= version:
                return self._newest
            await anyio.sleep(max(early, 0))
            version = await self._streams.changed(-1)
            status = await self._streams.status()
            recent = {name: _recent(self._streams.roots(name) or ()) for name in self._streams.names()}
            state = {**status, "at": self._clock.now(), "recent": recent}
            text = json.dumps(state, ensure_ascii=False, separators=(",", ":"))
            self._newest = Snapshot(version, text.encode(errors="replace"))
            self._made_at = self._clock.monotonic()
            return self._newest


class _EventStream(Response):
    """A response that lasts until its reader leaves or the feed closes."""

    def __init__(self, feed: Feed, headers: dict[str, str]) -> None:
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- ASGI's signature
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with anyio.create_task_group() as group:
            group.start_soon(cancel_when_gone, receive, group.cancel_scope)
            try:
                await self._feed.listen(send)
            except HlspubError as why:
                log.warning("gateway.events_ended", reason=str(why))  # the browser connects again by itself
            group.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _write(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


def _recent(roots: Sequence[LiveRoot]) -> dict[str, object]:
    """The newest root whole, and of the last `RECENT` their number and time, newest first."""
    if not roots:
        return {"newest": None, "times": []}
    newest = roots[0]
    return {
        "newest": {
            "root": str(newest.root),
            "entry": newest.entry,
            "seq": newest.seq,
            "published_at": newest.published_at,
            "final": newest.final,
            "session": newest.session,
        },
        "times": [[root.seq, root.published_at] for root in roots[:RECENT]],
    }
