"""Unsigned varints: seven bits a byte, least significant group first, at most nine bytes.

Rule: one number has one form. The multiformats varint is protobuf's with two promises more, which a strict reader
holds its writer to: the shortest form only, and nothing over 63 bits. CIDs and CARs are framed with it.

Source: github.com/multiformats/unsigned-varint.
"""

from typing import Protocol

from hlspub.errors import DataError

MAX_SIZE = 9  # bytes
MAX_VALUE = (1 << 63) - 1


class MakeError(Protocol):
    """Makes the error of whoever reads a varint: one of the classes below `DataError`, or a function."""

    def __call__(self, reason: str, /, *, offset: int) -> DataError:
        """The error; `offset` is where the varint begins in the data handed in."""
        ...


def encode(value: int) -> bytes:
    """The shortest form of `value`, which is 0 … `MAX_VALUE`.

    Raises:
        ValueError: a number outside that range.
    """
    if not 0 <= value <= MAX_VALUE:
        raise ValueError(f"a varint holds 0 … 2^63 - 1, not {value}")
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 -- the seven bits of a group
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode(data: bytes | bytearray | memoryview, offset: int = 0, *, error: MakeError = DataError) -> tuple[int, int]:
    """Read the varint at `offset`: its value, and the offset behind it.

    Raises:
        DataError: (as `error` makes it) the data end inside it, it is longer than nine bytes, or not in its shortest form.
    """
    value = 0
    for size in range(MAX_SIZE):
        if offset + size >= len(data):
            raise error("a varint is cut off", offset=offset)
        byte = data[offset + size]
        value |= (byte & 0x7F) << (7 * size)
        if byte < 0x80:  # noqa: PLR2004 -- the top bit says that more follows
            if byte == 0 and size:
                raise error("a varint is not in its shortest form", offset=offset)
            return value, offset + size + 1
    raise error("a varint is longer than nine bytes", offset=offset)
