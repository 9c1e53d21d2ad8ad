from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hlspub.errors import ConfigError, TargetError
from hlspub.ipld.car_reader import MAX_SECTION
from hlspub.targets.http import make_client
from hlspub.targets.trustless import PAUSES_S, TrustlessGateway
from tests.block_server import BlockServer, serving
from tests.dags import Dags

pytestmark = pytest.mark.anyio
DAGS = Dags()
HERE, AWAY = DAGS.raw(b"here"), Dags().raw(b"away")
REFUSED = 403, dict[str, str](), b"not you"


class Naps(list[float]):
    """Sleeps that take no time."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


@asynccontextmanager
async def gateway(naps: Naps, suffix: str = "") -> AsyncIterator[tuple[BlockServer, TrustlessGateway]]:
    with serving(DAGS) as server:
        async with make_client() as client:
            yield server, TrustlessGateway(server.url + suffix, client, sleep=naps)


@pytest.mark.parametrize("suffix", ["", "/", "/ipfs", "/ipfs/"])
async def test_gets_a_block_and_none_where_there_is_none(suffix: str) -> None:
    async with gateway(Naps(), suffix) as (server, source):
        assert await source.get(HERE) == b"here"
        assert await source.get(AWAY) is None
        server.moods = [(410, {}, b"gone")]
        assert await source.get(HERE) is None
        assert server.asked == [HERE, AWAY, HERE]


async def test_believes_nothing_and_checks_nothing() -> None:
    async with gateway(Naps()) as (server, source):
        server.moods = [(200, {}, b"evil")]
        assert await source.get(HERE) == b"evil"


async def test_asks_again_when_it_may_help() -> None:
    naps = Naps()
    async with gateway(naps) as (server, source):
        server.moods = [(503, {}, b""), (429, {"Retry-After": "1"}, b""), (200, {"Content-Length": "999"}, b"cut")]
        assert await source.get(HERE) == b"here"
        assert naps == [PAUSES_S[0], 1, PAUSES_S[2]]
        assert len(server.asked) == 4


async def test_gives_up_after_a_few_tries_and_says_why() -> None:
    naps = Naps()
    async with gateway(naps) as (server, source):
        server.moods = [(500, {}, b"it burns")] * 10
        with pytest.raises(TargetError, match=f"{server.url}: HTTP 500: it burns"):
            await source.get(HERE)
        assert (len(naps), len(server.asked)) == (len(PAUSES_S), len(PAUSES_S) + 1)


async def test_does_not_ask_again_when_it_cannot_help() -> None:
    naps = Naps()
    async with gateway(naps) as (server, source):
        for mood in (REFUSED, (200, {}, bytes(MAX_SECTION + 1))):
            server.moods = [mood]
            with pytest.raises(TargetError) as caught:
                await source.get(HERE)
            assert caught.value.retry_s is None
        assert (naps, len(server.asked)) == ([], 2)


async def test_nobody_there_is_a_target_error() -> None:
    with serving(DAGS) as server:
        url = server.url
    naps = Naps()
    async with make_client() as client:
        with pytest.raises(TargetError, match="no connection"):
            await TrustlessGateway(url, client, sleep=naps).get(HERE)
    assert naps == list(PAUSES_S)


async def test_what_is_no_url_is_refused() -> None:
    async with make_client() as client:
        with pytest.raises(ConfigError):
            TrustlessGateway("gateway.example", client)
