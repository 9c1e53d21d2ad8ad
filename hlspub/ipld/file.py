"""Files: a balanced tree over a file's leaves, built as they come.

Rule: leaves go in from left to right, blocks come out; never more than `max_links` + 1 children a level wait in memory,
so a file of any length takes the same room. All leaves lie at the same depth. A node is made when the first child
arrives that has no place in it, which is the order `ipfs-car` writes its CARs in: the first leaf beyond a node, then
that node, and at the end what is left, level by level, the root last.

A leaf is a raw block, or (v0) a dag-pb node whose UnixFS message holds the bytes: then they are framed by a head and a
tail and hashed in three parts, so that the media bytes are never copied.

Source: specs.ipfs.tech/unixfs; IPIP-499; `@ipld/unixfs` for the order.
"""

from dataclasses import dataclass
from hashlib import sha256

from hlspub.ipld import dagpb, unixfs
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.profile import Profile
from hlspub.ipld.protobuf import write_varint


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf, a node or the root: `size` file bytes lie below it, in blocks of `tsize` bytes together."""

    cid: Cid
    size: int
    tsize: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf's block is `head` + the chunk + `tail`; both are empty when it is raw. `length` counts all three."""

    cid: Cid
    head: bytes
    tail: bytes
    length: int


def leaf(chunk: bytes | bytearray | memoryview, profile: Profile) -> Leaf:
    """Hash one chunk of at most `chunk_size` bytes; only an empty file has an empty one."""
    if profile.raw_leaves:
        return Leaf(Cid.of_data(Codec.RAW, chunk), b"", b"", len(chunk))
    size = write_varint(len(chunk))
    head, tail = b"\x08\x02" + (b"\x12" + size if chunk else b""), b"\x18" + size
    head = b"\x0a" + write_varint(len(head) + len(chunk) + len(tail)) + head
    digest = sha256(head)
    digest.update(chunk)
    digest.update(tail)
    cid = (
        Cid.v0_of_digest(digest.digest()) if profile.cid_version == 0 else Cid.of_digest(Codec.DAG_PB, digest.digest())
    )
    return Leaf(cid, head, tail, len(head) + len(chunk) + len(tail))


class Layout:
    """The tree of one file while its leaves arrive."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._levels: list[list[Part]] = [[]]

    def push(self, part: Part) -> list[Block]:
        """Add the next leaf; the blocks of the nodes that this completes, in the order of a CAR."""
        done: list[Block] = []
        self._push(0, part, done)
        return done

    def finish(self) -> tuple[list[Block], Part]:
        """The blocks of the remaining nodes, the root's last, and the root; a single leaf is its own root.

        Raises:
            ValueError: no leaf was pushed.
        """
        done: list[Block] = []
        level = 0
        while level < len(self._levels) - 1 or len(self._levels[level]) > 1:
            self._push(level + 1, self._node(self._levels[level], done), done)
            level += 1
        if not self._levels[level]:
            raise ValueError("a file has at least one leaf, if an empty one")
        return done, self._levels[level][0]

    def _push(self, level: int, part: Part, done: list[Block]) -> None:
        if level == len(self._levels):
            self._levels.append([])
        waiting = self._levels[level]
        waiting.append(part)
        width = self._profile.max_links
        if len(waiting) > width:
            node = self._node(waiting[:width], done)
            del waiting[:width]
            self._push(level + 1, node, done)

    def _node(self, parts: list[Part], done: list[Block]) -> Part:
        size = sum(part.size for part in parts)
        data = dagpb.encode(
            [dagpb.Link("", part.cid, part.tsize) for part in parts],
            unixfs.file_data(size, [part.size for part in parts]),
        )
        cid = self._profile.node_cid(data)
        done.append(Block(cid, data))
        return Part(cid, size, len(data) + sum(part.tsize for part in parts))
