"""Everything under a root, cut into CARs again: what a target is sent that is to have it whole.

Rule: a file becomes the very CAR that intake made of it (its blocks in post-order, the root last), so that a target which has
it already knows it by its name; a longer one is cut. Directories follow the files that they list, in CARs of their own. A file
that is listed twice is sent once, and one CAR is in memory at a time, whatever the root's size.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

from hlspub.ipld import dag, node
from hlspub.ipld.block import Block
from hlspub.ipld.car import car_cid, node_car
from hlspub.ipld.cid import Cid
from hlspub.ipld.node import Kind
from hlspub.model import Car, CarKind

LONGEST = 64 << 20  # bytes of blocks in one CAR
NODES = 1 << 20  # bytes of directory nodes in one CAR

Have = Callable[[Cid], Awaitable[bytes]]
"""A block, checked; raises where there is none."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A CAR that is to be sent, and its bytes."""

    car: Car
    data: bytes


@dataclass(slots=True, eq=False)
class _Packing:
    """Blocks that wait to be cut into CARs."""

    root: Cid
    longest: int
    seen: set[Cid] = field(default_factory=set[Cid])
    nodes: list[Block] = field(default_factory=list[Block])
    size: int = 0

    def is_new(self, cid: Cid) -> bool:
        """Whether it was not met before; from now on it was."""
        if cid in self.seen or cid.inline is not None:
            return False
        self.seen.add(cid)
        return True

    def add_node(self, block: Block) -> Parcel | None:
        """Keep a directory node; a CAR of them when they are enough."""
        self.nodes.append(block)
        self.size += len(block.data)
        return self.take_nodes() if self.size >= self.longest else None

    def take_nodes(self) -> Parcel:
        """The CAR of the nodes so far."""
        parcel = _parcel(self.root, self.nodes, CarKind.NODES)
        self.nodes, self.size = [], 0
        return parcel


async def parcels(root: Cid, have: Have, *, longest: int = LONGEST, nodes: int = NODES) -> AsyncGenerator[Parcel]:
    """The CARs of everything under `root`, in an order in which nothing is sent before what it links to.

    A CAR has at most `longest` bytes of a file's blocks, or `nodes` bytes of directory nodes and one more of them.

    Raises:
        BlockError: a block is not what its CID's codec says; and what `have` raises.
    """
    packing = _Packing(root, nodes)
    # Each entry is a node to be looked at, or a directory whose entries are all behind it.
    todo: list[Cid | Block] = [root]
    while todo:
        here = todo.pop()
        if isinstance(here, Block):
            if (full := packing.add_node(here)) is not None:
                yield full
            continue
        if not packing.is_new(here):
            continue
        block = await have(here)
        read = node.read(here, block)
        if read.kind is Kind.DIRECTORY:
            todo.append(Block(here, block))
            todo += [link.cid for link in reversed(read.links)]
            continue
        async for parcel in _file(here, block, have, longest):
            yield parcel
    if packing.nodes:
        yield packing.take_nodes()


async def _file(root: Cid, top: bytes, have: Have, longest: int) -> AsyncGenerator[Parcel]:
    """The CAR of a file; when it is cut, all but the last of its CARs are parts of a DAG, and so is the last."""
    blocks, size, is_cut = list[Block](), 0, False
    seen = {root}
    todo: list[Cid | Block] = [Block(root, top), *reversed(dag.links(root, top))]
    while todo:
        here = todo.pop()
        if isinstance(here, Cid):
            if here not in seen and here.inline is None:
                seen.add(here)
                block = await have(here)
                todo += [Block(here, block), *reversed(dag.links(here, block))]
            continue
        if blocks and size + len(here.data) > longest:
            yield _parcel(root, blocks, CarKind.NODES)
            blocks, size, is_cut = [], 0, True
        blocks.append(here)
        size += len(here.data)
    yield _parcel(root, blocks, CarKind.NODES if is_cut else CarKind.FILE)


def _parcel(root: Cid, blocks: list[Block], kind: CarKind) -> Parcel:
    data, places = node_car(root, blocks)
    key = str(root) if kind is CarKind.FILE else str(car_cid(data))
    return Parcel(Car(key, kind, root, len(data), places), data)
