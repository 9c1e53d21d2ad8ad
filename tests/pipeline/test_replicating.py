from pathlib import Path
from random import Random

import pytest

from hlspub.errors import BlockError, TargetError
from hlspub.ipld.block import matches
from hlspub.ipld.cid import Cid
from hlspub.pipeline.replicating import TRIES, Replication
from hlspub.spool.store import CarStore
from hlspub.targets.base import Capabilities
from tests.dags import Dags
from tests.targets.memory import MemoryTarget

pytestmark = pytest.mark.anyio


class Scene:
    def __init__(self, folder: Path, can: Capabilities | None = None) -> None:
        self.dags = Dags()
        self.root = self.dags.tree({f"s{n}.ts": Random(n).randbytes(2000) for n in range(20)})
        self.store = CarStore(folder / "spool")
        self.store.prepare()
        self.target = MemoryTarget(open_car=self.store.open)
        self.target.capabilities = can or self.target.capabilities
        self.slept: list[float] = []

    async def have(self, cid: Cid) -> bytes:
        if not matches(cid, self.dags[cid]):
            raise BlockError(f"the block {cid} is damaged")
        return self.dags[cid]

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == 3:
            self.target.failure = None

    def run(self) -> Replication:
        return Replication(self.target, self.store, self.have, sleep=self.sleep)


async def test_everything_arrives_is_bound_and_nothing_stays_here(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    run = scene.run()
    await run.run(scene.root)
    assert scene.target.blocks == dict(scene.dags)
    assert scene.target.bound == [scene.root]
    assert (run.cars, run.bytes) == (21, sum(car.size_bytes for car in scene.target.cars.values()))
    assert list(scene.store.keys()) == []


async def test_a_second_run_sends_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.run().run(scene.root)
    tries = scene.target.tries
    again = scene.run()
    await again.run(scene.root)
    assert (scene.target.tries, again.cars) == (tries, 21)


async def test_a_target_of_few_big_shards_gets_them(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Capabilities(concurrency=2, shard_cars=8))
    await scene.run().run(scene.root)
    assert sorted(map(len, scene.target.puts)) == [5, 8, 8]


async def test_what_may_pass_is_tried_again_and_what_may_not_ends_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.target.failure = TargetError("memory: busy", retry_s=0.5)
    await scene.run().run(scene.root)
    assert scene.slept
    assert scene.target.blocks == dict(scene.dags)
    for retry_s, sleeps in ((None, 0), (0.5, TRIES - 1)):
        other = Scene(tmp_path / str(retry_s), Capabilities(concurrency=1))
        other.slept = [0.0] * 3
        other.target.failure = TargetError("memory: no", retry_s=retry_s)
        with pytest.raises(ExceptionGroup) as caught:
            await other.run().run(other.root)
        assert caught.group_contains(TargetError)
        assert len(other.slept) - 3 == sleeps


async def test_a_damaged_block_is_never_sent(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    victim = next(iter(scene.dags))
    scene.dags[victim] = b"evil"
    with pytest.raises(ExceptionGroup) as caught:
        await scene.run().run(scene.root)
    assert caught.group_contains(BlockError)
    assert victim not in scene.target.blocks
    assert scene.target.bound == []
