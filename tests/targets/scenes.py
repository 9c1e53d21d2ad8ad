"""A stream that grows in a spool, for tests that send it to a target by hand."""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from hlspub.ipld.block import Block
from hlspub.ipld.car import car_cid, node_car
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.profile import UNIXFS_V1_2025
from hlspub.ipld.tree import Tree
from hlspub.model import Car, CarKind
from hlspub.spool.store import CarStore
from hlspub.targets.base import CarFile, Target


@dataclass
class Growing:
    """`seed` makes its bytes its own."""

    spool: CarStore
    seed: int
    tree: Tree = field(default_factory=lambda: Tree(UNIXFS_V1_2025))
    number: int = 0

    def file(self, data: bytes | None = None, size: int = 3000) -> CarFile:
        """A file CAR in the spool, of new bytes unless `data` says which, and the tree with it."""
        self.number += 1
        data = Random(self.seed * 1_000_003 + self.number).randbytes(size) if data is None else data
        packed = self.spool.put_data(data, UNIXFS_V1_2025)
        self.tree.put(f"s{self.number:05}.ts", packed.cid, packed.tsize)
        car = packed.car
        return CarFile(car.key, car.kind, car.root, car.size_bytes, car.sha256)

    def nodes(self) -> CarFile:
        """The node CAR of the tree as it is now."""
        root, blocks = self.tree.root(), list(self.tree.unpublished())
        data, places = node_car(root.cid, blocks)
        self.tree.mark_published()
        car = Car(str(car_cid(data)), CarKind.NODES, root.cid, len(data), places)
        self.spool.put_car(data, car)
        return CarFile(car.key, car.kind, car.root, car.size_bytes)

    async def block(self, cid: Cid) -> bytes | None:
        """A block of this machine's own, as targets ask for it."""
        for key in sorted(self.spool.keys()):
            with self.spool.open(key) as file:
                for one in CarReader(file.read):
                    if one.cid == cid:
                        return one.data
        return None

    async def grow(self, target: Target, files: int = 1, size: int = 3000) -> CarFile:
        """Some more files and the root that has them, put; not bound."""
        for _ in range(files):
            await target.put([self.file(size=size)])
        nodes = self.nodes()
        await target.put([nodes])
        return nodes


def spool_in(folder: Path) -> CarStore:
    spool = CarStore(folder / "spool")
    spool.prepare()
    return spool


def big_car(spool: CarStore, size: int) -> CarFile:
    """A CAR with one block of that size, which hlspub itself never makes."""
    data = b"x" * size
    cid = Cid.of_data(Codec.RAW, data)
    car, places = node_car(cid, [Block(cid, data)])
    spool.put_car(car, Car(str(cid), CarKind.FILE, cid, len(car), places))
    return CarFile(str(cid), CarKind.FILE, cid, len(car))
