"""Checking: fetch everything under a root and believe nothing.

Rule: as in `walk`, and driven by `walk.run`, a `Cid` that is yielded is a block that is needed; but here None may be sent
for one that cannot be had, and the check goes on. Every block is held to its CID; every node to itself (`node`); every part
of a file to the size its parent announced; every entry of a HAMT to its slot; a directory to distinct names. Nothing below a
bad or a missing block can be seen, so the counts are of what was reached.

A block is fetched once, however often it is linked; memory is one small record a block.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from hlspub.errors import BlockError
from hlspub.ipld import dag, node
from hlspub.ipld.block import Block, check
from hlspub.ipld.cid import Cid
from hlspub.ipld.node import Kind, Node

Checking: TypeAlias = Generator[Cid, bytes | None, "Report"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A block that is not what it should be, and why."""

    cid: Cid
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What lies under a root.

    Attributes:
        blocks: how many were had that are the ones their CIDs name, each counted once.
        bytes: of all of them.
        missing: the CIDs of blocks that could not be had.
        corrupt: the blocks that are not what they should be.
    """

    root: Cid
    blocks: int
    bytes: int
    missing: tuple[Cid, ...]
    corrupt: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a block is linked from, and what that place asks of it.

    `part` is how many bytes of a file it has to hold, None where it need not be part of one. `bits`, `level` and `path`
    are those of a shard inside a HAMT: the bits of a level, the levels above it, the bits of the hash that lead to it.
    """

    cid: Cid
    part: int | None = None
    bits: int = 0
    level: int = 0
    path: int = 0


class _Known(NamedTuple):
    """What a good block turned out to be: the length of a file, None for others, and as which shard it was seen."""

    size: int | None
    bits: int
    level: int
    path: int


def check_dag(root: Cid) -> Checking:
    """Check everything under `root`; the answer is a `Report`."""
    seen: dict[Cid, _Known | None] = {}  # None: missing or corrupt, and reported
    missing: list[Cid] = []
    corrupt: dict[Cid, str] = {}
    blocks = octets = 0
    todo = [_Place(root)]
    while todo:
        place = todo.pop()
        cid = place.cid
        try:
            if cid in seen:
                _hold_to(place, seen[cid])
                continue
            seen[cid] = None
            block = cid.inline
            if block is None:
                block = yield cid
                if block is None:
                    missing.append(cid)
                    continue
                check(Block(cid, block))
                blocks += 1
                octets += len(block)
            here = node.read(cid, block)
            size = here.size if here.kind is Kind.FILE else None
            seen[cid] = known = _Known(size, here.bits, place.level, place.path)
            _hold_to(place, known)
            todo.extend(reversed(_below(place, here, block)))
        except BlockError as why:
            corrupt.setdefault(cid, str(why))
    faults = tuple(Fault(cid, reason) for cid, reason in corrupt.items())
    return Report(root, blocks, octets, tuple(missing), faults)


def _hold_to(place: _Place, known: _Known | None) -> None:
    """Hold a block to what a place asks of it."""
    if known is None:
        return
    if place.part not in (None, known.size):
        has = "is no file" if known.size is None else f"has {known.size} bytes"
        raise BlockError(f"it {has} where a file says that {place.part} bytes of it are there")
    if place.level and known.bits != place.bits:
        raise BlockError("it hangs in a HAMT and is no shard of it")
    if known.bits and (known.level, known.path) != (place.level, place.path):
        raise BlockError("it hangs in two slots of HAMTs that no name can hash to at once")


def _below(place: _Place, here: Node, block: bytes) -> list[_Place]:
    """The places that a good block links to."""
    match here.kind:
        case Kind.FILE:
            return [_Place(link.cid, part=size) for link, size in zip(here.links, here.parts, strict=True)]
        case Kind.DIRECTORY:
            return _slots(place, here) if here.bits else _entries(here)
        case _:
            return [_Place(cid) for cid in dag.links(place.cid, block)]


def _entries(directory: Node) -> list[_Place]:
    names = [link.name for link in directory.links]
    if len(set(names)) != len(names):
        raise BlockError("a directory with two entries of one name")
    return [_Place(link.cid) for link in directory.links]


def _slots(place: _Place, shard: Node) -> list[_Place]:
    if place.level and not shard.links:
        raise BlockError("an empty shard in a HAMT")
    bits, level, below = shard.bits, place.level + 1, list[_Place]()
    if bits * level > node.HASH_BITS:
        raise BlockError("a HAMT that is deeper than the hash of its names")
    width = node.prefix_width(bits)
    for link in shard.links:
        path, name = place.path << bits | int(link.name[:width], 16), link.name[width:]
        if not name:
            below.append(_Place(link.cid, bits=bits, level=level, path=path))
        elif node.hash_prefix(name, bits * level) == path:
            below.append(_Place(link.cid))
        else:
            raise BlockError(f"an entry in a slot of a HAMT that is not its own: {name[:100]!r}")
    return below
