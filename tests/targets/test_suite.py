"""The behaviour that every target has: one suite, each implementation."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hlspub.ipld.profile import UNIXFS_V1_2025
from hlspub.model import Packed
from hlspub.spool.store import CarStore
from hlspub.targets.base import CarFile, Target
from hlspub.targets.local import LocalTarget
from tests.targets.memory import MemoryTarget

pytestmark = pytest.mark.anyio


def local(spool: CarStore, folder: Path) -> Target:
    store = CarStore(folder / "local")
    store.prepare()
    return LocalTarget("local", store, lambda key: store.adopt(key, spool))


def memory(spool: CarStore, folder: Path) -> Target:
    return MemoryTarget()


@pytest.fixture
def spool(tmp_path: Path) -> CarStore:
    store = CarStore(tmp_path / "spool")
    store.prepare()
    return store


@pytest.fixture(params=[local, memory])
def target(request: pytest.FixtureRequest, spool: CarStore, tmp_path: Path) -> Target:
    build: Callable[[CarStore, Path], Target] = request.param
    return build(spool, tmp_path)


def car(packed: Packed) -> CarFile:
    return CarFile(packed.car.key, packed.car.kind, packed.car.root, packed.car.size_bytes)


async def test_what_was_put_is_there(target: Target, spool: CarStore) -> None:
    one = car(spool.put_data(b"one", UNIXFS_V1_2025))
    assert not await target.has(one)
    await target.put([one])
    assert await target.has(one)


async def test_the_same_car_again_is_a_success(target: Target, spool: CarStore) -> None:
    one = car(spool.put_data(b"one", UNIXFS_V1_2025))
    await target.put([one])
    await target.put([one])
    assert await target.has(one)


async def test_the_same_car_after_the_spool_let_go_is_a_success(target: Target, spool: CarStore) -> None:
    one = car(spool.put_data(b"one", UNIXFS_V1_2025))
    await target.put([one])
    spool.remove(one.key)
    await target.put([one])
    assert await target.has(one)


async def test_a_root_is_bound_superseded_and_forgotten_again_and_again(target: Target, spool: CarStore) -> None:
    first, second = (car(spool.put_data(data, UNIXFS_V1_2025)) for data in (b"one", b"two"))
    await target.put([first])
    await target.put([second])
    for _ in range(2):
        await target.bind(first.root, supersedes=None)
    for _ in range(2):
        await target.bind(second.root, supersedes=first.root)
    for _ in range(2):
        await target.forget(second.root)
    assert await target.has(first)
    assert await target.has(second)


async def test_it_says_what_it_is(target: Target) -> None:
    assert target.name
    assert target.kind
    assert target.capabilities.concurrency >= 1
    assert await target.check()
    await target.aclose()


async def test_the_local_target_writes_no_second_copy(spool: CarStore, tmp_path: Path) -> None:
    target = local(spool, tmp_path)
    one = car(spool.put_data(b"one", UNIXFS_V1_2025))
    await target.put([one])
    here = CarStore(tmp_path / "local").path(one.key).stat()
    assert here.st_ino == spool.path(one.key).stat().st_ino
    assert here.st_nlink == 2
