"""A trustless gateway as a source of blocks: `GET /ipfs/CID?format=raw`, one block at a time.

Rule: nothing it says is believed; who asks checks the block against its CID. What it does not have is None; when it cannot
answer for now it is asked again a few times before that is an error.

Source: specs.ipfs.tech/http-gateways/trustless-gateway.
"""

from collections.abc import Awaitable, Callable

import anyio

from hlspub.errors import TargetError
from hlspub.ipld.car_reader import MAX_SECTION
from hlspub.ipld.cid import Cid
from hlspub.targets import http

PAUSES_S = (0.5, 1.5, 5.0)  # the longest before another try; there are as many
_RAW = "application/vnd.ipld.raw"
_ABSENT = frozenset({404, 410})


class TrustlessGateway:
    """The gateway at `url`, with or without `/ipfs` behind it; `client` is the caller's to close."""

    def __init__(
        self, url: str, client: http.AsyncClient, *, sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    ) -> None:
        """Take note of it; nothing is sent.

        Raises:
            ConfigError: `url` is no http(s) URL.
        """
        self.place = http.shown(url)
        self._base = url.rstrip("/").removesuffix("/ipfs")
        self._client = client
        self._sleep = sleep

    async def get(self, cid: Cid) -> bytes | None:
        """A block, unchecked; None when the gateway does not have it.

        Raises:
            TargetError: it cannot be reached, or refuses.
        """
        for pause_s in PAUSES_S:
            try:
                return await self._get(cid)
            except TargetError as why:
                if why.retry_s is None:
                    raise
                await self._sleep(min(why.retry_s, pause_s))
        return await self._get(cid)

    async def _get(self, cid: Cid) -> bytes | None:
        url = f"{self._base}/ipfs/{cid}"
        with http.failures(self.place):
            async with self._client.stream(
                "GET", url, params={"format": "raw"}, headers={"Accept": _RAW}, follow_redirects=True
            ) as response:
                if response.status_code in _ABSENT:
                    return None
                if not response.is_success:
                    raise await http.refusal(response, self.place)
                return await http.read_bounded(response, MAX_SECTION, self.place)
