"""A gateway's blocks: each fetched once, checked, and those that follow a large one brought along."""

from random import Random

import anyio
import pytest

from hlspub.errors import TargetError
from hlspub.ipld.block import matches
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.profile import UNIXFS_V1_2025
from hlspub.model import Packed
from hlspub.spool.store import CarStore
from hlspub.targets.s3.blocks import AHEAD, BucketBlocks
from hlspub.targets.s3.lookup import Lookup
from hlspub.targets.s3.memory import MemoryPages
from tests.targets.s3.makers import bucket, car, target
from tests.targets.s3.moody import Mood, Moody

pytestmark = [pytest.mark.anyio, pytest.mark.s3]
LONG = Random(1).randbytes(2_560_000)  # three leaves


class Scene:
    def __init__(self, bad: Moody, spool: CarStore) -> None:
        self.bad, self.spool = bad, spool
        self.place = bucket(bad.endpoint, retries=0)
        self.cache = MemoryPages()
        self.blocks = BucketBlocks(self.place, Lookup(self.place, MemoryPages()), self.cache)

    async def put(self, data: bytes) -> Packed:
        packed = self.spool.put_data(data, UNIXFS_V1_2025)
        await target(self.place, self.spool).put([car(packed)])
        return packed

    async def read(self, packed: Packed) -> None:
        for at in packed.car.blocks:
            data = await self.blocks.get(at.cid)
            assert data is not None
            assert matches(at.cid, data)


@pytest.fixture
def scene(bad: Moody, spool: CarStore) -> Scene:
    return Scene(bad, spool)


async def test_a_file_comes_by_one_range_and_then_from_the_cache(scene: Scene) -> None:
    packed = await scene.put(LONG)
    assert packed.car.size_bytes < AHEAD
    await scene.blocks.lookup.find(packed.cid)
    before = scene.bad.asked["GET"]
    await scene.read(packed)
    assert scene.bad.asked["GET"] - before == 1
    assert scene.blocks.fetched == len(packed.car.blocks)
    await scene.read(packed)
    assert scene.bad.asked["GET"] - before == 1


async def test_however_many_ask_it_is_fetched_once(scene: Scene) -> None:
    packed = await scene.put(b"one")
    await scene.blocks.lookup.find(packed.cid)
    before = scene.bad.asked["GET"]
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(scene.read, packed)
    assert scene.bad.asked["GET"] - before == 1


async def test_what_is_not_there_is_none(scene: Scene) -> None:
    await scene.put(b"one")
    assert await scene.blocks.get(Cid.of_data(Codec.RAW, b"absent")) is None


async def test_a_reset_in_the_middle_of_a_body_fails_and_the_next_try_is_whole(scene: Scene) -> None:
    packed = await scene.put(LONG)
    await scene.blocks.lookup.find(packed.cid)
    scene.bad.become(Mood.RESETS, 1, only="GET")
    with pytest.raises(TargetError) as caught:
        await scene.blocks.get(packed.car.blocks[0].cid)
    assert caught.value.retry_s is not None
    await scene.read(packed)


async def test_a_damaged_block_is_never_served(scene: Scene) -> None:
    """Neither when it is asked for, nor when it comes along."""
    packed = await scene.put(LONG)
    first, second, *_ = packed.car.blocks
    (key,) = [key for key in scene.bad.objects if "/car/" in key]
    data, metadata = scene.bad.objects[key]
    broken = bytearray(data)
    broken[second.offset] ^= 1
    scene.bad.objects[key] = bytes(broken), metadata
    assert await scene.blocks.get(first.cid) is not None
    with pytest.raises(TargetError, match="is damaged"):
        await scene.blocks.get(second.cid)
    scene.bad.objects[key] = data, metadata
    await scene.read(packed)


async def test_who_leaves_does_not_stop_the_others(scene: Scene) -> None:
    packed = await scene.put(LONG)
    await scene.blocks.lookup.find(packed.cid)
    first = packed.car.blocks[0].cid
    got: list[bytes | None] = []

    async def stay() -> None:
        got.append(await scene.blocks.get(first))

    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as left:
            tasks.start_soon(stay)
            left.cancel()
            await scene.blocks.get(first)
    assert got[0] is not None
    assert matches(first, got[0])


async def test_what_was_brought_along_is_bounded(scene: Scene) -> None:
    scene.blocks.room = 1 << 20
    packed = await scene.put(LONG)
    await scene.read(packed)
    assert scene.blocks._waiting <= 1 << 20
    assert scene.blocks._waiting == sum(map(len, scene.blocks._ahead.values()))
