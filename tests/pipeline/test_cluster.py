"""A stream into a real IPFS Cluster of three peers, one of which dies while it runs and comes back."""

from pathlib import Path

import anyio
import pytest

from hlspub.config.kinds import ClusterTarget
from tests.pipeline.house import site, until
from tests.support.cluster import ClusterPeer, cluster
from tests.support.writer import Writer

pytestmark = [pytest.mark.anyio, pytest.mark.cluster, pytest.mark.slow]
LATE_S = 90  # a peer that comes back learns of the pinset by and by


async def steps(writer: Writer, count: int) -> None:
    for _ in range(count):
        await anyio.to_thread.run_sync(writer.step)
        await anyio.sleep(0.2)


def has_whole(peer: ClusterPeer, root: str, tree: dict[str, bytes]) -> bool:
    return all(peer.kubo("cat", "--offline", f"/ipfs/{root}/{path}") == data for path, data in tree.items())


async def test_nothing_is_lost_when_a_peer_dies_and_comes_back(tmp_path: Path) -> None:
    with cluster(tmp_path / "c", 3) as peers:
        table = ClusterTarget(url=peers[0].url)  # every peer is to have everything
        async with site(tmp_path, table=table, publish_interval=0.5) as here:
            writer = Writer(here.folder, ("a", "b"), window=1000, keep=1000, size=20_000)
            await steps(writer, 5)
            await until(lambda: here.published, "a root is announced")
            await anyio.to_thread.run_sync(peers[2].kill)
            before = here.published[0].root
            await steps(writer, 10)
            await until(lambda: here.published[0].root != before, "roots are announced without it")
            await anyio.to_thread.run_sync(peers[2].start, peers[0])
            await steps(writer, 5)
            tree = await here.end()
            final = str(here.published[0].root)
        for rendition in ("a", "b"):
            for number in range(writer.number):
                assert f"{rendition}/{writer.segment_name(number)}" in tree
        for peer in peers:
            peer.until(lambda peer=peer: final in peer.kubo.pins(), "it has pinned the final root", LATE_S)
            assert has_whole(peer, final, tree)
