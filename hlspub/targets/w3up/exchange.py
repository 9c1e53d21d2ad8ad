"""One HTTP exchange with a w3up service or a storage node, tried a few times within seconds.

Rule: what may help is tried again with the very same bytes: a lost connection or reply, 408, 425, 429 and 5xx. `Retry-After` is
obeyed; whoever asks for longer than `LONGEST_PAUSE_S` is left alone, and the journal remembers until when.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import anyio

from hlspub.errors import TargetError
from hlspub.targets import http

PAUSES_S = (0.5, 2.0)
LONGEST_PAUSE_S = 10.0
MAX_ANSWER = 16 << 20  # bytes
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})

T = TypeVar("T")
Body = Callable[[], AsyncGenerator[bytes]]
"""Gives a body's bytes from their start, anew for every try."""


class Asked(TargetError):  # noqa: N818 -- read as a sentence where it is caught
    """The other side says when to come back."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Sends requests; `sleep` is a test's to replace."""

    client: http.AsyncClient
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """The answer to `body`.

        Raises:
            TargetError: it was refused, or no try was answered.
        """

        async def once() -> bytes:
            place = http.shown(url)
            with http.failures(place):
                async with self.client.stream("POST", url, content=body, headers=dict(headers)) as response:
                    await _expect(response, place)
                    return await http.read_bounded(response, MAX_ANSWER, place)

        return await self._patiently(once)

    async def put(self, url: str, body: Body, size: int, headers: Mapping[str, str]) -> int:
        """Send `size` bytes, never chunked; the status when the other side says no for good, else 200.

        Raises:
            TargetError: no try was answered.
        """
        sent = {"Content-Length": str(size)} | dict(headers)

        async def once() -> int:
            place = http.shown(url)
            async with aclosing(body()) as source:  # a broken exchange leaves it half read
                with http.failures(place):
                    return await self._put(url, source, sent, place)

        return await self._patiently(once)

    async def _put(self, url: str, source: AsyncGenerator[bytes], headers: Mapping[str, str], place: str) -> int:
        async with self.client.stream("PUT", url, content=source, headers=dict(headers)) as response:
            if not response.is_success and response.status_code not in _TRANSIENT:
                return response.status_code
            await _expect(response, place)
            return 200

    async def get(self, url: str, headers: Mapping[str, str]) -> bytes | None:
        """The body; None where there is none (404), or none now.

        Raises:
            TargetError: it was refused, or the other side asks to be left alone.
        """
        place = http.shown(url)
        try:
            with http.failures(place):
                async with self.client.stream("GET", url, headers=dict(headers)) as response:
                    if response.status_code == 404:  # noqa: PLR2004 -- not found
                        return None
                    await _expect(response, place)
                    return await http.read_bounded(response, MAX_ANSWER, place)
        except TargetError as why:
            if why.retry_s is None or _too_long(why):
                raise
            await self.sleep(why.retry_s if isinstance(why, Asked) else 0.0)
            return None

    async def _patiently(self, once: Callable[[], Awaitable[T]]) -> T:
        for pause_s in PAUSES_S:
            try:
                return await once()
            except TargetError as why:
                if why.retry_s is None or _too_long(why):
                    raise
                await self.sleep(max(pause_s, why.retry_s) if isinstance(why, Asked) else pause_s)
        return await once()


def _too_long(why: TargetError) -> bool:
    return isinstance(why, Asked) and (why.retry_s or 0.0) > LONGEST_PAUSE_S


async def _expect(response: http.Response, place: str) -> None:
    """Raises the error for an answer that is no success."""
    if response.is_success:
        return
    why = await http.refusal(response, place)
    if response.status_code not in _TRANSIENT:
        raise TargetError(str(why), retry_s=None, hint="Is the URL that of a w3up service, with nothing in between?")
    if "Retry-After" in response.headers:
        raise Asked(str(why), retry_s=http.retry_after(response), hint=why.hint)
    raise TargetError(str(why), retry_s=http.RETRY_S, hint="It is tried again.")
