"""An index of blocks in CARs, as one immutable object that can be searched by reading a few pages of it.

Form: a header of 16 bytes (magic, number of entries), then entries of 76 bytes in the order of their keys: key (32), the CAR's
sha2-256 (32), the offset of the block's bytes in the CAR (8) and their length (4), numbers big-endian. The key is the block's
sha2-256 digest; a block of another hash has the sha2-256 of its multihash. A key stands once.

Theory: keys are evenly spread, so where a key must stand can be told from the key alone, to within about the square root of the
number of entries: below 2¹⁸ entries that is half a page. So a search nearly always reads one page, without an index of the
index. `search` asks for pages and is given them; it does no I/O and believes nothing of their order: each step leaves fewer
pages to look at, so it ends.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from struct import Struct
from typing import TypeAlias

from hlspub.errors import DataError
from hlspub.ipld.block import BlockAt
from hlspub.ipld.cid import Cid, Hash

MAGIC = b"hlsidx1\n"
PAGE_ENTRIES = 1024
_HEADER = Struct(">8sQ")
_ENTRY = Struct(">32s32sQI")
HEADER_SIZE = _HEADER.size
ENTRY_SIZE = _ENTRY.size
PAGE_SIZE = PAGE_ENTRIES * ENTRY_SIZE
_KEY = 32
_SPREAD = 1 << 64  # of the first eight bytes of a key
_SHIFTS = 3  # guesses by the spread before the rest is halved


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a block lies: `car` is the sha2-256 digest of the whole CAR."""

    car: bytes
    offset: int
    length: int


Pages: TypeAlias = Generator[int, bytes, Spot | None]


def key_of(cid: Cid) -> bytes:
    """What a block is found by."""
    if cid.hash is Hash.SHA2_256:
        return cid.digest
    return sha256(bytes((cid.hash,)) + cid.digest).digest()


def entries_of(car: bytes, blocks: Iterable[BlockAt]) -> Iterator[bytes]:
    """The entries of one CAR's blocks, in no order; identity CIDs carry their block and need none."""
    for at in blocks:
        if at.cid.hash is not Hash.IDENTITY:
            yield _ENTRY.pack(key_of(at.cid), car, at.offset, at.length)


def entry(cid: Cid, spot: Spot) -> bytes:
    """The entry of one block."""
    return _ENTRY.pack(key_of(cid), spot.car, spot.offset, spot.length)


def encode(entries: Iterable[bytes]) -> bytes:
    """An index of these entries; of several with one key the first stays."""
    first: dict[bytes, bytes] = {}
    for entry in entries:
        first.setdefault(entry[:_KEY], entry)
    ordered = sorted(first.values())
    return b"".join(chain((_HEADER.pack(MAGIC, len(ordered)),), ordered))


def count(data: bytes) -> int:
    """How many entries an index has, of which `data` is the beginning.

    Raises:
        DataError: it is none.
    """
    if len(data) < HEADER_SIZE or data[: len(MAGIC)] != MAGIC:
        raise DataError("not an index of blocks", hint="Something else overwrote it.")
    number: int = _HEADER.unpack_from(data)[1]
    return number


def entries(data: bytes) -> Iterator[bytes]:
    """The entries of a whole index, as `encode` takes them.

    Raises:
        DataError: it is none, or cut off.
    """
    number = count(data)
    if len(data) != HEADER_SIZE + number * ENTRY_SIZE:
        raise DataError(f"an index of {number} entries with {len(data)} bytes", hint="It was not written whole.")
    for at in range(HEADER_SIZE, len(data), ENTRY_SIZE):
        yield data[at : at + ENTRY_SIZE]


def spot_of(entry: bytes) -> Spot:
    """What an entry says."""
    _key, car, offset, length = _ENTRY.unpack(entry)
    return Spot(car, offset, length)


def key_in(entry: bytes) -> bytes:
    """What an entry is found by."""
    return entry[:_KEY]


def car_in(entry: bytes) -> bytes:
    """The CAR that an entry names."""
    return entry[_KEY : 2 * _KEY]


def pages(number: int) -> int:
    """How many pages an index of `number` entries has."""
    return -(-number // PAGE_ENTRIES)


def page_span(page: int, number: int) -> tuple[int, int]:
    """Where a page of an index of `number` entries begins and ends, in bytes."""
    return (
        HEADER_SIZE + page * PAGE_SIZE,
        HEADER_SIZE + min((page + 1) * PAGE_ENTRIES, number) * ENTRY_SIZE,
    )


def search(key: bytes, number: int) -> Pages:
    """Look a key up in an index of `number` entries: yields the number of a page, wants its bytes, returns the spot."""
    low, high = 0, pages(number)
    page = int.from_bytes(key[:8], "big") * number // _SPREAD // PAGE_ENTRIES
    steps = 0
    while low < high:
        page = max(low, min(page, high - 1))
        data = yield page
        if not data or key < data[:_KEY]:
            high, page = page, page - 1
        elif key > data[len(data) - ENTRY_SIZE : len(data) - ENTRY_SIZE + _KEY]:
            low, page = page + 1, page + 1
        else:
            return _in_page(key, data)
        steps += 1
        if steps > _SHIFTS:
            page = (low + high) // 2
    return None


def _in_page(key: bytes, data: bytes) -> Spot | None:
    low, high = 0, len(data) // ENTRY_SIZE
    while low < high:
        middle = (low + high) // 2
        at = middle * ENTRY_SIZE
        found = data[at : at + _KEY]
        if found == key:
            return spot_of(data[at : at + ENTRY_SIZE])
        low, high = (middle + 1, high) if found < key else (low, middle)
    return None


def find(key: bytes, data: bytes) -> Spot | None:
    """Look a key up in a whole index that is in memory."""
    return _in_page(key, data[HEADER_SIZE:])
