"""The little of Protocol Buffers that dag-pb and UnixFS need: varints and length-delimited spans inside a message.

Rule: one value, one spelling. The varints are those of `varint`: the shortest form only, at most 63 bits (the dag-pb
codecs of Go and JavaScript hold sizes in 63 and 53: no UnixFS block has more). Nothing is copied before its length is
known to be there.

Source: protobuf.dev/programming-guides/encoding; the dag-pb specification, "Protobuf Strictness".
"""

from hlspub.errors import BlockError
from hlspub.ipld import varint

_ONE_BYTE = tuple(varint.encode(value) for value in range(1 << 7))


def write_varint(value: int) -> bytes:
    """`varint.encode`, three times as fast up to 28 bits: a directory writes four of them for each entry.

    Raises:
        ValueError: `value` is negative or has more than 63 bits.
    """
    if value < 0:
        raise ValueError(f"not an unsigned integer: {value}")
    if value < 1 << 7:
        return _ONE_BYTE[value]
    if value < 1 << 14:
        return bytes((value & 0x7F | 0x80, value >> 7))
    if value < 1 << 21:
        return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14))
    if value < 1 << 28:
        return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14 & 0x7F | 0x80, value >> 21))
    return varint.encode(value)


def read_varint(block: bytes | memoryview, at: int, end: int) -> tuple[int, int]:
    """The varint that starts at `at`, and the offset behind it.

    Raises:
        BlockError: it is malformed, or goes on beyond `end`.
    """
    if at < end and (byte := block[at]) < 1 << 7:
        return byte, at + 1
    value, after = varint.decode(block, at, error=BlockError)
    if after > end:
        raise BlockError("a varint that goes on beyond its message", offset=at)
    return value, after


def read_span(block: bytes | memoryview, at: int, end: int) -> tuple[int, int]:
    """Where the bytes of the length-delimited value whose length stands at `at` start and stop.

    Raises:
        BlockError: its length is malformed, or reaches beyond `end`.
    """
    length, start = read_varint(block, at, end)
    if length > end - start:
        raise BlockError(f"a length of {length} bytes where {end - start} are left", offset=at)
    return start, start + length
