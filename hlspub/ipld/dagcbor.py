"""dag-cbor: for the links of other people's DAGs, for the header of a CAR, and for what is signed.

Rule: a small, strict and bounded reader: definite lengths, shortest forms, text keys, tag 42 for links and no other, no
deeper than `MAX_DEPTH`, no length believed before the bytes are there; and a writer of the one canonical form. `libipld` is
faster, but hands out links and byte strings alike as bytes; who reads links, or signs, has to tell them apart.

Source: ipld.io/specs/codecs/dag-cbor/spec; RFC 8949 §3.
"""

import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import TypeAlias

from hlspub.errors import BlockError, CidError
from hlspub.ipld.cid import Cid

Value: TypeAlias = "int | float | bool | str | bytes | Cid | list[Value] | dict[str, Value] | None"
Writable: TypeAlias = "int | float | bool | str | bytes | Cid | Sequence[Writable] | Mapping[str, Writable] | None"

MAX_DEPTH = 128
_LINK_TAG = 42
_SIZES = {24: 1, 25: 2, 26: 4, 27: 8}
_LEAST = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}
_SIMPLE = {20: False, 21: True, 22: None}
_SIMPLE_BYTES = {value: bytes((7 << 5 | info,)) for info, value in _SIMPLE.items()}
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


def encode(value: Writable) -> bytes:
    """The canonical form of `value`: shortest numbers, floats of 64 bits, keys by length and then by their bytes.

    Raises:
        ValueError: an integer of more than 64 bits.
    """
    out: list[bytes] = []
    _write(value, out)
    return b"".join(out)


def _write(value: Writable, out: list[bytes]) -> None:
    match value:
        case bool() | None:
            out.append(_SIMPLE_BYTES[value])
        case int():
            out.append(_head_of(_Major.UNSIGNED, value) if value >= 0 else _head_of(_Major.NEGATIVE, -1 - value))
        case float():
            out.append(struct.pack(">Bd", _Major.SIMPLE << 5 | _FLOAT64, value))
        case str():
            raw = value.encode()
            out += (_head_of(_Major.TEXT, len(raw)), raw)
        case bytes():
            out += (_head_of(_Major.BYTES, len(value)), value)
        case Cid():
            out += (_head_of(_Major.TAG, _LINK_TAG), _head_of(_Major.BYTES, len(value.raw) + 1), b"\x00", value.raw)
        case Mapping():
            out.append(_head_of(_Major.MAP, len(value)))
            for key in sorted(value, key=lambda key: (len(key.encode()), key.encode())):
                _write(key, out)
                _write(value[key], out)
        case _:
            out.append(_head_of(_Major.ARRAY, len(value)))
            for item in value:
                _write(item, out)


def _head_of(major: _Major, argument: int) -> bytes:
    """Major type and argument in the shortest form."""
    if argument < min(_SIZES):
        return bytes((major << 5 | argument,))
    for info, size in _SIZES.items():
        if argument < 1 << 8 * size:
            return bytes((major << 5 | info,)) + argument.to_bytes(size, "big")
    raise ValueError(f"dag-cbor holds 64 bits, not {argument}")


def follow(data: bytes, segments: Sequence[str]) -> tuple[Cid | None, int]:
    """The first link that a path leads to, by keys of maps and indices of lists, and how many segments that took.

    None where there is no such way, or it ends before a link.

    Raises:
        BlockError: not dag-cbor.
    """
    value = decode(data)
    for taken, segment in enumerate(segments, 1):
        if isinstance(value, dict) and segment in value:
            value = value[segment]
        elif isinstance(value, list) and segment in map(str, range(len(value))):
            value = value[int(segment)]
        else:
            break
        if isinstance(value, Cid):
            return value, taken
    return None, 0


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
