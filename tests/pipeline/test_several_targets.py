"""Several targets at once: who is waited for, who is not, and what one gets that comes later."""

from pathlib import Path
from random import Random

import pytest
from structlog.testing import capture_logs

from hlspub.errors import TargetError
from hlspub.ipld.dag import walk_dag
from hlspub.ipld.walk import stream_async
from hlspub.pipeline.deliver import Courier
from hlspub.spool.store import CarStore
from hlspub.targets.base import Capabilities
from tests.pipeline.house import Site, site, until
from tests.targets.memory import MemoryTarget

pytestmark = pytest.mark.anyio
AWAY = TargetError("it is away", retry_s=0.05, hint="Wait.")


def target(name: str) -> MemoryTarget:
    return MemoryTarget(name, capabilities=Capabilities(concurrency=4, reads=True))


async def grow(here: Site, first: int, count: int) -> None:
    """Write segments, then a playlist of all so far."""
    for number in range(first, first + count):
        await here.write_and_wait(f"s{number}.ts", Random(number).randbytes(3000))
    lines = [f"#EXTINF:2,\ns{number}.ts\n" for number in range(first + count)]
    await here.write_and_wait("i.m3u8", ("#EXTM3U\n#EXT-X-TARGETDURATION:2\n" + "".join(lines)).encode())


def courier(here: Site, name: str) -> Courier:
    return next(one for one in here.house.couriers if one.target.name == name)


async def whole(here: Site, one: MemoryTarget) -> bool:
    """Whether the target has everything under the newest root, and is bound to that alone."""
    newest = here.published[0].root

    async def get(cid: object) -> bytes:
        return one.blocks[cid]  # type: ignore[index]

    try:
        return bool([block async for block in stream_async(walk_dag(newest), get)]) and one.bound == [newest]
    except KeyError:
        return False


async def catches_up(here: Site, one: MemoryTarget) -> None:
    await until(lambda: one.bound == [here.published[0].root], f"{one.name} is bound to the newest root")
    assert await whole(here, one)


async def test_of_three_two_are_enough_and_the_third_catches_up(tmp_path: Path) -> None:
    a, b, c = (target(name) for name in "abc")
    c.failure = AWAY
    async with site(tmp_path, entry="i.m3u8", others=[a, b, c], quorum=2) as here:
        for start in (0, 2, 4):
            await grow(here, start, 2)
            await here.root(lambda tree, start=start: f"s{start + 1}.ts" in tree)
        assert await whole(here, a)
        assert await whole(here, b)
        assert (c.blocks, c.bound) == ({}, [])
        status = await here.house.view.status()
        states = {one["name"]: one["state"] for one in status["targets"]}  # type: ignore[attr-defined,index]
        assert (states["a"], states["b"], states["c"]) == ("ok", "ok", "degraded")
        c.failure = None
        await catches_up(here, c)
        b.failure = AWAY  # now the third counts in place of another
        await grow(here, 6, 1)
        tree = await here.root(lambda tree: "s6.ts" in tree)
        assert len(tree) == 8
        assert await whole(here, c)


async def test_where_all_are_required_nothing_is_announced_without_one(tmp_path: Path) -> None:
    a, b = target("a"), target("b")
    async with site(tmp_path, entry="i.m3u8", others=[a, b]) as here:
        await grow(here, 0, 1)
        await here.root()
        b.failure = AWAY
        await grow(here, 1, 3)
        await until(lambda: not courier(here, "b").well, "b is known to be away")
        before = len(here.published)
        assert "s3.ts" not in await here.tree(here.published[0].root)
        status = await here.house.view.status()
        assert status["streams"][0]["waiting_for_targets"] == ["b"]  # type: ignore[index]
        b.failure = None
        await here.root(lambda tree: "s3.ts" in tree)
        assert len(here.published) > before
        await catches_up(here, b)


async def test_a_slow_target_that_is_not_required_holds_nobody_back(tmp_path: Path) -> None:
    a, slow = target("a"), target("slow")
    slow.hangs = True
    async with site(tmp_path, entry="i.m3u8", others=[a, slow], required=False) as here:
        await grow(here, 0, 3)
        await here.root(lambda tree: "s2.ts" in tree)
        assert slow.blocks == {}
        slow.hangs = False


async def test_one_that_is_added_to_a_running_stream_gets_what_came_before(tmp_path: Path) -> None:
    a, b = target("a"), target("b")
    async with site(tmp_path, entry="i.m3u8", others=[a]) as here:
        await grow(here, 0, 3)
        await here.root(lambda tree: "s2.ts" in tree)
    async with site(tmp_path, entry="i.m3u8", others=[a, b]) as here:
        await catches_up(here, b)
        await grow(here, 3, 1)
        await here.root(lambda tree: "s3.ts" in tree)
        assert await whole(here, b)


@pytest.mark.parametrize("is_away", [False, True], ids=["at once", "when the other is back"])
async def test_one_that_is_added_after_the_end_gets_the_recording_from_another_when_it_is_gone_here(
    tmp_path: Path, is_away: bool
) -> None:
    a, b = target("a"), target("b")
    async with site(tmp_path, entry="i.m3u8", others=[a]) as here:
        await grow(here, 0, 3)
        await here.root(lambda tree: "s2.ts" in tree)
        await here.end()
        await until(lambda: list(here.house.spool.keys()) == [], "everything is delivered")
    store = CarStore(tmp_path / "data" / "local")
    for key in list(store.keys()):
        store.remove(key)
    a.failure = AWAY if is_away else None
    with capture_logs() as logs:
        async with site(tmp_path, entry="i.m3u8", others=[a, b]) as here:
            if is_away:
                await until(lambda: "not on this machine" in courier(here, "b").reason, "it says what it waits for")
                a.failure = None
            await catches_up(here, b)
            await until(lambda: list(here.house.spool.keys()) == [], "what was fetched goes again")
    fetched = [line for line in logs if line["event"] == "car.fetched"]
    assert {line["source"] for line in fetched} == {"a"}
    assert len(fetched) == len(b.cars)
