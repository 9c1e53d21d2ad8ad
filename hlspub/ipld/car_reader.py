"""CARs, read: version 1, and the version 1 inside of a version 2, as a stream.

Rule: nothing that the file claims is believed before it is held to a bound: a header and a section have a largest size,
a version 2's payload ends where its header says, every varint is in its shortest form. A `CarReader` takes bytes from a
function `read(n)`, which gives at most n and none at the end, and never asks for more than one section; so a pipe, a file
and an HTTP body are alike to it. It holds one block in memory.

Source: ipld.io/specs/transport/car/carv1 and carv2; the largest section is go-car's.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from hlspub.errors import BlockError, CarError, CidError
from hlspub.ipld import dagcbor, varint
from hlspub.ipld.block import Block, BlockAt, check
from hlspub.ipld.cid import MAX_INLINE, Cid

Read: TypeAlias = Callable[[int], bytes]
Skip: TypeAlias = Callable[[int], int]

MAX_HEADER = 1 << 20  # bytes
MAX_SECTION = 8 << 20  # bytes of a CID and its block
_MAX_CID = MAX_INLINE + 4 * varint.MAX_SIZE
_PRAGMA = b"\xa1\x67version\x02"
_V2_HEADER = 40  # bytes: 16 of characteristics, then offset and size of the version 1 inside, offset of an index
_PIECE = 1 << 20  # bytes read at once where nothing is kept
_MORE = 0x80  # the bit of a varint's byte that says that another follows
_HINT = "The CAR is damaged or was not written whole: get it again."


class CarReader:
    """The roots and the blocks of a CAR.

    The header is read at once. Iterating gives every block; `index` passes over the blocks' bytes and gives their places.
    Both go on where the last read ended, and end at the end of the CAR.

    Attributes:
        version: 1 or 2.
        roots: as the header names them, not checked to be there.

    Raises:
        CarError: the bytes are no CAR; `offset` says where.
    """

    def __init__(self, read: Read, *, skip: Skip | None = None, check_hashes: bool = True) -> None:
        """Read the header.

        Args:
            read: gives the next bytes, at most as many as asked for, none at the end.
            skip: passes over that many bytes and says how many there were, for a source that can seek; else they are read.
            check_hashes: hold every block that is iterated to its CID.
        """
        self._read = read
        self._skip_over = skip or self._read_over
        self._check_hashes = check_hashes
        self._at = 0
        self._end: int | None = None  # of the version 1 inside a version 2
        body = self._header()
        self.version = 1
        if body == _PRAGMA:
            self.version = 2
            self._enter_payload()
            body = self._header()
        self.roots = self._roots(body)

    def __iter__(self) -> Iterator[Block]:
        """The blocks, in order.

        Raises:
            CarError: a section is cut off or too large, or its block is not the one that its CID names.
        """
        for _, block in self.placed():
            yield block

    def placed(self) -> Iterator[tuple[BlockAt, Block]]:
        """The blocks, in order, each with its place.

        Raises:
            CarError: as when iterating.
        """
        for place, begun in self._sections():
            block = Block(place.cid, begun + self._exactly(place.length - len(begun)))
            if self._check_hashes:
                try:
                    check(block)
                except BlockError as why:
                    raise CarError(str(why), offset=place.offset, hint=why.hint) from why
            yield place, block

    def index(self) -> Iterator[BlockAt]:
        """Where each block lies, in order, without looking at its bytes.

        Raises:
            CarError: a section is cut off or too large.
        """
        for place, begun in self._sections():
            self._skip(place.length - len(begun))
            yield place

    def _sections(self) -> Iterator[tuple[BlockAt, bytes]]:
        """Each block's place, with the first of its bytes, which were read along with its CID."""
        while True:
            start = self._at
            size = self._varint()
            if size is None:
                return
            if not 0 < size <= MAX_SECTION:
                raise CarError(f"a section of {size} bytes", offset=start, hint=f"It has 1 to {MAX_SECTION}.")
            if self._end is not None and self._at + size > self._end:
                raise CarError("a section that goes on behind the end of the CAR", offset=start, hint=_HINT)
            begun_at = self._at
            begun = self._exactly(min(size, _MAX_CID))
            try:
                cid, head = Cid.read(begun)
            except CidError as why:
                raise CarError(f"a section that begins with {why}", offset=start, hint=why.hint) from why
            yield BlockAt(cid, begun_at + head, size - head), begun[head:]

    def _header(self) -> bytes:
        start = self._at
        size = self._varint() or 0
        if not 0 < size <= MAX_HEADER:
            raise CarError(f"a CAR header of {size} bytes", offset=start, hint=f"It has 1 to {MAX_HEADER}.")
        return self._exactly(size)

    def _enter_payload(self) -> None:
        """Go to the version 1 inside a version 2, and remember where it ends."""
        start = self._at
        fields = self._exactly(_V2_HEADER)
        offset, size = (int.from_bytes(fields[at : at + 8], "little") for at in (16, 24))
        if offset < self._at or not size:
            raise CarError(f"a CARv2 whose payload of {size} bytes starts at {offset}", offset=start, hint=_HINT)
        self._skip(offset - self._at)
        self._end = offset + size

    def _roots(self, body: bytes) -> tuple[Cid, ...]:
        start = self._at - len(body)
        try:
            fields = dagcbor.decode(body)
        except BlockError as why:
            at = start + (why.offset or 0)
            raise CarError("a CAR header that is no dag-cbor", offset=at, hint=_HINT) from why
        if not isinstance(fields, dict) or fields.keys() != {"roots", "version"}:
            raise CarError("not a CAR: its header does not have roots and a version", offset=start, hint=_HINT)
        if fields["version"] != 1:
            version = str(fields["version"])[:20]
            raise CarError(f"a CAR of version {version}", offset=start, hint="hlspub reads the versions 1 and 2.")
        roots = fields["roots"]
        cids = tuple(root for root in roots if isinstance(root, Cid)) if isinstance(roots, list) else ()
        if not isinstance(roots, list) or len(cids) != len(roots):
            raise CarError("a CAR whose roots are no CIDs", offset=start, hint=_HINT)
        return cids

    def _varint(self) -> int | None:
        """The next number; None when the CAR ends before it."""
        start, raw = self._at, bytearray()
        while not raw or (raw[-1] & _MORE and len(raw) < varint.MAX_SIZE):
            byte = b"" if self._at == self._end else self._read(1)
            if not byte:
                break
            self._at += 1
            raw += byte
        if not raw:
            return None

        def at_start(reason: str, /, *, offset: int) -> CarError:  # noqa: ARG001 -- 0: nothing stands before it in `raw`
            return CarError(reason, offset=start, hint=_HINT)

        return varint.decode(raw, error=at_start)[0]

    def _exactly(self, size: int) -> bytes:
        parts: list[bytes] = []
        missing = size
        while missing:
            part = self._read(missing)
            if not part:
                raise CarError(f"a CAR that is cut off, {missing} bytes early or more", offset=self._at, hint=_HINT)
            self._at += len(part)
            missing -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _skip(self, size: int) -> None:
        skipped = self._skip_over(size)
        self._at += skipped
        if skipped != size:
            raise CarError(f"a CAR that is cut off, {size - skipped} bytes early or more", offset=self._at, hint=_HINT)

    def _read_over(self, size: int) -> int:
        missing = size
        while missing:
            part = self._read(min(missing, _PIECE))
            if not part:
                break
            missing -= len(part)
        return size - missing
