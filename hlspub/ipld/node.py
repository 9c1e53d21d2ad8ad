"""Nodes: a block of a UnixFS DAG, read and held to its own claims.

Rule: whoever walks a DAG sees a `Node` and never a raw message, and a `Node` is consistent in itself: sizes add up, a
shard's links stand in slots that its bitfield names. What lies in other blocks is the walker's to check. Other people's
DAGs are welcome as far as UnixFS allows them: leaves of type Raw, data in inner nodes, HAMTs of another fanout.

Source: specs.ipfs.tech/unixfs; limits of the fanout as in boxo.
"""

from dataclasses import dataclass
from enum import StrEnum

from hlspub.errors import BlockError
from hlspub.ipld import dagpb, unixfs
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dagpb import Link
from hlspub.ipld.hamt import name_hash

HASH_BITS = 64  # of a name's hash, all levels of a HAMT together
_FANOUTS = {1 << bits: bits for bits in range(3, 11)}


class Kind(StrEnum):
    """What a DAG's root stands for."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    OTHER = "other"  # a codec without files, or a dag-pb node that is not UnixFS


def prefix_width(bits: int) -> int:
    """How many hex digits stand before an entry's name in a shard's link."""
    return (bits + 3) // 4


def prefix_of(slot: int, bits: int) -> str:
    """How the names of the links in a shard's slot begin."""
    return f"{slot:0{prefix_width(bits)}X}"


_SLOTS = {bits: {prefix_of(slot, bits): slot for slot in range(fanout)} for fanout, bits in _FANOUTS.items()}


@dataclass(frozen=True, slots=True)
class Node:
    """One block.

    Attributes:
        kind: FILE for every node of a file, DIRECTORY for every shard of a directory.
        size: bytes: of the file below; of the symlink's target; of all blocks of the directory; of another's block.
        content: the bytes of a file that lie in this very block, before those of `parts`; a symlink's target.
        links: to the parts of a file, the entries of a directory, the slots of a shard.
        parts: for a file, how many of its bytes lie below each link.
        bits: how many bits of the hash one level of this HAMT takes; 0 for all that is no shard.
    """

    kind: Kind
    size: int
    content: memoryview
    links: tuple[Link, ...]
    parts: tuple[int, ...]
    bits: int


def read(cid: Cid, block: bytes) -> Node:
    """Read the block that `cid` names; whether it names it is not looked at here.

    Raises:
        BlockError: the block is not what its CID's codec says, or contradicts itself.
    """
    if cid.codec is Codec.RAW:
        return Node(Kind.FILE, len(block), memoryview(block), (), (), 0)
    if cid.codec is not Codec.DAG_PB:
        return Node(Kind.OTHER, len(block), memoryview(b""), (), (), 0)
    links, data = dagpb.decode(block)
    if not data:
        return Node(Kind.OTHER, len(block), memoryview(b""), links, (), 0)
    return _unixfs(len(block), links, unixfs.decode(data))


def hash_prefix(name: str, bits: int) -> int:
    """The first `bits` bits of a name's hash: the slots that lead to its entry in a HAMT, one behind the other.

    Raises:
        BlockError: the hash has fewer.
    """
    if bits > HASH_BITS:
        raise BlockError("a HAMT that is deeper than the hash of its names", hint="No tool can read this directory.")
    return name_hash(name.encode()) >> HASH_BITS - bits


def _unixfs(size: int, links: tuple[Link, ...], fs: unixfs.UnixFs) -> Node:
    """The node that a dag-pb block of `size` bytes is."""
    bits = 0
    match fs.kind:
        case unixfs.Kind.FILE | unixfs.Kind.RAW:
            return _file(links, fs)
        case unixfs.Kind.SYMLINK:
            target = memoryview(fs.data or b"")
            return Node(Kind.SYMLINK, len(target), target, (), (), 0)
        case unixfs.Kind.METADATA:
            return Node(Kind.OTHER, size, memoryview(b""), links, (), 0)
        case unixfs.Kind.HAMT_SHARD:
            bits = _check_shard(links, fs)
        case unixfs.Kind.DIRECTORY:
            pass
    return Node(Kind.DIRECTORY, size + sum(link.tsize for link in links), memoryview(b""), links, (), bits)


def _file(links: tuple[Link, ...], fs: unixfs.UnixFs) -> Node:
    if len(links) != len(fs.blocksizes):
        raise BlockError(f"a file node with {len(links)} links and {len(fs.blocksizes)} block sizes")
    content = memoryview(fs.data or b"")
    size = len(content) + sum(fs.blocksizes)
    if fs.filesize not in (None, size):
        raise BlockError(f"a file node that says {fs.filesize} bytes and holds {size}")
    return Node(Kind.FILE, size, content, links, fs.blocksizes, 0)


def _check_shard(links: tuple[Link, ...], fs: unixfs.UnixFs) -> int:
    """Hold a shard's links to its bitfield; the answer is the bits of a level."""
    if fs.hash_type != unixfs.MURMUR3_X64_64:
        raise BlockError(f"a HAMT of the hash {fs.hash_type}", hint="UnixFS knows murmur3-x64-64 (0x22) alone.")
    bits = _FANOUTS.get(fs.fanout or 0)
    if bits is None:
        raise BlockError(f"a HAMT of the fanout {fs.fanout}", hint="It is a power of two from 8 to 1024.")
    width, taken = prefix_width(bits), 0
    for link in links:
        slot = _SLOTS[bits].get(link.name[:width])
        if slot is None or taken >> slot & 1:
            raise BlockError(f"a HAMT link in no slot of its own: {link.name[:100]!r}")
        taken |= 1 << slot
    if taken != int.from_bytes(fs.data or b"", "big"):
        raise BlockError("a HAMT shard whose bitfield does not name the slots of its links")
    return bits
