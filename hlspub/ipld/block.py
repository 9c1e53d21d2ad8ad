"""Blocks: bytes and the CID that names them.

Rule: whatever crosses a border (a CAR, a gateway, a disk) is checked against its CID before it is believed. Building a
`Block` checks nothing, since most are made here from the bytes themselves; `check` does.
"""

from dataclasses import dataclass
from hashlib import sha256, sha512

from hlspub.errors import BlockError
from hlspub.ipld.cid import Cid, Hash


@dataclass(frozen=True, slots=True)
class Block:
    """A CID and the bytes that it names."""

    cid: Cid
    data: bytes


@dataclass(frozen=True, slots=True)
class BlockAt:
    """Where a block's bytes lie in its CAR: `offset` of the data (after varint and CID) and its `length`, in bytes."""

    cid: Cid
    offset: int
    length: int


def matches(cid: Cid, data: bytes | bytearray | memoryview) -> bool:
    """Whether `data` are the bytes that `cid` names."""
    match cid.hash:
        case Hash.SHA2_256:
            return sha256(data).digest() == cid.digest
        case Hash.SHA2_512:
            return sha512(data).digest() == cid.digest
        case Hash.IDENTITY:
            return data == cid.digest


def check(block: Block) -> None:
    """Hold a block to its CID.

    Raises:
        BlockError: the bytes are others than the CID names.
    """
    if not matches(block.cid, block.data):
        raise BlockError(
            f"{len(block.data)} bytes that are not the block {block.cid}",
            hint="The copy is damaged: fetch it again, or from another source.",
        )
