"""CARv1, written: a header with the roots, then one section after another, each a varint, a CID and its block.

Rule: bytes are laid out here and written elsewhere. A header of one root has a constant size for each kind of CID, so
a file's CAR is written behind a gap that the header fills once the root is known.

Source: ipld.io/specs/transport/car/carv1.
"""

from collections.abc import Sequence

from hlspub.ipld import varint
from hlspub.ipld.block import Block, BlockAt
from hlspub.ipld.cid import Cid, Codec

_SHORT = 24  # dag-cbor keeps a smaller number in the head's own byte
_BYTE = 1 << 8


def header(roots: Sequence[Cid]) -> bytes:
    """The header: dag-cbor {"roots": […], "version": 1} behind its length.

    Raises:
        ValueError: 256 roots or more, which nobody needs.
    """
    links = b"".join(b"\xd8\x2a%b\x00%b" % (_cbor_head(0x40, len(root.raw) + 1), root.raw) for root in roots)
    body = b"\xa2\x65roots%b%b\x67version\x01" % (_cbor_head(0x80, len(roots)), links)
    return varint.encode(len(body)) + body


def section_head(cid: Cid, size: int) -> bytes:
    """What stands before a block of `size` bytes."""
    return varint.encode(len(cid.raw) + size) + cid.raw


def node_car(root: Cid, blocks: Sequence[Block]) -> tuple[bytes, tuple[BlockAt, ...]]:
    """The CAR of these blocks in their order, and where each lies in it."""
    return pack_car([root], blocks)


def pack_car(roots: Sequence[Cid], blocks: Sequence[Block]) -> tuple[bytes, tuple[BlockAt, ...]]:
    """A CAR of several roots: its blocks in their order, and where each lies in it."""
    parts = [header(roots)]
    at, places = len(parts[0]), list[BlockAt]()
    for block in blocks:
        head = section_head(block.cid, len(block.data))
        at += len(head)
        places.append(BlockAt(block.cid, at, len(block.data)))
        at += len(block.data)
        parts += (head, block.data)
    return b"".join(parts), tuple(places)


def car_cid(data: bytes) -> Cid:
    """The CID of a CAR as a block of its own: what names a node CAR, and a shard at w3up."""
    return Cid.of_data(Codec.CAR, data)


def _cbor_head(major: int, argument: int) -> bytes:
    if argument < _SHORT:
        return bytes((major | argument,))
    if argument < _BYTE:
        return bytes((major | _SHORT, argument))
    raise ValueError(f"a CAR header that says {argument} where 255 is the most")
