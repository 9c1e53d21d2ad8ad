"""Webhook: `POST` to a URL, signed (see `hooks.signing`).

Rule: a 2xx answer means taken, and nothing else does. A redirect is followed nowhere: it would hand the message to whoever the
answer names. 410 means that the receiver wants no more (standardwebhooks.com, "Operational considerations"); what else it
refuses is tried again, since only a person knows whether the message or the receiver is wrong. The path of a webhook's URL is
often a secret itself (P8): it is handed to the connection apart, so neither errors nor the log of requests can show it.
"""

from hlspub.errors import TargetError
from hlspub.hooks import signing
from hlspub.hooks.message import CONTENT_TYPE, Message
from hlspub.model import Clock
from hlspub.targets import http

_GONE = 410
_REDIRECTS = range(300, 400)


class Webhook:
    """The receiver at `url`; it closes `client`. `secret` signs."""

    kind = "webhook"

    def __init__(self, name: str, url: str, secret: bytes, client: http.AsyncClient, clock: Clock) -> None:
        self.name = name
        self._origin, self._path = http.parted(url)
        self.place = f"{name} ({self._origin})"
        self._secret = secret
        self._client = client
        self._clock = clock

    async def tell(self, message: Message) -> None:
        """Post the message."""
        headers = {"Content-Type": CONTENT_TYPE, **signing.headers(self._secret, message, self._clock.now())}
        with http.failures(self.place, retry_s=0.0):
            async with self._client.stream(
                "POST",
                self._origin,
                content=message.body,
                headers=headers,
                follow_redirects=False,
                extensions={"target": self._path},
            ) as response:
                if not response.is_success:
                    raise self._refusal(response)

    def _refusal(self, response: http.Response) -> TargetError:
        status = response.status_code
        said = f"{self.place}: HTTP {status}"
        if status == _GONE:
            return TargetError(said, retry_s=None, hint="It wants no more messages: take the hook's table away.")
        if status in _REDIRECTS:
            return TargetError(said, retry_s=0.0, hint="Redirects are not followed: write the URL where it is.")
        asked_s = http.retry_after(response) if "Retry-After" in response.headers else 0.0
        return TargetError(said, retry_s=asked_s, hint="The receiver's own log says why.")

    def check(self) -> str:
        """The secret is there; the receiver is told nothing."""
        return f"signs for {self._origin}; nothing was sent"

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()
