"""Packing: a file's chunks become its CAR, each hashed once and never copied.

Rule: no I/O here. Chunks go in, in order; what comes out are buffers to write one after another from `header_size` on,
the chunk itself among them as the view that was handed in. The root is known at the end, so the header, whose size is
constant for a profile, is handed out last and belongs at offset 0. Written so, the CAR of a file is byte for byte the one
that `ipfs-car` makes.

Source: ipld.io/specs/transport/car/carv1; `file` for the order of the blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hlspub.ipld import car
from hlspub.ipld.block import BlockAt
from hlspub.ipld.cid import Cid
from hlspub.ipld.file import Layout, Leaf, Part, leaf
from hlspub.ipld.profile import Profile

Buffer: TypeAlias = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Packing:
    """A file that was packed whole.

    Attributes:
        tail: buffers to write behind all others.
        header: to write at offset 0.
        root: the file's CID, its length and its cumulative size.
        blocks: where each block lies in the CAR.
        car_size: bytes of the CAR.
    """

    tail: tuple[Buffer, ...]
    header: bytes
    root: Part
    blocks: tuple[BlockAt, ...]
    car_size: int


class FilePacker:
    """Packs one file; `leaf` (or `add`) for each chunk of `chunk_size` bytes (the last one shorter), then `finish`."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._layout = Layout(profile)
        # A file of one chunk is its own raw leaf, and that CID and the node's are equally long in version 1.
        self._blocks: list[BlockAt] = []
        self.header_size = len(car.header([profile.node_cid(b"")]))
        self._at = self.header_size

    def leaf(self, chunk: memoryview) -> Sequence[Buffer]:
        """Hash the next chunk; the buffers of its section and of the nodes it completes."""
        return self.add(leaf(chunk, self._profile), chunk)

    def add(self, made: Leaf, chunk: memoryview) -> Sequence[Buffer]:
        """`leaf` for a chunk that was hashed before, in whatever order or thread; added in order, by one at a time."""
        head = self._section(made.cid, made.length)
        out: list[Buffer] = [head + made.head, chunk]
        if made.tail:
            out.append(made.tail)
        for node in self._layout.push(Part(made.cid, len(chunk), made.length)):
            out += (self._section(node.cid, len(node.data)), node.data)
        return out

    def finish(self) -> Packing:
        """What is left to write, and what the file became."""
        tail: list[Buffer] = []
        if not self._blocks:
            tail += self.leaf(memoryview(b""))
        nodes, root = self._layout.finish()
        for node in nodes:
            tail += (self._section(node.cid, len(node.data)), node.data)
        return Packing(tuple(tail), car.header([root.cid]), root, tuple(self._blocks), self._at)

    def _section(self, cid: Cid, size: int) -> bytes:
        head = car.section_head(cid, size)
        self._blocks.append(BlockAt(cid, self._at + len(head), size))
        self._at += len(head) + size
        return head
