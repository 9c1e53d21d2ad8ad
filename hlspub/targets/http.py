"""HTTP, as every target that speaks it does: one way to make a client, one meaning for each failure.

Rule: httpx is imported here and nowhere else. Every exchange has time limits; every failure leaves as a `TargetError` that
names the place without query, fragment, user or password (P8), and says whether and when another try can help. Bodies are
read up to a bound.
"""

import json
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from hlspub import __version__
from hlspub.errors import ConfigError, TargetError

CONNECT_S = 10.0
IDLE_S = 60.0  # without a byte, in either direction
RETRY_S = 10.0  # when the other side does not say
TOO_MANY, UNAVAILABLE, SERVER_ERROR = 429, 503, 500
_LONGEST_RETRY_S = 3600.0
_SHOWN = 200  # characters of an answer that are quoted

AsyncClient = httpx.AsyncClient
Response = httpx.Response


def make_client(*, concurrency: int = 8, transport: httpx.AsyncBaseTransport | None = None) -> AsyncClient:
    """A client for one target; the caller closes it. `transport` is where a test puts its own network."""
    return httpx.AsyncClient(
        headers={"User-Agent": f"hlspub/{__version__}"},
        timeout=httpx.Timeout(IDLE_S, connect=CONNECT_S, pool=None),
        limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
        transport=transport,
    )


def shown(url: str) -> str:
    """The URL as it may be logged: without user, password, query and fragment.

    Raises:
        ConfigError: it is no http(s) URL.
    """
    try:
        parsed, host, _port = httpx.URL(url), urlsplit(url).hostname, urlsplit(url).port
    except (httpx.InvalidURL, ValueError) as why:
        raise _no_url() from why
    if parsed.scheme not in ("http", "https") or not parsed.host or not host:
        raise _no_url()
    return str(parsed.copy_with(username=None, password=None, query=None, fragment=None))


def parted(url: str) -> tuple[str, bytes]:
    """A URL without its path, and its path: for those whose path is a secret, and shows up nowhere when it goes apart."""
    whole = httpx.URL(url)
    return str(whole.copy_with(raw_path=b"/")), whole.raw_path


def _no_url() -> ConfigError:
    """Nothing of the text is quoted: it may hold a password in the wrong place."""
    return ConfigError("not an http or https URL with a host", hint="It looks like https://gateway.example.")


@contextmanager
def failures(place: str, retry_s: float = RETRY_S) -> Generator[None]:
    """Turn what goes wrong on the way into a `TargetError`; `place` is what `shown` gives.

    Raises:
        TargetError: no connection, no answer in time, or an answer that is no HTTP.
    """
    try:
        yield
    except httpx.TimeoutException as why:
        raise TargetError(
            f"{place}: no answer in time ({type(why).__name__})", retry_s=retry_s, hint="Is it overloaded or cut off?"
        ) from why
    except httpx.ConnectError as why:
        raise TargetError(
            f"{place}: no connection: {why}", retry_s=retry_s, hint="Is it running, and the URL right?"
        ) from why
    except httpx.HTTPError as why:
        raise TargetError(
            f"{place}: {str(why) or type(why).__name__}", retry_s=retry_s, hint="The connection broke."
        ) from why


async def read_bounded(response: Response, limit: int, place: str) -> bytes:
    """The body of a streamed response.

    Raises:
        TargetError: it has more than `limit` bytes.
    """
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > limit:
            raise TargetError(
                f"{place}: an answer of more than {limit} bytes", retry_s=None, hint="Is this the right URL?"
            )
        parts.append(part)
    return b"".join(parts)


def document(data: bytes | str) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is none, or is nested too deeply to be an answer.
    """
    try:
        return json.loads(data)
    except RecursionError as why:
        raise ValueError("nested too deeply") from why


async def refusal(response: Response, place: str) -> TargetError:
    """The error for a streamed response that is no success, with the first words of what it says."""
    said = ""
    async for part in response.aiter_text(_SHOWN):
        said = " ".join(part.split())
        break
    status = response.status_code
    retry_s = retry_after(response) if status in (TOO_MANY, UNAVAILABLE) or status >= SERVER_ERROR else None
    hint = "It is tried again." if retry_s is not None else "Another try will not help."
    return TargetError(f"{place}: HTTP {status}{': ' if said else ''}{said}", retry_s=retry_s, hint=hint)


def retry_after(response: Response) -> float:
    """Seconds to wait, as the other side asks (RFC 9110 §10.2.3) or `RETRY_S`; at most an hour."""
    given = response.headers.get("Retry-After", "").strip()
    if given.isascii() and given.isdigit():
        return min(float(given), _LONGEST_RETRY_S)
    try:
        wait = (parsedate_to_datetime(given) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return RETRY_S
    return min(max(wait, 0.0), _LONGEST_RETRY_S)
