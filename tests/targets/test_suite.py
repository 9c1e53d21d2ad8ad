"""The behaviour that every target has: one suite, each implementation (`factories`)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from zlib import crc32

import anyio
import pytest

from hlspub.ipld.cid import Cid, Codec
from hlspub.spool.store import CarStore
from hlspub.targets.base import CarFile, Target
from tests.targets.factories import FACTORIES, Factory, Given
from tests.targets.scenes import Growing

pytestmark = pytest.mark.anyio

BIG = 3 << 20  # bytes: a file of several blocks


@dataclass
class Scene(Growing):
    """The same, and the target."""

    target: Target = field(kw_only=True)


@pytest.fixture(params=FACTORIES)
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    spool, store = CarStore(tmp_path / "spool"), CarStore(tmp_path / "local")
    spool.prepare()
    store.prepare()
    factory: Factory = request.param
    async with factory(Given(request, tmp_path, spool, store)) as target:
        yield Scene(spool, crc32(request.node.nodeid.encode()), target=target)
        await target.aclose()


async def test_it_says_what_it_is_and_can_be_reached(scene: Scene) -> None:
    assert scene.target.name
    assert scene.target.kind
    assert scene.target.capabilities.concurrency >= 1
    assert await scene.target.check()


async def test_what_was_put_is_there(scene: Scene) -> None:
    one = scene.file()
    assert not await scene.target.has(one)
    await scene.target.put([one])
    assert await scene.target.has(one)


async def test_the_same_car_again_is_a_success(scene: Scene) -> None:
    one = scene.file()
    await scene.target.put([one])
    await scene.target.put([one])
    assert await scene.target.has(one)


async def test_the_same_car_after_the_spool_let_go_is_a_success(scene: Scene) -> None:
    one = scene.file()
    await scene.target.put([one])
    scene.spool.remove(one.key)
    await scene.target.put([one])
    assert await scene.target.has(one)


@pytest.mark.parametrize("data", [b"", b"x", Random(1).randbytes(BIG)], ids=["empty", "a byte", "several blocks"])
async def test_files_of_every_size_are_kept(scene: Scene, data: bytes) -> None:
    one = scene.file(data)
    await scene.target.put([one])
    assert await scene.target.has(one)


async def test_puts_at_the_same_time_do_not_disturb_one_another(scene: Scene) -> None:
    cars = [scene.file() for _ in range(12)]
    async with anyio.create_task_group() as tasks:
        for car in [*cars, *cars[:4]]:
            tasks.start_soon(scene.target.put, [car])
    assert [await scene.target.has(car) for car in cars] == [True] * 12


async def test_cars_that_come_together_are_all_there(scene: Scene) -> None:
    if scene.target.capabilities.shard_cars == 1:
        pytest.skip("it takes one CAR at a time")
    cars = [*(scene.file() for _ in range(3)), scene.nodes()]
    for _ in range(2):
        await scene.target.put(cars)
    assert [await scene.target.has(car) for car in cars] == [True] * 4


async def test_blocks_are_read_back_as_they_were_sent(scene: Scene) -> None:
    if not scene.target.capabilities.reads:
        pytest.skip("it gives no blocks back")
    data = Random(7).randbytes(2000)
    one = scene.file(data)
    nodes = scene.nodes()
    await scene.target.put([one])
    await scene.target.put([nodes])
    assert await scene.target.read(one.root) == data
    got = await scene.target.read(nodes.root)
    assert got is not None
    assert Cid.of_data(Codec.DAG_PB, got) == nodes.root
    assert await scene.target.read(Cid.of_data(Codec.RAW, b"never sent")) is None


async def test_a_root_is_bound_superseded_and_forgotten_again_and_again(scene: Scene) -> None:
    files, roots = list[CarFile](), list[CarFile]()
    for _ in range(3):
        files.append(scene.file())
        roots.append(scene.nodes())
        await scene.target.put([files[-1]])
        await scene.target.put([roots[-1]])
        before = roots[-2].root if len(roots) > 1 else None
        for _ in range(2):
            await scene.target.bind(roots[-1].root, supersedes=before)
    for _ in range(2):
        await scene.target.forget(roots[-1].root)
    assert await scene.target.has(files[0])
    assert await scene.target.has(files[-1])


async def test_a_root_may_supersede_one_that_was_never_bound(scene: Scene) -> None:
    one, first, two = scene.file(), scene.nodes(), scene.file()
    second = scene.nodes()
    for car in (one, first, two, second):
        await scene.target.put([car])
    await scene.target.bind(second.root, supersedes=first.root)
    await scene.target.bind(second.root, supersedes=second.root)
    assert await scene.target.has(one)


async def test_a_put_that_is_cancelled_can_be_made_again(scene: Scene) -> None:
    big = scene.file(Random(9).randbytes(BIG))
    for delay in (0.0, 0.001, 0.01):
        with anyio.move_on_after(delay):
            await scene.target.put([big])
    await scene.target.put([big])
    assert await scene.target.has(big)
