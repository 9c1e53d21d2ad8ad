"""UnixFS: what a dag-pb block's Data says it is: a file, a directory, a shard of one.

Rule: writing makes the messages of the two profiles and no others: regular files, directories, HAMT shards, without
mode and mtime; fields in the order of their numbers, `blocksizes` not packed. Reading takes any message that the UnixFS
schema allows (others' mode and mtime are checked and passed over), each field at most once except `blocksizes`.

Source: specs.ipfs.tech/unixfs; IPIP-499.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from hlspub.errors import BlockError
from hlspub.ipld.protobuf import read_span, read_varint, write_varint

MURMUR3_X64_64 = 0x22  # multicodec of a HAMT's name hash


class Kind(IntEnum):
    """The values of the field Type."""

    RAW = 0
    DIRECTORY = 1
    FILE = 2
    METADATA = 3
    SYMLINK = 4
    HAMT_SHARD = 5


class UnixFs(NamedTuple):
    """A decoded Data message; None is a field that is not there. Sizes are in bytes.

    `data` is a leaf's content, a symlink's target or a shard's bitfield (big-endian); `filesize` the length of the
    file below this node; `blocksizes` that of the part below each link.
    """

    kind: Kind
    data: bytes | None
    filesize: int | None
    blocksizes: tuple[int, ...]
    hash_type: int | None
    fanout: int | None


# Field number << 3 | wire type; all of them fit one byte.
_TYPE = 0x08
_DATA = 0x12
_FILESIZE = 0x18
_BLOCKSIZE = 0x20
_HASH_TYPE = 0x28
_FANOUT = 0x30
_MODE = 0x38
_MTIME = 0x42
_NUMBERS = frozenset((_TYPE, _FILESIZE, _HASH_TYPE, _FANOUT, _MODE))
_BYTES = frozenset((_DATA, _MTIME))

_HINT = "The block was damaged, or is not UnixFS; fetch it again from another source."

_MURMUR3 = b"\x28\x22\x30"  # hashType, and the tag of fanout
DIRECTORY_DATA = b"\x08\x01"


def file_data(filesize: int, blocksizes: Sequence[int], data: bytes | None = None) -> bytes:
    """The message of a file node: an inner one has `blocksizes`, a leaf has `data` (left out when empty)."""
    parts = [b"\x08\x02"]
    if data:
        parts += (b"\x12", write_varint(len(data)), data)
    parts += (b"\x18", write_varint(filesize))
    for size in blocksizes:
        parts += (b"\x20", write_varint(size))
    return b"".join(parts)


def hamt_data(bitfield: int | bytes, fanout: int) -> bytes:
    """The message of a HAMT shard.

    Bit s of `bitfield` says that slot s is taken; on the wire it is big-endian without leading zero bytes, as Kubo and
    js-ipfs write it.
    """
    if isinstance(bitfield, bytes):
        bitfield = int.from_bytes(bitfield, "big")
    taken = bitfield.to_bytes((bitfield.bit_length() + 7) // 8, "big")
    return b"\x08\x05\x12" + write_varint(len(taken)) + taken + _MURMUR3 + write_varint(fanout)


def decode(data: bytes) -> UnixFs:
    """Read a node's Data.

    Raises:
        BlockError: it is not a UnixFS message; `offset` counts from the start of `data`.
    """
    numbers: dict[int, int] = {}
    spans: dict[int, bytes] = {}
    blocksizes: list[int] = []
    at, end = 0, len(data)
    while at < end:
        tag = data[at]
        if tag in numbers or tag in spans:
            raise BlockError(f"a UnixFS field that stands twice (tag {tag:#04x})", offset=at, hint=_HINT)
        if tag == _BLOCKSIZE:
            size, at = read_varint(data, at + 1, end)
            blocksizes.append(size)
        elif tag in _NUMBERS:
            numbers[tag], at = read_varint(data, at + 1, end)
        elif tag in _BYTES:
            start, at = read_span(data, at + 1, end)
            spans[tag] = data[start:at]
        else:
            raise BlockError(f"a field that UnixFS does not have (tag {tag:#04x})", offset=at, hint=_HINT)
    try:
        kind = Kind(numbers.get(_TYPE, -1))
    except ValueError as why:
        raise BlockError(f"not a UnixFS type: {numbers.get(_TYPE, 'none given')}", hint=_HINT) from why
    return UnixFs(
        kind=kind,
        data=spans.get(_DATA),
        filesize=numbers.get(_FILESIZE),
        blocksizes=tuple(blocksizes),
        hash_type=numbers.get(_HASH_TYPE),
        fanout=numbers.get(_FANOUT),
    )
