import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hlspub.errors import ConfigError, TargetError
from hlspub.ipns.key import Key
from hlspub.ipns.record import MAX_SIZE, MEDIA_TYPE, NS, Record, sign
from hlspub.names.delegated import DelegatedRouter
from hlspub.names.kubo import KuboRouter
from hlspub.targets import http
from tests.names.router import RouterServer, routing
from tests.support.kubo import kubo_daemon, two_nodes

pytestmark = pytest.mark.anyio
KEY = Key.from_seed(bytes(range(1, 33)))
RECORD = Record(
    "/ipfs/bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi", 7, int(time.time() + 172_800) * NS, 60 * NS
)
SIGNED = sign(RECORD, KEY)


@pytest.fixture
def server() -> Iterator[RouterServer]:
    with routing() as running:
        yield running


@asynccontextmanager
async def delegated(url: str, token: str | None = None) -> AsyncIterator[DelegatedRouter]:
    router = DelegatedRouter("public", url, http.make_client(), token)
    try:
        yield router
    finally:
        await router.aclose()


@pytest.mark.parametrize("suffix", ["", "/", "/routing/v1", "/routing/v1/"])
async def test_a_record_goes_there_and_comes_back(server: RouterServer, suffix: str) -> None:
    async with delegated(server.url + suffix) as router:
        assert await router.get(KEY.name) is None
        await router.put(KEY.name, SIGNED)
        await router.put(KEY.name, SIGNED)
        assert await router.get(KEY.name) == SIGNED
    assert server.records == {str(KEY.name): SIGNED}


async def test_the_token_goes_along_and_is_never_shown(server: RouterServer) -> None:
    server.wanted = "Bearer a-secret-word"
    async with delegated(server.url, "a-secret-word") as router:
        await router.put(KEY.name, SIGNED)
    async with delegated(server.url.replace("//", "//me:a-secret-word@") + "/?t=a-secret-word") as router:
        with pytest.raises(TargetError) as caught:
            await router.put(KEY.name, SIGNED)
    assert "a-secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("mood", "retry_s"),
    [
        ((400, {}, b"bad record"), None),
        ((406, {}, b""), None),
        ((429, {"Retry-After": "7"}, b""), 7.0),
        ((503, {"Retry-After": "9"}, b""), 9.0),
        ((500, {}, b"oops"), 10.0),
    ],
)
async def test_a_refusal_says_when_to_try_again(
    server: RouterServer, mood: tuple[int, dict[str, str], bytes], retry_s: float | None
) -> None:
    server.mood = mood
    async with delegated(server.url) as router:
        with pytest.raises(TargetError, match=rf"public .*HTTP {mood[0]}") as caught:
            await router.put(KEY.name, SIGNED)
    assert caught.value.retry_s == retry_s


async def test_what_is_no_record_is_none_and_what_has_no_end_is_refused(server: RouterServer) -> None:
    async with delegated(server.url) as router:
        server.mood = (200, {"Content-Type": "text/html"}, b"<html>")
        assert await router.get(KEY.name) is None
        server.mood = (200, {"Content-Type": MEDIA_TYPE}, bytes(MAX_SIZE + 1))
        with pytest.raises(TargetError, match="more than 10240"):
            await router.get(KEY.name)


async def test_a_router_that_is_not_there_is_named() -> None:
    with routing() as gone:
        url = gone.url
    async with delegated(url) as router:
        with pytest.raises(TargetError, match=r"public .*no connection"):
            await router.put(KEY.name, SIGNED)
    with pytest.raises(ConfigError):
        DelegatedRouter("public", "somewhere", http.make_client())


@pytest.mark.kubo
async def test_kubo_takes_judges_and_carries_our_records(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as (one, two):
        near, far = KuboRouter("near", one.url, http.make_client()), KuboRouter("far", two.url, http.make_client())
        try:
            assert await near.get(KEY.name) is None
            await near.put(KEY.name, SIGNED)
            await near.put(KEY.name, SIGNED)
            assert await near.get(KEY.name) == SIGNED
            assert await far.get(KEY.name) == SIGNED
            assert two("name", "resolve", str(KEY.name)).decode().strip() == RECORD.value

            (tmp_path / "record").write_bytes(SIGNED)
            told = one("name", "inspect", "--enc=json", "--verify", str(KEY.name), str(tmp_path / "record"))
            assert json.loads(told)["Validation"]["Valid"] is True

            with pytest.raises(TargetError, match="sequence 7"):
                await near.put(KEY.name, sign(replace(RECORD, sequence=6), KEY))
            with pytest.raises(TargetError, match="signature"):
                await near.put(KEY.name, sign(replace(RECORD, sequence=8), Key.from_seed(bytes(32))))
            newer = sign(replace(RECORD, sequence=8), KEY)
            await near.put(KEY.name, newer)
            assert await far.get(KEY.name) == newer
        finally:
            await near.aclose()
            await far.aclose()


@pytest.mark.kubo
async def test_kubo_takes_our_keys_over_and_we_its(tmp_path: Path) -> None:
    with kubo_daemon(tmp_path / "kubo") as node:
        (tmp_path / "k.pem").write_bytes(KEY.pem())
        (tmp_path / "k.bin").write_bytes(KEY.protobuf())
        told = node("key", "import", "one", "--format=pem-pkcs8-cleartext", str(tmp_path / "k.pem")).decode()
        assert told.strip() == str(KEY.name)
        node("key", "rm", "one")
        assert node("key", "import", "two", str(tmp_path / "k.bin")).decode().strip() == str(KEY.name)
        name = node("key", "gen", "three").decode().strip()
        node("key", "export", "three", f"--output={tmp_path / 'three'}")
        assert str(Key.read((tmp_path / "three").read_bytes()).name) == name
