"""dag-cbor, read: for the links of other people's DAGs and for the header of a CAR.

Rule: a small, strict and bounded reader: definite lengths, shortest forms, text keys, tag 42 for links and no other, no
deeper than `MAX_DEPTH`, no length believed before the bytes are there. What hlspub itself speaks in dag-cbor goes through
`libipld`, which is faster, but hands out links and byte strings alike as bytes; a reader of links has to tell them apart.

Source: ipld.io/specs/codecs/dag-cbor/spec; RFC 8949 §3.
"""

import struct
from enum import IntEnum
from typing import TypeAlias

from hlspub.errors import BlockError, CidError
from hlspub.ipld.cid import Cid

Value: TypeAlias = "int | float | bool | str | bytes | Cid | list[Value] | dict[str, Value] | None"

MAX_DEPTH = 128
_LINK_TAG = 42
_SIZES = {24: 1, 25: 2, 26: 4, 27: 8}
_LEAST = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}
_SIMPLE = {20: False, 21: True, 22: None}
_FLOAT64 = 27


class _Major(IntEnum):
    UNSIGNED = 0
    NEGATIVE = 1
    BYTES = 2
    TEXT = 3
    ARRAY = 4
    MAP = 5
    TAG = 6
    SIMPLE = 7


def decode(data: bytes) -> Value:
    """The one value that `data` hold.

    Raises:
        BlockError: not dag-cbor, cut off, or followed by more bytes; `offset` says where.
    """
    value, end = _value(data, 0, 0)
    if end != len(data):
        raise BlockError("bytes behind a dag-cbor value", offset=end)
    return value


def links(data: bytes) -> tuple[Cid, ...]:
    """Every link in a block, in the order they stand there.

    Raises:
        BlockError: as `decode`.
    """
    found: list[Cid] = []
    todo = [decode(data)]
    while todo:
        match todo.pop():
            case Cid() as cid:
                found.append(cid)
            case list() as items:
                todo.extend(reversed(items))
            case dict() as fields:
                todo.extend(reversed(fields.values()))
            case _:
                pass
    return tuple(found)


def _head(data: bytes, at: int) -> tuple[_Major, int, int, int]:
    """Major type, additional information, argument, and the offset behind the head."""
    if at >= len(data):
        raise BlockError("dag-cbor that is cut off", offset=at)
    major, info = _Major(data[at] >> 5), data[at] & 0x1F
    if info < min(_SIZES):
        return major, info, info, at + 1
    size = _SIZES.get(info)
    if size is None or at + 1 + size > len(data):
        raise BlockError("dag-cbor that is cut off or of indefinite length", offset=at)
    argument = int.from_bytes(data[at + 1 : at + 1 + size], "big")
    if major is not _Major.SIMPLE and argument < _LEAST[info]:
        raise BlockError("a dag-cbor number that is not in its shortest form", offset=at)
    return major, info, argument, at + 1 + size


def _value(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    if depth > MAX_DEPTH:
        raise BlockError(f"dag-cbor deeper than {MAX_DEPTH} levels", offset=at)
    major, info, argument, after = _head(data, at)
    match major:
        case _Major.BYTES:
            return _span(data, after, argument)
        case _Major.TEXT:
            return _text(data, after, argument)
        case _Major.ARRAY:
            return _array(data, after, argument, depth)
        case _Major.MAP:
            return _map(data, after, argument, depth)
        case _Major.TAG:
            return _link(data, after, argument)
        case _:
            return _scalar(data, at, info, argument), after


def _scalar(data: bytes, at: int, info: int, argument: int) -> Value:
    major = data[at] >> 5
    if major != _Major.SIMPLE:
        return argument if major == _Major.UNSIGNED else -1 - argument
    if info in _SIMPLE:
        return _SIMPLE[info]
    if info != _FLOAT64:
        raise BlockError(f"a dag-cbor value of the simple type {info}", offset=at)
    value: float = struct.unpack_from(">d", data, at + 1)[0]
    return value


def _span(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    if size > len(data) - at:
        raise BlockError("dag-cbor that is cut off", offset=at)
    return data[at : at + size], at + size


def _text(data: bytes, at: int, size: int) -> tuple[str, int]:
    raw, after = _span(data, at, size)
    try:
        return raw.decode(), after
    except UnicodeDecodeError as why:
        raise BlockError("a dag-cbor text that is not UTF-8", offset=at) from why


def _array(data: bytes, at: int, count: int, depth: int) -> tuple[list[Value], int]:
    items: list[Value] = []
    for _ in range(count):
        item, at = _value(data, at, depth + 1)
        items.append(item)
    return items, at


def _map(data: bytes, at: int, count: int, depth: int) -> tuple[dict[str, Value], int]:
    fields: dict[str, Value] = {}
    for _ in range(count):
        major, _, size, after = _head(data, at)
        if major is not _Major.TEXT:
            raise BlockError("a dag-cbor key that is not text", offset=at)
        key, after = _text(data, after, size)
        if key in fields:
            raise BlockError(f"a dag-cbor key that stands twice: {key[:100]!r}", offset=at)
        fields[key], at = _value(data, after, depth + 1)
    return fields, at


def _link(data: bytes, at: int, tag: int) -> tuple[Cid, int]:
    major, _, size, after = _head(data, at)
    if tag != _LINK_TAG or major is not _Major.BYTES:
        raise BlockError(f"a dag-cbor tag {tag} that is no link", offset=at)
    raw, after = _span(data, after, size)
    if not raw.startswith(b"\x00"):
        raise BlockError("a dag-cbor link without its leading zero byte", offset=at)
    try:
        return Cid.from_bytes(raw[1:]), after
    except CidError as why:
        raise BlockError(f"a link to what is {why}", offset=at, hint=why.hint) from why
