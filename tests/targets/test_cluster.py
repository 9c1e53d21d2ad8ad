"""IPFS Cluster: what its pinset ends up as, a peer that dies, and what the adapter makes of bad answers."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from hlspub.errors import TargetError
from hlspub.ipld.cid import Cid
from hlspub.targets import http
from hlspub.targets.cluster import RECOVERIES, ClusterTarget, Replication
from hlspub.targets.cluster_rest import ClusterRest
from tests.support.cluster import ClusterPeer, cluster
from tests.targets.scenes import Growing
from tests.targets.unruly import Mood, unruly

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def to(
    url: str,
    growing: Growing,
    replication: Replication = Replication(),  # noqa: B008 -- frozen
    *,
    headers: dict[str, str] | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[ClusterTarget]:
    async def at_once(_seconds: float) -> None:
        return

    client = http.make_client(transport=transport)
    rest = ClusterRest(url, client, headers or {})
    target = ClusterTarget("nodes", rest, growing.spool.open, growing.block, client.aclose, replication)
    if transport is not None:
        target.sleep = at_once
    try:
        yield target
    finally:
        await target.aclose()


def pinset(peer: ClusterPeer) -> set[str]:
    listed = httpx.get(f"{peer.url}/allocations", timeout=10).text
    return {json.loads(line)["cid"] for line in listed.splitlines() if line.strip()}


@pytest.mark.cluster
async def test_one_pin_a_kept_root_is_left(cluster_peer: ClusterPeer, growing: Growing) -> None:
    before = pinset(cluster_peer)
    async with to(cluster_peer.url, growing) as target:
        bound: Cid | None = None
        for _ in range(3):
            nodes = await growing.grow(target, 2)
            await target.bind(nodes.root, supersedes=bound)
            bound = nodes.root
            assert pinset(cluster_peer) - before == {str(bound)}
            assert str(bound) in cluster_peer.kubo.pins()
        waits = growing.file()
        await target.put([waits])
        assert await target.has(waits)
        await target.forget(waits.root)
        assert not await target.has(waits)


@pytest.mark.cluster
@pytest.mark.parametrize("mood", [Mood.LOSES_REPLIES, Mood.CUTS_REPLIES])
async def test_a_lost_reply_is_found_out_by_the_next_call(
    cluster_peer: ClusterPeer, growing: Growing, mood: Mood
) -> None:
    async with unruly(cluster_peer.url) as way, to(way.url, growing) as target:
        first = await growing.grow(target)
        await target.bind(first.root, supersedes=None)
        second = await growing.grow(target)
        lost = growing.file()
        await way.become(mood)
        for act in (target.put([lost]), target.bind(second.root, supersedes=first.root)):
            with pytest.raises(TargetError) as caught:
                await act
            assert caught.value.retry_s is not None
        await way.become(Mood.WELL)
        await target.put([lost])
        await target.bind(second.root, supersedes=first.root)
        pins = pinset(cluster_peer)
    assert {str(second.root), str(lost.root)} <= pins
    assert str(first.root) not in pins


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("mood", "retry_s", "said"),
    [
        (Mood.CLOSED, http.RETRY_S, "no connection"),
        (Mood.FAILS, 3.0, "come back later"),
        (Mood.DENIES, None, "the token ran out"),
        (Mood.LIES, http.RETRY_S, "no answer of a cluster's"),
    ],
)
async def test_what_goes_wrong_says_whether_to_try_again(
    cluster_peer: ClusterPeer, growing: Growing, mood: Mood, retry_s: float | None, said: str
) -> None:
    async with unruly(cluster_peer.url) as way, to(way.url, growing) as target:
        nodes = await growing.grow(target)
        car = growing.file()
        await way.become(mood)
        acts: list[Callable[[], Any]] = [
            lambda: target.put([car]),
            lambda: target.bind(nodes.root, supersedes=None),
            lambda: target.forget(nodes.root),
            lambda: target.has(car),
            target.check,
        ]
        for act in acts:
            with pytest.raises(TargetError, match=said) as caught:
                await act()
            assert caught.value.retry_s == retry_s
        await way.become(Mood.WELL)
        await target.put([car])
        await target.bind(nodes.root, supersedes=None)


@pytest.mark.cluster
async def test_a_user_and_a_password_are_asked_for(tmp_path: Path, growing: Growing) -> None:
    settings = {"restapi": {"basic_auth_credentials": {"hlspub": "let-me-in"}}}
    with cluster(tmp_path / "c", settings=settings) as (peer,):
        async with to(peer.url, growing, headers={"Authorization": "Basic aGxzcHViOmxldC1tZS1pbg=="}) as target:
            nodes = await growing.grow(target)
            await target.bind(nodes.root, supersedes=None)
            assert "1 peer" in await target.check()
        async with httpx.AsyncClient(auth=("hlspub", "let-me-in")) as client:
            token = (await client.post(f"{peer.url}/token")).json()["token"]
        async with to(peer.url, growing, headers={"Authorization": f"Bearer {token}"}) as target:
            more = await growing.grow(target)
            await target.bind(more.root, supersedes=nodes.root)
        for headers in ({}, {"Authorization": f"Bearer {token[:-4]}AAAA"}):
            async with to(peer.url, growing, headers=headers) as target:
                with pytest.raises(TargetError, match="401") as caught:
                    await target.check()
                assert caught.value.retry_s is None
                assert token[:9] not in str(caught.value) + caught.value.hint


@pytest.mark.cluster
async def test_blocks_that_are_collected_before_the_pin_are_sent_again(tmp_path: Path, growing: Growing) -> None:
    with cluster(tmp_path / "c") as (peer,):
        async with to(peer.url, growing) as target:
            target.sleep = lambda seconds: anyio.sleep(seconds / 10)  # so that what takes long is soon found out
            first = await growing.grow(target, 2)
            playlist = replace(growing.file(b"#EXTM3U\n" * 400_000), fleeting=True)  # of several blocks, without a pin
            await target.put([playlist])
            second = growing.nodes()
            await target.put([second])
            peer.kubo("repo", "gc")
            with anyio.fail_after(60):
                await target.bind(first.root, supersedes=None)
                await target.bind(second.root, supersedes=first.root)
            assert pinset(peer) == {str(second.root)}
            assert peer.kubo("refs", "--offline", "-r", str(second.root))


@pytest.mark.cluster
async def test_three_peers_of_which_one_dies_and_comes_back(tmp_path: Path, growing: Growing) -> None:
    with cluster(tmp_path / "c", 3) as peers:
        async with to(peers[0].url, growing, Replication(2, 3)) as target:
            first = await growing.grow(target, 2)
            await target.bind(first.root, supersedes=None)
            peers[2].kill()
            before = first.root
            for _ in range(3):
                file = growing.file()
                nodes = growing.nodes()
                await again_and_again(lambda file=file: target.put([file]))
                await again_and_again(lambda nodes=nodes: target.put([nodes]))
                await again_and_again(lambda nodes=nodes, before=before: target.bind(nodes.root, supersedes=before))
                before = nodes.root
            assert sum(str(before) in peer.kubo.pins() for peer in peers[:2]) == 2
            peers[2].start(peers[0])
            peers[2].until(lambda: str(before) in peers[2].kubo.pins(), "the peer that was away has the root too", 90)
            assert pinset(peers[2]) == {str(before)}


async def again_and_again(act: Callable[[], Awaitable[object]]) -> None:
    """As a courier does: while another try may help."""
    with anyio.fail_after(60):
        while True:
            try:
                await act()
            except TargetError as why:
                if why.retry_s is None:
                    raise
                await anyio.sleep(0.2)
            else:
                return


def answers(*statuses: str) -> tuple[httpx.MockTransport, list[str]]:
    """A cluster that takes everything, and whose peer's pin stands so, one look after another; the last one stays."""
    left, asked = list(statuses), list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        cid = request.url.path.split("/")[2] if request.url.path.count("/") > 1 else ""
        if request.method == "GET" and request.url.path.startswith("/pins/"):
            status = left.pop(0) if len(left) > 1 else left[0]
            peer = {"peername": "far", "status": status, "error": "the disk is full" if status == "pin_error" else ""}
            return httpx.Response(200, json={"cid": cid, "peer_map": {"12D3": peer}})
        return httpx.Response(200, json={"cid": cid})

    return httpx.MockTransport(answer), asked


async def test_a_pin_that_failed_is_recovered(growing: Growing) -> None:
    transport, asked = answers("pin_queued", "pinning", *["pin_error"] * 4, "pinning", "pinned")
    async with to("http://c", growing, transport=transport) as target:
        nodes = growing.nodes() if growing.file() else None
        assert nodes is not None
        await target.bind(nodes.root, supersedes=None)
    assert sum(one.endswith("/recover") for one in asked) == 1


async def test_a_pin_that_fails_again_and_again_is_told_with_its_peer(growing: Growing) -> None:
    transport, asked = answers("pin_error")
    async with to("http://c", growing, transport=transport) as target:
        growing.file()
        with pytest.raises(TargetError, match="at peer far: the disk is full") as caught:
            await target.bind(growing.nodes().root, supersedes=None)
    assert caught.value.retry_s is not None
    assert sum(one.endswith("/recover") for one in asked) == RECOVERIES


@pytest.mark.parametrize(
    ("states", "least", "enough"),
    [
        (["pinned", "pinned", "cluster_error"], None, True),
        (["pinned", "pinning", "cluster_error"], None, False),
        (["cluster_error"], None, False),
        (["pinned", "pinned", "pin_error"], 2, True),
        (["pinned", "pinning", "remote"], 2, False),
    ],
)
async def test_how_many_peers_are_enough(growing: Growing, states: list[str], least: int | None, enough: bool) -> None:
    async with to("http://c", growing, Replication(least, least and 3)) as target:
        assert target._is_enough({str(n): {"status": state} for n, state in enumerate(states)}) == enough


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([{"name": "x", "cid": "other", "bytes": 3000}], "3000 of 3000 bytes"),
        ([{"name": "x", "cid": None, "bytes": 5}], "5 of 3000 bytes"),
        ([], "no answer of a cluster's"),
        ({"a": 1}, "no answer of a cluster's"),
    ],
)
async def test_200_is_no_success(growing: Growing, answer: object, said: str) -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json=answer))
    async with to("http://c", growing, transport=transport) as target:
        with pytest.raises(TargetError, match=said):
            await target.put([growing.file()])
