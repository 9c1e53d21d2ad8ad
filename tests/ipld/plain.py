"""A second implementation of UnixFS trees, from scratch and plain: the oracle of the tests, the yardstick of the bench.

It shares no code with `hlspub.ipld`: bytes in, bytes out, everything built anew for every call, recursion where the
structure recurses. A value is (binary CID, tsize); `blocks`, when given, collects every block by its binary CID.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256

import mmh3

Value = tuple[bytes, int]
Blocks = dict[bytes, bytes]
THRESHOLD = 262_144


def varint(number: int) -> bytes:
    out = b""
    while number >= 128:
        out += bytes([number % 128 + 128])
        number //= 128
    return out + bytes([number])


def field(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + varint(len(content)) + content


def link(name: bytes, value: Value) -> bytes:
    cid, tsize = value
    return field(0x12, field(0x0A, cid) + field(0x12, name) + b"\x18" + varint(tsize))


def node(links: Iterable[tuple[bytes, Value]], data: bytes, *, version: int, blocks: Blocks | None = None) -> Value:
    links = list(links)
    block = b"".join([link(name, value) for name, value in links]) + field(0x0A, data)
    cid = (b"\x12\x20" if version == 0 else b"\x01\x70\x12\x20") + sha256(block).digest()
    if blocks is not None:
        blocks[cid] = block
    return cid, len(block) + sum([tsize for _, (_, tsize) in links])


def shard(rows: list[tuple[bytes, bytes, Value]], depth: int, *, version: int, blocks: Blocks | None) -> Value:
    slots: dict[int, list[tuple[bytes, bytes, Value]]] = {}
    for row in rows:
        slots.setdefault(row[0][depth], []).append(row)
    links: list[tuple[bytes, Value]] = []
    for slot in sorted(slots):
        inside = slots[slot]
        if len(inside) == 1:
            _, name, value = inside[0]
            links.append((b"%02X" % slot + name, value))
        else:
            links.append((b"%02X" % slot, shard(inside, depth + 1, version=version, blocks=blocks)))
    bits = sum([1 << slot for slot in slots])
    bitfield = bits.to_bytes(32, "big").lstrip(b"\0")
    data = b"\x08\x05" + field(0x12, bitfield) + b"\x28\x22\x30\x80\x02"
    return node(links, data, version=version, blocks=blocks)


def directory(
    entries: Mapping[bytes, Value], *, version: int, threshold: int = THRESHOLD, blocks: Blocks | None = None
) -> Value:
    links = sorted(entries.items())
    if version == 0:
        size = sum([len(name) + len(cid) for name, (cid, _) in links])
    else:
        size = sum([len(link(name, value)) for name, value in links]) + 4
    if size <= threshold:
        return node(links, b"\x08\x01", version=version, blocks=blocks)
    rows = [(mmh3.hash64(name, signed=False)[0].to_bytes(8, "big"), name, value) for name, value in links]
    return shard(rows, 0, version=version, blocks=blocks)


def tree(
    files: Mapping[str, Value], *, version: int, threshold: int = THRESHOLD, blocks: Blocks | None = None
) -> Value:
    entries: dict[bytes, Value] = {}
    inside: dict[str, dict[str, Value]] = {}
    for path, value in files.items():
        name, slash, rest = path.partition("/")
        if slash:
            inside.setdefault(name, {})[rest] = value
        else:
            entries[name.encode()] = value
    for name, below in inside.items():
        entries[name.encode()] = tree(below, version=version, threshold=threshold, blocks=blocks)
    return directory(entries, version=version, threshold=threshold, blocks=blocks)


def file(content: bytes, *, version: int, chunk: int, width: int) -> Value:
    level: list[tuple[Value, int]] = []
    for start in range(0, len(content) or 1, chunk):
        piece = content[start : start + chunk]
        if version == 1:
            leaf = (b"\x01\x55\x12\x20" + sha256(piece).digest(), len(piece))
        else:
            data = b"\x08\x02" + (field(0x12, piece) if piece else b"") + b"\x18" + varint(len(piece))
            leaf = node([], data, version=0)
        level.append((leaf, len(piece)))
    while len(level) > 1:
        above: list[tuple[Value, int]] = []
        for start in range(0, len(level), width):
            group = level[start : start + width]
            total = sum([size for _, size in group])
            data = b"\x08\x02\x18" + varint(total) + b"".join([b"\x20" + varint(size) for _, size in group])
            above.append((node([(b"", value) for value, _ in group], data, version=version), total))
        level = above
    return level[0][0]
