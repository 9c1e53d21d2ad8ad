"""A shard: one node of a HAMT, kept as what its block is made of.

Layout. A shard keeps the links of its block as they are encoded, in slot order, and a bitfield that says which slots
they belong to: an entry costs one `bytes` object, a block is one `join`, and an entry is read back out of its link.

Rule of the marks: `link` is the shard's own link as last encoded, `published` what `link` was at the last mark. When the
two are equal the whole subtree is published, because a CID names everything below it; so both walks stop there.

Source: specs.ipfs.tech/unixfs, "HAMT-sharded directories", corrected by what Kubo and js-ipfs write: minimal big-endian
bitfield, links named by two upper-case hex digits and, for an entry, its name.
"""

from collections.abc import Iterator

from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid
from hlspub.ipld.dagpb import Value, encode_data, encode_link, split_link
from hlspub.ipld.profile import HAMT_FANOUT
from hlspub.ipld.unixfs import hamt_data

HEX = tuple(b"%02X" % slot for slot in range(HAMT_FANOUT))
_DIGITS = 2  # of the slot, in front of a link's name


class Shard:
    """One node; see the module's text."""

    __slots__ = ("below", "bitfield", "children", "link", "links", "published", "stale")

    def __init__(self) -> None:
        self.bitfield = 0  # bit s: slot s is taken
        self.links: list[bytes] = []  # in slot order; empty bytes for a child never encoded
        self.children: dict[int, Shard] | None = None  # by slot; few shards have any
        self.below = 0  # the sum of the links' tsizes
        self.stale: int | None = 0  # None: `link` is right; else bit s: the child in slot s is stale too
        self.link = b""
        self.published = b""

    def index(self, slot: int) -> int:
        """Where the link of `slot` stands, or would stand, in `links`."""
        return (self.bitfield & ((1 << slot) - 1)).bit_count()

    def child(self, slot: int) -> "Shard | None":
        """The child in `slot`, if that is what it holds."""
        return None if self.children is None else self.children.get(slot)

    def entry(self, slot: int) -> tuple[bytes, Value]:
        """The name and the value in a slot that holds an entry."""
        name, value = split_link(self.links[self.index(slot)])
        return name[_DIGITS:], value

    def touch(self, slot: int | None = None) -> None:
        """Note that a link has changed, or will because the child in `slot` does."""
        self.stale = (self.stale or 0) | (0 if slot is None else 1 << slot)

    def insert(self, slot: int, name: bytes, value: Value) -> None:
        """Put an entry into a free slot."""
        self.links.insert(self.index(slot), encode_link(HEX[slot] + name, value))
        self.bitfield |= 1 << slot
        self.below += value[1]
        self.touch()

    def replace(self, slot: int, name: bytes, value: Value, old_tsize: int) -> None:
        """Put an entry into the place of what was there and counted for `old_tsize`."""
        self.links[self.index(slot)] = encode_link(HEX[slot] + name, value)
        self.below += value[1] - old_tsize
        self.touch()

    def delete(self, slot: int, old_tsize: int) -> None:
        """Take out the entry in `slot`."""
        del self.links[self.index(slot)]
        self.bitfield ^= 1 << slot
        self.below -= old_tsize
        self.touch()

    def push_down(self, slot: int, name: bytes, value: Value, next_slot: int) -> "Shard":
        """Move the entry in `slot` into a new child there."""
        child = Shard()
        child.insert(next_slot, name, value)
        self.children = self.children or {}
        self.children[slot] = child
        self.links[self.index(slot)] = b""
        self.below -= value[1]
        return child

    def pull_up(self, slot: int, child: "Shard") -> None:
        """Replace the child in `slot` by its only entry."""
        name, value = split_link(child.links[0])
        self.replace(slot, name[_DIGITS:], value, child.tsize())
        self.children = {at: other for at, other in (self.children or {}).items() if other is not child} or None

    def tsize(self) -> int:
        """The cumulative size as last encoded; 0 before that."""
        return split_link(self.link)[1][1] if self.link else 0

    def block(self) -> bytes:
        """The block, of the links as they are now."""
        return b"".join(self.links) + encode_data(hamt_data(self.bitfield, HAMT_FANOUT))

    def entries(self) -> Iterator[tuple[bytes, Value]]:
        """Every entry here and below, in slot order."""
        slots = self.bitfield
        for link in self.links:
            slot = (slots & -slots).bit_length() - 1
            slots &= slots - 1
            child = self.child(slot)
            if child is None:
                name, value = split_link(link)
                yield name[_DIGITS:], value
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
