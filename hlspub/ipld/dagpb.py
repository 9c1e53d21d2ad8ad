"""dag-pb: a block is a list of links and some bytes.

Rule: writing has one form: all Links, then Data; in a link Hash, Name, Tsize, all three always present. Reading follows
"Protobuf Strictness" of the specification: Data may stand before or behind the Links, but not between them; Name and
Tsize may be left out (they read as "" and 0); everything else is refused: a link without Hash, fields of a link out of
order, repeated or unknown fields, other wire types, varints longer than they must be, names that are not UTF-8, and a
block that ends early. The order of the links is kept, not judged: it belongs to UnixFS.

Source: ipld.io/specs/codecs/dag-pb/spec; how Kubo and js-ipfs write UnixFS.
"""

from collections.abc import Iterable
from typing import NamedTuple

from hlspub.errors import BlockError, CidError
from hlspub.ipld.cid import Cid
from hlspub.ipld.protobuf import read_span, read_varint, write_varint

# Field number << 3 | wire type; all of them fit one byte.
_NODE_DATA = 0x0A
_NODE_LINK = 0x12
_LINK_HASH = 0x0A
_LINK_NAME = 0x12
_LINK_TSIZE = 0x18

_HINT = "The block was damaged, or is not dag-pb; fetch it again from another source."


class Link(NamedTuple):
    """A named edge to another block; `tsize` is the cumulative size of everything below it, in bytes."""

    name: str
    cid: Cid
    tsize: int


class Node(NamedTuple):
    """A decoded block; `data` is the UnixFS message, empty when the block has none."""

    links: tuple[Link, ...]
    data: bytes


Value = tuple[bytes, int]
"""What a link says of the block it names: the binary CID and the tsize."""


def encode_link(name: bytes, value: Value) -> bytes:
    """One link as it stands in a block; `name` is UTF-8."""
    cid, tsize = value
    cid_size, name_size = write_varint(len(cid)), write_varint(len(name))
    body = b"\x0a" + cid_size + cid + b"\x12" + name_size + name + b"\x18" + write_varint(tsize)
    return b"\x12" + write_varint(len(body)) + body


def split_link(link: bytes) -> tuple[bytes, Value]:
    """The name and the value that `encode_link` made `link` of; for no other bytes."""
    end = len(link)
    _, at = read_varint(link, 1, end)
    start, at = read_span(link, at + 1, end)
    cid = link[start:at]
    start, at = read_span(link, at + 1, end)
    tsize, _ = read_varint(link, at + 1, end)
    return link[start:at], (cid, tsize)


def encode_data(data: bytes) -> bytes:
    """The Data field, as it stands behind a block's links."""
    return b"\x0a" + write_varint(len(data)) + data


def encode(links: Iterable[Link], data: bytes) -> bytes:
    """The block of these links, in their order, and this data.

    Raises:
        ValueError: a tsize is negative or has more than 63 bits.
    """
    parts = [encode_link(link.name.encode(), (link.cid.raw, link.tsize)) for link in links]
    parts.append(encode_data(data))
    return b"".join(parts)


def decode(block: bytes | memoryview) -> Node:
    """The links and the data of a block.

    Raises:
        BlockError: the block is not dag-pb as described above; `offset` says where.
    """
    links: list[Link] = []
    data: bytes | None = None
    links_before_data = 0
    at, end = 0, len(block)
    while at < end:
        tag = block[at]
        if tag == _NODE_LINK:
            start, stop = read_span(block, at + 1, end)
            links.append(_decode_link(block, start, stop))
            if data is not None and links_before_data:
                raise BlockError("a link behind the data, with other links before it", offset=at, hint=_HINT)
            at = stop
        elif tag == _NODE_DATA:
            if data is not None:
                raise BlockError("a second Data field", offset=at, hint=_HINT)
            start, stop = read_span(block, at + 1, end)
            data, links_before_data = bytes(block[start:stop]), len(links)
            at = stop
        else:
            raise BlockError(f"a field that dag-pb does not have (tag {tag:#04x})", offset=at, hint=_HINT)
    return Node(tuple(links), data or b"")


def _decode_link(block: bytes | memoryview, at: int, end: int) -> Link:
    """The link whose message lies between `at` and `end`."""
    if at == end or block[at] != _LINK_HASH:
        raise BlockError("a link that does not begin with its Hash", offset=at, hint=_HINT)
    start, at = read_span(block, at + 1, end)
    try:
        cid = Cid.from_bytes(bytes(block[start:at]))
    except CidError as why:
        raise BlockError(
            f"a link whose Hash is {bytes(block[start:at])[:48].hex()}", offset=start, hint=why.hint
        ) from why
    name, tsize = "", 0
    if at < end and block[at] == _LINK_NAME:
        start, at = read_span(block, at + 1, end)
        try:
            name = str(block[start:at], "utf-8")
        except UnicodeDecodeError as why:
            raise BlockError("a link whose name is not UTF-8", offset=start, hint=_HINT) from why
    if at < end and block[at] == _LINK_TSIZE:
        tsize, at = read_varint(block, at + 1, end)
    if at < end:
        tag = block[at]
        raise BlockError(
            f"a field of a link that is unknown, repeated or out of order (tag {tag:#04x})", offset=at, hint=_HINT
        )
    return Link(name, cid, tsize)
