"""A stream into a real Kubo node, which is killed while it runs; and what the node itself makes of the directory."""

from pathlib import Path

import anyio
import pytest

from hlspub.config.kinds import KuboTarget
from hlspub.pipeline.deliver import Courier
from tests.pipeline.house import Site, site, until
from tests.support.kubo import kubo_daemon
from tests.support.writer import Writer

pytestmark = [pytest.mark.anyio, pytest.mark.kubo]


async def steps(writer: Writer, count: int) -> None:
    for _ in range(count):
        await anyio.to_thread.run_sync(writer.step)
        await anyio.sleep(0.1)


@pytest.mark.parametrize("required", [True, False], ids=["required", "not required"])
async def test_nothing_is_lost_when_the_node_dies_and_comes_back(tmp_path: Path, required: bool) -> None:
    with kubo_daemon(tmp_path / "repo") as daemon:
        table = KuboTarget(url=daemon.url, required=required)
        async with site(tmp_path, table=table, publish_interval=0.3) as here:
            writer = Writer(here.folder, ("a", "b"), window=1000, keep=1000, size=20_000)
            await steps(writer, 5)
            await until(lambda: here.published and daemon.pins(), "a root is pinned")
            daemon.kill()
            await steps(writer, 10)
            await until(lambda: not courier(here).well, "the node is known to be away")
            daemon.start()
            await steps(writer, 5)
            await until(lambda: courier(here).state.value == "ok", "its backlog was empty once")
            tree = await here.end()
            final = str(here.published[0].root)
            await until(lambda: daemon.pins() == {final}, "the final root alone is pinned")
        for path, data in tree.items():
            assert daemon("cat", "--offline", f"/ipfs/{final}/{path}") == data
        for rendition in ("a", "b"):
            for number in range(writer.number):
                assert f"{rendition}/{writer.segment_name(number)}" in tree
        copy = tmp_path / "copy"
        for path, data in tree.items():
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            (copy / path).write_bytes(data)
        added = daemon("add", "--only-hash", "--recursive", "--quieter", str(copy)).decode().strip()
        assert added == final


def courier(here: Site) -> Courier:
    return next(one for one in here.house.couriers if one.target.name == "place")
