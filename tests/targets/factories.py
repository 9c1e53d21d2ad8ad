"""How each target is made for the shared suite: a new target adds a factory here, and one line to `FACTORIES`.

A factory is an async context manager around the target; it is given `Given` and closes what it opened. One that needs a
program carries that program's marker.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hlspub.building import Parts, build_target
from hlspub.config.kinds import ClusterTarget, KuboTarget, LocalTarget, Target
from hlspub.config.model import Config
from hlspub.ipld.cid import Cid
from hlspub.spool.car_file import CarFile
from hlspub.spool.store import CarStore
from hlspub.targets.base import Target as Port
from hlspub.targets.w3up.target import Receipts
from tests.support.cluster import ClusterPeer
from tests.support.kubo import KuboDaemon
from tests.targets.memory import MemoryTarget
from tests.targets.s3.factories import FACTORIES as S3
from tests.targets.w3up_service import Service, table_for


class NoReceipts:
    """A journal that was told nothing yet."""

    async def session_of(self, _root: Cid) -> tuple[int, bool] | None:
        return None

    async def is_final(self, _root: Cid) -> bool:
        return False

    async def shards(self, _session: int, _cars: Sequence[str] | None) -> Sequence[tuple[str, str]]:
        return ()

    async def shard_of(self, _car: str) -> str | None:
        return None


@dataclass
class Given:
    """What a factory has to work with. `request` gives it fixtures, such as a daemon that several tests share."""

    request: pytest.FixtureRequest
    folder: Path
    spool: CarStore
    store: CarStore
    env: dict[str, str] = field(default_factory=dict)
    receipts: Receipts = field(default_factory=NoReceipts)

    @property
    def parts(self) -> Parts:
        return Parts(4, self.env, self.spool, self.store, self.block, lambda _target: self.receipts)

    async def block(self, cid: Cid) -> bytes | None:
        """A block of this machine's stores, as the journal's index would find it."""
        for store in (self.store, self.spool):
            for key in sorted(store.keys()):
                with CarFile(store.path(key)) as car:
                    if (data := car.get(cid)) is not None:
                        return data
        return None

    def build(self, table: Target) -> Port:
        """The target that the configuration would make of a table."""
        config = Config.defaults(self.folder).model_copy(update={"target": {"it": table}})
        return build_target(config, "it", self.parts)


Factory = Callable[[Given], AbstractAsyncContextManager[Port]]


@asynccontextmanager
async def memory(given: Given) -> AsyncIterator[Port]:
    target = MemoryTarget(open_car=given.spool.open)
    target.capabilities = type(target.capabilities)(concurrency=4, reads=True)
    yield target


@asynccontextmanager
async def local(given: Given) -> AsyncIterator[Port]:
    yield given.build(LocalTarget())


@asynccontextmanager
async def w3up(given: Given) -> AsyncIterator[Port]:
    service: Service = given.request.getfixturevalue("w3up_service")
    yield given.build(table_for(service, service.space(), given.env))


@asynccontextmanager
async def kubo(given: Given) -> AsyncIterator[Port]:
    daemon: KuboDaemon = given.request.getfixturevalue("kubo_node")
    yield given.build(KuboTarget(url=daemon.url))


@asynccontextmanager
async def kubo_like(given: Given) -> AsyncIterator[Port]:
    """A service that has nothing which can be lacking."""
    daemon: KuboDaemon = given.request.getfixturevalue("kubo_node")
    yield given.build(KuboTarget(url=daemon.url, lacks=("block/stat", "pin/update", "stats")))


@asynccontextmanager
async def cluster(given: Given) -> AsyncIterator[Port]:
    peer: ClusterPeer = given.request.getfixturevalue("cluster_peer")
    yield given.build(ClusterTarget(url=peer.url, node=peer.kubo.url))


@asynccontextmanager
async def cluster_of_few(given: Given) -> AsyncIterator[Port]:
    """Pins that some peers keep, and that expire."""
    peer: ClusterPeer = given.request.getfixturevalue("cluster_peer")
    table = ClusterTarget(url=peer.url, node=peer.kubo.url, replication_min=1, replication_max=1, expire="1h")  # type: ignore[arg-type]
    yield given.build(table)


FACTORIES = [
    pytest.param(memory, id="memory"),
    pytest.param(local, id="local"),
    *S3,
    pytest.param(w3up, id="w3up", marks=pytest.mark.w3up),
    pytest.param(kubo, id="kubo", marks=pytest.mark.kubo),
    pytest.param(kubo_like, id="kubo-like", marks=pytest.mark.kubo),
    pytest.param(cluster, id="cluster", marks=pytest.mark.cluster),
    pytest.param(cluster_of_few, id="cluster of few", marks=pytest.mark.cluster),
]
