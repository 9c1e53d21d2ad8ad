"""`/metrics`, `/healthz`, `/readyz`: what monitors ask. Plain text, never cached."""

from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from hlspub.gateway.ports import Health, Metrics, Verdict

_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_FRESH: Final = {"Cache-Control": "no-store"}


class Operations:
    """The endpoints."""

    def __init__(self, health: Health, metrics: Metrics) -> None:
        self._health = health
        self._metrics = metrics

    async def metrics(self, _request: Request) -> Response:
        """Everything that is counted, in Prometheus's text format."""
        return Response(self._metrics(), headers={**_FRESH, "Content-Type": _METRICS_TYPE})

    async def healthz(self, _request: Request) -> Response:
        """Whether the process works: 200, or 503 with a reason a line."""
        return _say(self._health.alive())

    async def readyz(self, _request: Request) -> Response:
        """Whether the streams are published as configured: 200, or 503 with a reason a line."""
        return _say(self._health.ready())


def _say(verdict: Verdict) -> Response:
    well, reasons = verdict
    text = "ok\n" if well else "".join(f"{reason}\n" for reason in reasons)
    return PlainTextResponse(text, 200 if well else 503, _FRESH)
