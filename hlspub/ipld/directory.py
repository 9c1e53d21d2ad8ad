"""One UnixFS directory, changed in place: flat while it is small, a HAMT when it is not.

Rule: which of the two follows from the entries alone, at the moment the root is asked for: a directory is sharded when
its measure under the profile is strictly greater than the threshold. The measure is kept up to date with every change, so
that asking costs nothing; Tsizes count in it where the profile measures whole blocks.

A flat directory is one block: its links as they are encoded, sorted by UTF-8 name, in one list, the names in another.

Two names with the same 64-bit hash are refused in a flat directory too. It could hold them today, but not once it has
grown past the threshold, and then every root would fail; so the second file is refused when it comes.

Source: IPIP-499; specs.ipfs.tech/unixfs, "Directories".
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Protocol

from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid
from hlspub.ipld.dagpb import Value, encode_data, encode_link, split_link
from hlspub.ipld.hamt import Hamt, by_hash, name_hash, same_hash
from hlspub.ipld.profile import HamtSize, Profile
from hlspub.ipld.unixfs import DIRECTORY_DATA

_FLAT_TAIL = encode_data(DIRECTORY_DATA)
_SHORT = 127  # bytes of a link whose lengths are varints of one byte
_SLACK = 2  # a flat directory this many times over the threshold is sharded without waiting for the next root


def _block_bytes(name: bytes, value: Value) -> int:
    """What an entry adds to the block of a flat directory: the length of its link."""
    cid, tsize = value
    size = 5 + len(cid) + len(name) + (tsize.bit_length() + 6) // 7
    if size <= _SHORT and tsize:
        return 2 + size
    return len(encode_link(name, value))


def _links_bytes(name: bytes, value: Value) -> int:
    """What an entry adds to the sum of names and CIDs."""
    return len(name) + len(value[0])


_MEASURES = {
    HamtSize.BLOCK_BYTES: (len(_FLAT_TAIL), _block_bytes),
    HamtSize.LINKS_BYTES: (0, _links_bytes),
}


class _Entries(Protocol):
    """What a flat directory and a HAMT have in common; `Hamt` documents each."""

    def get(self, name: bytes) -> Value | None: ...
    def put(self, name: bytes, value: Value) -> Value | None: ...
    def remove(self, name: bytes) -> Value | None: ...
    def __iter__(self) -> Iterator[tuple[bytes, Value]]: ...
    def encode(self) -> Value: ...
    def unpublished(self) -> Iterator[Block]: ...
    def mark_published(self) -> None: ...


class _Flat:
    """The entries of a directory of one block."""

    def __init__(self, profile: Profile, entries: Mapping[bytes, Value]) -> None:
        self._profile = profile
        self._names = sorted(entries)
        self._links = [encode_link(name, entries[name]) for name in self._names]
        self._below = sum(tsize for _, tsize in entries.values())
        self._hashes = by_hash(entries)
        self._cid = b""  # of the block as last encoded

    def get(self, name: bytes) -> Value | None:
        index = self._index(name)
        return None if index is None else self._value(index)

    def put(self, name: bytes, value: Value) -> Value | None:
        link = encode_link(name, value)
        index = self._index(name)
        if index is not None:
            old = self._value(index)
            self._links[index] = link
            self._below += value[1] - old[1]
            return old
        other = self._hashes.setdefault(name_hash(name), name)
        if other is not name:
            raise same_hash(other, name)
        index = bisect_left(self._names, name)
        self._names.insert(index, name)
        self._links.insert(index, link)
        self._below += value[1]
        return None

    def remove(self, name: bytes) -> Value | None:
        index = self._index(name)
        if index is None:
            return None
        old = self._value(index)
        del self._names[index], self._links[index], self._hashes[name_hash(name)]
        self._below -= old[1]
        return old

    def __iter__(self) -> Iterator[tuple[bytes, Value]]:
        return ((name, self._value(index)) for index, name in enumerate(self._names))

    def encode(self) -> Value:
        block = self._block()
        self._cid = self._profile.raw_node_cid(block)
        return self._cid, len(block) + self._below

    def unpublished(self) -> Iterator[Block]:
        yield Block(Cid(self._cid), self._block())

    def mark_published(self) -> None:
        """There is one block, and the directory remembers its CID."""

    def _index(self, name: bytes) -> int | None:
        index = bisect_left(self._names, name)
        return index if index < len(self._names) and self._names[index] == name else None

    def _value(self, index: int) -> Value:
        return split_link(self._links[index])[1]

    def _block(self) -> bytes:
        return b"".join(self._links) + _FLAT_TAIL


class Directory:
    """The entries of one directory; names are UTF-8 and were checked by who calls."""

    def __init__(self, profile: Profile, entries: Mapping[bytes, Value] | None = None) -> None:
        """Hold `entries` from the start.

        Raises:
            BlockError: two names have the same hash.
        """
        entries = entries or {}
        start, self._measure = _MEASURES[profile.hamt_size]
        self._profile = profile
        self._size = start + sum(self._measure(name, value) for name, value in entries.items())
        self._entries: _Entries = Hamt(profile, entries) if self._is_over() else _Flat(profile, entries)
        self._count = len(entries)
        self._root: Value | None = None  # as last encoded
        self._stale = True
        self._encoded: _Entries | None = None  # what `_entries` was at the last `root`
        self._published: bytes | None = None  # the root's CID at the last mark

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[bytes, Value]]:
        """Every entry: by name in a flat directory, by hash in a HAMT."""
        return iter(self._entries)

    def get(self, name: bytes) -> Value | None:
        """The value of an entry, None when there is none."""
        return self._entries.get(name)

    def put(self, name: bytes, value: Value) -> None:
        """Add an entry or replace its value.

        Raises:
            BlockError: another name has the same hash; nothing was changed.
        """
        old = self._entries.put(name, value)
        if old == value:
            return
        self._stale = True
        self._size += self._measure(name, value)
        if old is None:
            self._count += 1
        else:
            self._size -= self._measure(name, old)
        if self._is_over(_SLACK) and isinstance(self._entries, _Flat):
            self._reshape()

    def remove(self, name: bytes) -> Value | None:
        """Take an entry out; the answer is its value, None when there is none."""
        old = self._entries.remove(name)
        if old is not None:
            self._stale = True
            self._count -= 1
            self._size -= self._measure(name, old)
        return old

    def root(self) -> Value:
        """The root's CID and tsize; encodes and hashes only what changed since the last call."""
        if self._root is None or self._stale:
            if self._is_over() is not isinstance(self._entries, Hamt):
                self._reshape()
            self._root, self._stale, self._encoded = self._entries.encode(), False, self._entries
        return self._root

    @property
    def is_published(self) -> bool:
        """Whether the root as last computed is the one last marked."""
        return self._root is not None and self._root[0] == self._published

    def unpublished(self) -> Iterator[Block]:
        """The blocks of `root()` that the last marked root does not account for, children before parents."""
        self.root()
        return iter(()) if self.is_published else self._entries.unpublished()

    def mark_published(self) -> None:
        """Declare the blocks of the last root that was computed published."""
        if self._encoded is not None:
            self._encoded.mark_published()
        if self._root is not None:
            self._published = self._root[0]

    def _is_over(self, times: int = 1) -> bool:
        return self._size > times * self._profile.hamt_threshold

    def _reshape(self) -> None:
        """Turn flat into HAMT or back."""
        entries = dict(self._entries)
        self._entries = (
            _Flat(self._profile, entries) if isinstance(self._entries, Hamt) else Hamt(self._profile, entries)
        )
