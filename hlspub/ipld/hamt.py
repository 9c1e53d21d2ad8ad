"""A sharded directory: a hash array mapped trie whose nodes are blocks, changed in place.

Theory. The name's 64-bit hash is eaten a byte a level, the most significant first; a byte is a slot of the shard at that
level. A slot holds nothing, one entry, or a child shard with at least two entries below it. So the shape, and with it
the root, follows from the entries alone: a second name in a slot pushes the first one down, and a child left with one
entry is replaced by that entry.

A change marks the shards on its way as stale; `encode` hashes those and no others.

Source: specs.ipfs.tech/unixfs, "HAMT-sharded directories", corrected by what Kubo and js-ipfs write: the hash is eaten
most significant byte first, and no name is hashed again when its eight bytes are used up.
"""

from collections.abc import Iterator, Mapping, Sequence

import mmh3

from hlspub.errors import BlockError
from hlspub.ipld.block import Block
from hlspub.ipld.dagpb import Value, encode_link, split_link
from hlspub.ipld.profile import Profile
from hlspub.ipld.shard import HEX, Shard

Entry = tuple[bytes, Value]
_LEVELS = 8  # bytes of a hash


def name_hash(name: bytes) -> int:
    """The first 64-bit half of murmur3-x64-128 of a UTF-8 name."""
    return mmh3.hash64(name, signed=False)[0]


def _slots(name: bytes) -> bytes:
    """The slot of a name at every level: its hash, most significant byte first."""
    return name_hash(name).to_bytes(_LEVELS, "big")


def _hash_of(entry: Entry) -> int:
    return name_hash(entry[0])


def by_hash(names: Mapping[bytes, object]) -> dict[int, bytes]:
    """The names under their hashes.

    Raises:
        BlockError: two of them have the same.
    """
    found: dict[int, bytes] = {}
    for name in names:
        other = found.setdefault(name_hash(name), name)
        if other is not name:
            raise same_hash(other, name)
    return found


def same_hash(one: bytes, other: bytes) -> BlockError:
    """The error for two names that no level of a HAMT can tell apart."""
    return BlockError(
        f"two names have the same 64-bit hash: {one.decode()!r} and {other.decode()!r}",
        hint="A sharded UnixFS directory cannot hold both: give one of the two files another name.",
    )


class Hamt:
    """The entries of one sharded directory. Names are UTF-8."""

    def __init__(self, profile: Profile, entries: Mapping[bytes, Value]) -> None:
        """Hold `entries`; one pass.

        Raises:
            BlockError: two names have the same hash.
        """
        self._profile = profile
        rows = sorted(entries.items(), key=_hash_of)
        ways = [_slots(name) for name, _ in rows]
        self._root, _ = self._grow(rows, ways, range(len(rows)), 0)

    def get(self, name: bytes) -> Value | None:
        """The value of `name`."""
        way = self._find(name)
        if way is None:
            return None
        shard, slot = way[-1]
        return shard.entry(slot)[1]

    def put(self, name: bytes, value: Value) -> Value | None:
        """Add or replace; the answer is what was replaced.

        Raises:
            BlockError: another name has the same hash; nothing was changed.
        """
        slots = _slots(name)
        shard = self._root
        for depth, slot in enumerate(slots):
            if not shard.bitfield >> slot & 1:
                shard.insert(slot, name, value)
                return None
            child = shard.child(slot)
            if child is None:
                other, old = shard.entry(slot)
                if other == name:
                    shard.replace(slot, name, value, old[1])
                    return old
                other_slots = _slots(other)
                if other_slots == slots:
                    raise same_hash(other, name)
                child = shard.push_down(slot, other, old, other_slots[depth + 1])
            shard.touch(slot)
            shard = child
        raise AssertionError("a shard below the last byte of the hash")

    def remove(self, name: bytes) -> Value | None:
        """Take an entry out; the answer is its value, None when there is none."""
        way = self._find(name)
        if way is None:
            return None
        for shard, slot in way:
            shard.touch(slot)
        shard, slot = way.pop()
        _, value = shard.entry(slot)
        shard.delete(slot, value[1])
        while way and (entry := shard.only_entry()):
            child = shard
            shard, slot = way.pop()
            shard.pull_up(slot, child, entry)
        return value

    def __iter__(self) -> Iterator[Entry]:
        """Every entry, in the order of the hashes."""
        return self._root.entries()

    def encode(self) -> Value:
        """The root's value; encodes and hashes the stale shards."""
        if self._root.stale is not None:
            self._encode(self._root, b"")
        return split_link(self._root.link)[1]

    def unpublished(self) -> Iterator[Block]:
        """The blocks not covered by the last `mark_published`, children before parents; `encode` first."""
        return self._root.unpublished()

    def mark_published(self) -> None:
        """Declare the blocks of the last `encode` published."""
        self._root.mark()

    def _find(self, name: bytes) -> list[tuple[Shard, int]] | None:
        """The shards on the way to an entry, each with the slot taken; None when there is no such entry."""
        shard = self._root
        way: list[tuple[Shard, int]] = []
        for slot in _slots(name):
            way.append((shard, slot))
            child = shard.child(slot)
            if child is None:
                found = shard.bitfield >> slot & 1 and shard.entry(slot)[0] == name
                return way if found else None
            shard = child
        return None

    def _grow(self, rows: Sequence[Entry], ways: Sequence[bytes], part: range, depth: int) -> tuple[Shard, int]:
        """The encoded shard, and its tsize, of a part of the rows, which are sorted by their ways and alike so far."""
        start, end = part.start, part.stop
        if depth == _LEVELS:
            raise same_hash(rows[start][0], rows[start + 1][0])
        shard_name = HEX[ways[start][depth - 1]] if depth else b""
        links: list[bytes] = []
        children: dict[int, Shard] = {}
        bitfield = below = 0
        while start < end:
            slot = ways[start][depth]
            bitfield |= 1 << slot
            stop = start + 1
            while stop < end and ways[stop][depth] == slot:
                stop += 1
            if stop == start + 1:
                name, value = rows[start]
                link, tsize = encode_link(HEX[slot] + name, value), value[1]
            else:
                children[slot], tsize = self._grow(rows, ways, range(start, stop), depth + 1)
                link = children[slot].link
            links.append(link)
            below += tsize
            start = stop
        shard = Shard(bitfield, b"".join(links), below)
        shard.children = children or None
        return shard, self._seal(shard, shard_name)

    def _encode(self, shard: Shard, name: bytes) -> int:
        """Bring up to date what is stale below `shard`, then itself, as `name` in its parent; the answer is its tsize."""
        stale, fresh = shard.stale or 0, dict[int, Shard]()
        while stale:
            slot = (stale & -stale).bit_length() - 1
            stale &= stale - 1
            child = shard.child(slot)
            if child is None:  # became an entry again
                continue
            was = child.tsize()
            shard.below += self._encode(child, HEX[slot]) - was
            fresh[slot] = child
        shard.relink(fresh)
        return self._seal(shard, name)

    def _seal(self, shard: Shard, name: bytes) -> int:
        """Hash a shard whose links are right; the answer is its tsize."""
        block = shard.block()
        tsize = len(block) + shard.below
        shard.link = encode_link(name, (self._profile.raw_node_cid(block), tsize))
        shard.stale = None
        return tsize
