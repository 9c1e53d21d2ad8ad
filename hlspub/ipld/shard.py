"""A shard: one node of a HAMT, kept as what its block is made of.

Layout. A shard keeps the links of its block as they stand there, in one string of bytes, and a bitfield that says which slots
they belong to: an entry costs no object of its own, which saves a quarter of its memory, and is read back out of its link. The
link of a slot is found by going from length to length, at most 255 steps.

Rule of the marks: `link` is the shard's own link as last encoded, `published` what `link` was at the last mark. When the
two are equal the whole subtree is published, because a CID names everything below it; so both walks stop there.

Source: specs.ipfs.tech/unixfs, "HAMT-sharded directories", corrected by what Kubo and js-ipfs write: minimal big-endian
bitfield, links named by two upper-case hex digits and, for an entry, its name.
"""

from collections.abc import Iterator, Mapping

from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid
from hlspub.ipld.dagpb import Value, encode_data, encode_link, split_link
from hlspub.ipld.profile import HAMT_FANOUT
from hlspub.ipld.protobuf import read_span
from hlspub.ipld.unixfs import hamt_data

HEX = tuple(b"%02X" % slot for slot in range(HAMT_FANOUT))
_DIGITS = 2  # of the slot, in front of a link's name
_NEVER = b"\x12\x00"  # in the place of a child's link before it is first encoded
_MORE = 0x80  # in a length's first byte: there are others


class Shard:
    """One node; see the module's text."""

    __slots__ = ("below", "bitfield", "children", "link", "links", "published", "stale")

    def __init__(self, bitfield: int = 0, links: bytes = b"", below: int = 0) -> None:
        self.bitfield = bitfield  # bit s: slot s is taken
        self.links = links  # in slot order
        self.children: dict[int, Shard] | None = None  # by slot; few shards have any
        self.below = below  # the sum of the links' tsizes
        self.stale: int | None = 0  # None: `link` is right; else bit s: the child in slot s is stale too
        self.link = b""
        self.published = b""

    def child(self, slot: int) -> "Shard | None":
        """The child in `slot`, if that is what it holds."""
        return None if self.children is None else self.children.get(slot)

    def entry(self, slot: int) -> tuple[bytes, Value]:
        """The name and the value in a slot that holds an entry."""
        return self._entry(*self._span(slot))

    def only_entry(self) -> tuple[bytes, Value] | None:
        """The entry of a shard that holds nothing else."""
        return self._entry(0, len(self.links)) if self.bitfield.bit_count() == 1 and not self.children else None

    def touch(self, slot: int | None = None) -> None:
        """Note that a link has changed, or will because the child in `slot` does."""
        self.stale = (self.stale or 0) | (0 if slot is None else 1 << slot)

    def insert(self, slot: int, name: bytes, value: Value) -> None:
        """Put an entry into a free slot."""
        self._write(slot, encode_link(HEX[slot] + name, value))
        self.bitfield |= 1 << slot
        self.below += value[1]
        self.touch()

    def replace(self, slot: int, name: bytes, value: Value, old_tsize: int) -> None:
        """Put an entry into the place of what was there and counted for `old_tsize`."""
        self._write(slot, encode_link(HEX[slot] + name, value))
        self.below += value[1] - old_tsize
        self.touch()

    def delete(self, slot: int, old_tsize: int) -> None:
        """Take out the entry in `slot`."""
        self._write(slot, b"")
        self.bitfield ^= 1 << slot
        self.below -= old_tsize
        self.touch()

    def push_down(self, slot: int, name: bytes, value: Value, next_slot: int) -> "Shard":
        """Move the entry in `slot` into a new child there."""
        child = Shard()
        child.insert(next_slot, name, value)
        self.children = self.children or {}
        self.children[slot] = child
        self._write(slot, _NEVER)
        self.below -= value[1]
        return child

    def pull_up(self, slot: int, child: "Shard", entry: tuple[bytes, Value]) -> None:
        """Replace the child in `slot` by its only entry."""
        self.replace(slot, *entry, child.tsize())
        self.children = {at: other for at, other in (self.children or {}).items() if other is not child} or None

    def relink(self, children: Mapping[int, "Shard"]) -> None:
        """Take over the links of these children, by slot in order, as they are encoded now."""
        parts: list[bytes] = []
        at = last = 0
        for slot, child in children.items():
            passed = self.bitfield >> last & (1 << slot - last) - 1
            start = self._skip(at, passed.bit_count())
            parts += self.links[at:start], child.link
            at, last = self._skip(start, 1), slot + 1
        self.links = b"".join([*parts, self.links[at:]])

    def tsize(self) -> int:
        """The cumulative size as last encoded; 0 before that."""
        return split_link(self.link)[1][1] if self.link else 0

    def block(self) -> bytes:
        """The block, of the links as they are now."""
        return self.links + encode_data(hamt_data(self.bitfield, HAMT_FANOUT))

    def entries(self) -> Iterator[tuple[bytes, Value]]:
        """Every entry here and below, in slot order."""
        slots, at = self.bitfield, 0
        while slots:
            slot = (slots & -slots).bit_length() - 1
            slots &= slots - 1
            start, at = at, self._skip(at, 1)
            child = self.child(slot)
            if child is None:
                yield self._entry(start, at)
            else:
                yield from child.entries()

    def unpublished(self) -> Iterator[Block]:
        """The blocks here and below that no mark covers, children before parents; none of them may be stale."""
        if self.link == self.published:
            return
        for _, child in sorted((self.children or {}).items()):
            yield from child.unpublished()
        yield Block(Cid(split_link(self.link)[1][0]), self.block())

    def mark(self) -> None:
        """Declare the blocks here and below, as last encoded, published."""
        if self.link == self.published:
            return
        for child in (self.children or {}).values():
            child.mark()
        self.published = self.link

    def _skip(self, at: int, count: int) -> int:
        """Where the link begins that stands `count` links behind the one at `at`."""
        links = self.links
        for _ in range(count):
            size = links[at + 1]
            at = at + 2 + size if size < _MORE else read_span(links, at + 1, len(links))[1]
        return at

    def _span(self, slot: int) -> tuple[int, int]:
        """From where to where the link of `slot` goes, or would go."""
        start = self._skip(0, (self.bitfield & (1 << slot) - 1).bit_count())
        return start, self._skip(start, self.bitfield >> slot & 1)

    def _entry(self, start: int, stop: int) -> tuple[bytes, Value]:
        name, value = split_link(self.links[start:stop])
        return name[_DIGITS:], value

    def _write(self, slot: int, link: bytes) -> None:
        start, stop = self._span(slot)
        self.links = self.links[:start] + link + self.links[stop:]
