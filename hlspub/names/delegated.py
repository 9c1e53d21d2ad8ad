"""Delegated Routing: `PUT` and `GET {url}/routing/v1/ipns/NAME`.

Source: specs.ipfs.tech/routing/http-routing-v1 "IPNS API". An answer of another media type than a record's means "none".
"""

from collections.abc import Sequence

from hlspub.ipns.key import SEED_SIZE, Key
from hlspub.ipns.name import Name
from hlspub.ipns.record import MAX_SIZE, MEDIA_TYPE
from hlspub.names.base import PATIENCE_S
from hlspub.targets import http

_ABSENT = frozenset({404, 410})


class DelegatedRouter:
    """The router at `url`, with or without `/routing/v1` behind it; it closes `client`."""

    def __init__(self, name: str, url: str, client: http.AsyncClient, token: str | None = None) -> None:
        """Take note of it; nothing is sent.

        Raises:
            ConfigError: `url` is no http(s) URL.
        """
        self.name = name
        self._place = f"{name} ({http.shown(url)})"
        self._base = url.rstrip("/").removesuffix("/routing/v1") + "/routing/v1/ipns/"
        self._client = client
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    async def put(self, name: Name, signed: bytes) -> None:
        """Hand the record over."""
        headers = self._headers | {"Content-Type": MEDIA_TYPE}
        with http.failures(self._place):
            async with self._client.stream(
                "PUT", f"{self._base}{name}", content=signed, headers=headers, timeout=PATIENCE_S
            ) as response:
                if not response.is_success:
                    raise await http.refusal(response, self._place)

    async def get(self, name: Name) -> bytes | None:
        """Ask for the record."""
        headers = self._headers | {"Accept": MEDIA_TYPE}
        with http.failures(self._place):
            async with self._client.stream(
                "GET", f"{self._base}{name}", headers=headers, timeout=PATIENCE_S
            ) as response:
                if response.status_code in _ABSENT:
                    return None
                if not response.is_success:
                    raise await http.refusal(response, self._place)
                if response.headers.get("Content-Type", "").partition(";")[0].strip() != MEDIA_TYPE:
                    return None
                return await http.read_bounded(response, MAX_SIZE, self._place)

    async def check(self, names: Sequence[Name]) -> str:
        """Whether it answers, for the names that it carries; it may have none of them yet. A put cannot be tried out."""
        known = [await self.get(name) is not None for name in names or (_somebodys(),)]
        return f"{self._place} answers; it has {sum(known)} of {len(names)} names"

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()


def _somebodys() -> Name:
    """A name to ask for where there is none of ours."""
    return Key.from_seed(bytes(SEED_SIZE)).name
