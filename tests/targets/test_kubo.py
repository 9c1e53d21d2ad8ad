"""Kubo: what it ends up holding, what it costs, and what the adapter makes of bad answers; against the real daemon."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import anyio
import httpx
import pytest

from hlspub.errors import TargetError
from hlspub.ipld.cid import Cid
from hlspub.targets import http
from hlspub.targets.cars import MAX_BLOCK
from hlspub.targets.kubo import KuboTarget
from hlspub.targets.kubo_rpc import KuboRpc
from tests.support.kubo import KuboDaemon, kubo_daemon
from tests.targets.scenes import Growing, big_car
from tests.targets.unruly import Mood, Unruly, unruly

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def to(
    url: str,
    growing: Growing,
    *,
    headers: dict[str, str] | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    lacks: frozenset[str] = frozenset(),
) -> AsyncIterator[KuboTarget]:
    """The adapter, with this machine's blocks at hand."""

    client = http.make_client(transport=transport)
    target = KuboTarget(
        "node", KuboRpc(url, client, headers or {}), client, growing.spool.open, growing.block, lacks=lacks
    )
    try:
        yield target
    finally:
        await target.aclose()


@asynccontextmanager
async def door(daemon: KuboDaemon, growing: Growing) -> AsyncIterator[tuple[KuboTarget, Unruly]]:
    async with unruly(daemon.url) as way, to(way.url, growing) as target:
        yield target, way


@pytest.mark.kubo
async def test_one_pin_a_kept_root_is_left_and_collection_takes_nothing_that_counts(
    tmp_path: Path, growing: Growing
) -> None:
    with kubo_daemon(tmp_path / "repo") as daemon:
        async with to(daemon.url, growing) as target:
            before: Cid | None = None
            for _ in range(4):
                nodes = await growing.grow(target, 3, size=1_500_000)
                await target.bind(nodes.root, supersedes=before)
                before = nodes.root
                assert daemon.pins() == {str(before)}
            waits = growing.file()
            await target.put([waits])
            assert daemon.pins() == {str(before), str(waits.root)}
            daemon("repo", "gc")
            assert before is not None
            assert daemon("refs", "--offline", "-r", str(before))
            assert await target.has(waits)
            final = await growing.grow(target)
            await target.bind(final.root, supersedes=before)
            await target.forget(final.root)
            assert daemon.pins() == set()
            daemon("repo", "gc")
            assert not await target.has(waits)


@pytest.mark.kubo
async def test_blocks_that_are_collected_before_the_pin_are_sent_again(tmp_path: Path, growing: Growing) -> None:
    with kubo_daemon(tmp_path / "repo") as daemon:
        async with to(daemon.url, growing) as target:
            first = await growing.grow(target)
            daemon("repo", "gc")
            await target.bind(first.root, supersedes=None)
            second = await growing.grow(target, 3)
            daemon("repo", "gc")
            await target.bind(second.root, supersedes=first.root)
            assert daemon.pins() == {str(second.root)}
            assert daemon("refs", "--offline", "-r", str(second.root))


@pytest.mark.kubo
async def test_pins_of_files_that_came_before_a_restart_go_too(kubo_node: KuboDaemon, growing: Growing) -> None:
    async with to(kubo_node.url, growing) as target:
        first = await growing.grow(target)
        await target.bind(first.root, supersedes=None)
        second = await growing.grow(target, 2)
    async with to(kubo_node.url, growing) as target:
        await target.bind(second.root, supersedes=first.root)
        for car in sorted(growing.spool.keys()):
            if car != first.key and str(Cid.parse(car)) in kubo_node.pins():
                raise AssertionError(car)
    assert str(second.root) in kubo_node.pins()


@pytest.mark.kubo
async def test_a_bind_asks_as_much_after_two_thousand_files_as_after_two(
    kubo_node: KuboDaemon, growing: Growing
) -> None:
    async with door(kubo_node, growing) as (target, way):
        before, asked = None, list[int]()
        for files in (2, 1, 1):
            nodes = await growing.grow(target, files)
            way.requests.clear()
            await target.bind(nodes.root, supersedes=before)
            before = nodes.root
            asked.append(len(way.requests))
    assert asked[1:] == [2, 2]  # pin/update and pin/rm


@pytest.mark.kubo
@pytest.mark.parametrize("mood", [Mood.LOSES_REPLIES, Mood.CUTS_REPLIES])
async def test_a_lost_reply_is_found_out_by_the_next_call(kubo_node: KuboDaemon, growing: Growing, mood: Mood) -> None:
    async with door(kubo_node, growing) as (target, way):
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
        await target.bind(second.root, supersedes=first.root)
        await target.put([lost])
        assert await target.has(lost)
        pins = kubo_node.pins()
    assert str(second.root) in pins
    assert str(first.root) not in pins


@pytest.mark.kubo
@pytest.mark.parametrize(
    ("mood", "retry_s", "said"),
    [
        (Mood.CLOSED, http.RETRY_S, "no connection"),
        (Mood.FAILS, 3.0, "come back later"),
        (Mood.DENIES, None, "denied"),
        (Mood.LIES, http.RETRY_S, "no answer of Kubo's"),
        (Mood.CUTS_REQUESTS, http.RETRY_S, ""),
    ],
)
async def test_what_goes_wrong_says_whether_to_try_again(
    kubo_node: KuboDaemon, growing: Growing, mood: Mood, retry_s: float | None, said: str
) -> None:
    async with door(kubo_node, growing) as (target, way):
        nodes = await growing.grow(target)
        car = growing.file(Random(3).randbytes(2_000_000))
        await way.become(mood)
        acts: list[Callable[[], object]] = [
            lambda: target.put([car]),
            lambda: target.bind(nodes.root, supersedes=None),
            lambda: target.forget(nodes.root),
            target.check,
            lambda: target.read(nodes.root),  # unchecked, so a lie passes
        ]
        for act in acts[: {Mood.CUTS_REQUESTS: 1, Mood.LIES: 4}.get(mood, 5)]:
            with pytest.raises(TargetError, match=said or None) as caught:
                await act()  # type: ignore[misc]
            assert caught.value.retry_s == retry_s
        await way.become(Mood.WELL)
        await target.put([car])
        await target.bind(nodes.root, supersedes=None)
        assert await target.has(car)


@pytest.mark.kubo
async def test_a_call_that_hangs_can_be_cancelled_and_made_again(kubo_node: KuboDaemon, growing: Growing) -> None:
    async with door(kubo_node, growing) as (target, way):
        car = growing.file(Random(4).randbytes(2_000_000))
        await way.become(Mood.HANGS)
        with anyio.move_on_after(0.2) as scope:
            await target.put([car])
        assert scope.cancelled_caught
        await way.become(Mood.WELL)
        await target.put([car])
        assert await target.has(car)


@pytest.mark.kubo
async def test_a_node_that_was_killed_goes_on_where_it_was(tmp_path: Path, growing: Growing) -> None:
    with kubo_daemon(tmp_path / "repo") as daemon:
        async with to(daemon.url, growing) as target:
            first = await growing.grow(target)
            await target.bind(first.root, supersedes=None)
            daemon.kill()
            car = growing.file()
            with pytest.raises(TargetError, match="no connection"):
                await target.put([car])
            daemon.start()
            await target.put([car])
            second = growing.nodes()
            await target.put([second])
            await target.bind(second.root, supersedes=first.root)
            assert daemon.pins() == {str(second.root)}


LEAST = ["dag/import", "block/stat", "block/get", "pin", "id", "version"]


@pytest.mark.kubo
@pytest.mark.parametrize("secret", ["bearer:let-me-in", "basic:hlspub:let-me-in"])
async def test_a_token_with_the_least_privilege_is_enough(tmp_path: Path, growing: Growing, secret: str) -> None:
    allowed = {"hlspub": {"AuthSecret": secret, "AllowedPaths": [f"/api/v0/{path}" for path in LEAST]}}
    admin = {"admin": {"AuthSecret": "bearer:admin", "AllowedPaths": ["/api/v0"]}}
    header = {"bearer:let-me-in": "Bearer let-me-in", "basic:hlspub:let-me-in": "Basic aGxzcHViOmxldC1tZS1pbg=="}
    with kubo_daemon(tmp_path / "repo", settings={"API.Authorizations": allowed | admin}) as daemon:
        async with to(daemon.url, growing, headers={"Authorization": header[secret]}) as target:
            first = await growing.grow(target)
            await target.bind(first.root, supersedes=None)
            second = await growing.grow(target)
            await target.bind(second.root, supersedes=first.root)
            assert await target.has(second)
            assert await target.read(second.root)
            assert "Kubo" in await target.check()
            await target.forget(second.root)
        async with to(daemon.url, growing, headers={"Authorization": "Bearer wrong"}) as target:
            with pytest.raises(TargetError, match="denied") as caught:
                await target.check()
            assert caught.value.retry_s is None
            assert "wrong" not in str(caught.value) + caught.value.hint


async def test_a_block_that_peers_would_not_take_is_not_sent(growing: Growing) -> None:
    refuse = httpx.MockTransport(lambda _request: httpx.Response(500, json={"Message": "could not find it"}))
    async with to("http://node", growing, transport=refuse) as target:
        with pytest.raises(TargetError, match="more than 2 MiB") as caught:
            await target.put([big_car(growing.spool, MAX_BLOCK + 1)])
    assert caught.value.retry_s is None


def lines(*objects: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in objects)


def root(cid: Cid, said: str = "") -> dict[str, object]:
    return {"Root": {"Cid": {"/": str(cid)}, "PinErrorMsg": said}}


def stats(count: int) -> dict[str, object]:
    return {"Stats": {"BlockCount": count, "BlockBytesCount": 1}}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda cid: lines(root(cid, "block was not found locally"), stats(1)), "block was not found locally"),
        (lambda cid: lines(root(cid)), "ends early"),
        (lambda _: lines(stats(1)), "it was not pinned"),
        (lambda cid: lines(root(cid), stats(0)), "0 of 1 blocks"),
        (lambda cid: lines(root(cid), {"Message": "disk full", "Code": 0, "Type": "error"}), "disk full"),
        (lambda _: b"", "no answer of Kubo's"),
        (lambda _: b"[]", "no answer of Kubo's"),
        (lambda cid: lines(root(cid), stats(1))[:-4], "no answer of Kubo's"),
    ],
    ids=["pin error", "no stats", "no root", "blocks missing", "error at the end", "empty", "no objects", "cut"],
)
async def test_200_is_no_success(growing: Growing, answer: Callable[[Cid], bytes], said: str) -> None:
    car = growing.file()
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, content=answer(car.root)))
    async with to("http://node", growing, transport=transport) as target:
        with pytest.raises(TargetError, match=said) as caught:
            await target.put([car])
    assert caught.value.retry_s is not None


@pytest.mark.parametrize(("message", "retries"), [("produced block is over 2MiB: …", False), ("no space left", True)])
async def test_what_kubo_refuses_is_told_in_its_words(growing: Growing, message: str, retries: bool) -> None:
    said = {"Message": message, "Code": 0, "Type": "error"}
    transport = httpx.MockTransport(lambda _request: httpx.Response(500, json=said))
    async with to("http://node", growing, transport=transport) as target:
        with pytest.raises(TargetError, match=message[:12]) as caught:
            await target.put([growing.file()])
    assert (caught.value.retry_s is not None) == retries
