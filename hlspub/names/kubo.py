"""Kubo as a router: `name/put` takes a record that was signed elsewhere, so the key stays here (Kubo 0.40 and newer).

Kubo checks the record, keeps it and puts it into the DHT, but does not send it again by itself: who signs does that. It
answers every failure with 500, and takes no record that is older than the one it has.

Source: docs.ipfs.tech/reference/kubo/rpc, `name/put`, `name/get`.
"""

from collections.abc import Sequence

from hlspub.ipns.name import Name
from hlspub.ipns.record import MAX_SIZE
from hlspub.names.base import PATIENCE_S
from hlspub.targets import http

_FAILED = 500
_LACKS = 400


class KuboRouter:
    """The node whose RPC is at `url`; it closes `client`. `token`: what API.Authorizations asks for."""

    def __init__(self, name: str, url: str, client: http.AsyncClient, token: str | None = None) -> None:
        """Take note of it; nothing is sent.

        Raises:
            ConfigError: `url` is no http(s) URL.
        """
        self.name = name
        self._place = f"{name} ({http.shown(url)})"
        self._base = url.rstrip("/").removesuffix("/api/v0") + "/api/v0/"
        self._client = client
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    async def put(self, name: Name, signed: bytes) -> None:
        """Hand the record over; a node without peers keeps it for its own readers."""
        with http.failures(self._place):
            async with self._client.stream(
                "POST",
                f"{self._base}name/put",
                params={"arg": str(name), "allow-offline": "true"},
                files={"file": ("record", signed)},
                headers=self._headers,
                timeout=PATIENCE_S,
            ) as response:
                if not response.is_success:
                    raise await http.refusal(response, self._place)

    async def get(self, name: Name) -> bytes | None:
        """Ask for the record; that there is none is one of Kubo's failures."""
        with http.failures(self._place):
            async with self._client.stream(
                "POST", f"{self._base}name/get", params={"arg": str(name)}, headers=self._headers, timeout=PATIENCE_S
            ) as response:
                if response.status_code == _FAILED:
                    return None
                if not response.is_success:
                    raise await http.refusal(response, self._place)
                return await http.read_bounded(response, MAX_SIZE, self._place)

    async def check(self, names: Sequence[Name]) -> str:
        """Whether `name/put` is there for us: asked without a name, it says that it lacks one (400)."""
        with http.failures(self._place):
            async with self._client.stream("POST", f"{self._base}name/put", headers=self._headers) as response:
                if response.status_code != _LACKS:
                    raise await http.refusal(response, self._place)
        return f"name/put is there, at {self._place}, for {len(names)} names"

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()
