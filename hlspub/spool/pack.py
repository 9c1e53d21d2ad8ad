"""Intake's one read: a file is read once, and what was hashed is what is written (P2).

Rule: bytes of media exist in memory in one place: the buffer they were read into is the one that is hashed and written.
A file of a few megabytes goes through one buffer, in the caller's thread. A long one goes through a ring, with one helper
thread that writes behind and reads ahead while the caller hashes; that is all of the two cores a single file can use. No
fsync here: when bytes have to be safe is the store's to know.

The CAR's own digest, for those who ask, cannot come out of the same pass: the header, its first bytes, holds the root,
which is known last. So the CAR is read back once it is written, out of the page cache; the source is never read again.
"""

import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from io import BytesIO

from hlspub.errors import FileChanged
from hlspub.ipld.pack import Buffer, FilePacker, Packing
from hlspub.ipld.profile import Profile
from hlspub.model import Car, CarKind, Packed
from hlspub.spool.disk import explained

BATCH = 1 << 20  # bytes read, hashed and written at once, in whole chunks: what fits a core's cache
RING = 4  # buffers of a long file: one hashed, one written, two read ahead
PIPELINE_FROM = 8 << 20  # bytes; below, starting a thread costs more than it saves
_IOV_MAX = 1024  # buffers that Linux takes in one call


def pack_file(source_fd: int, car_fd: int, profile: Profile, *, want_car_hash: bool = False) -> Packed:
    """Read the regular file behind `source_fd` once, from its start, and write its CAR to `car_fd`, an empty file.

    `car_fd` has to be readable too when `want_car_hash` asks for the digest of the whole CAR.

    Raises:
        FileChanged: the file is not as long as it was when the reading began.
        StorageError: a disk refused.
    """
    size = os.fstat(source_fd).st_size
    packer = FilePacker(profile)
    batch = max(BATCH // profile.chunk_size, 1) * profile.chunk_size
    way = _Way(source_fd, car_fd, packer, profile.chunk_size)
    if size < PIPELINE_FROM:
        _through_one_buffer(way, size, batch)
    else:
        _through_a_ring(way, size, batch)
    if _read(source_fd, memoryview(bytearray(1)), size):
        raise _changed(size)
    packing = packer.finish()
    _write(car_fd, packing.tail, way.at)
    _write(car_fd, [packing.header], 0)
    return _packed(packing, _digest(car_fd, packing.car_size, batch) if want_car_hash else None)


def pack_bytes(data: bytes, profile: Profile) -> tuple[bytes, Packed]:
    """The CAR of a file that is made here (a playlist's published copy), and what `pack_file` would say of it."""
    packer, out = FilePacker(profile), BytesIO()
    out.write(bytes(packer.header_size))
    for start in range(0, len(data), profile.chunk_size):
        out.writelines(packer.leaf(memoryview(data)[start : start + profile.chunk_size]))
    packing = packer.finish()
    out.writelines(packing.tail)
    out.seek(0)
    out.write(packing.header)
    car = out.getvalue()
    return car, _packed(packing, sha256(car).digest())


def measure_file(source_fd: int, profile: Profile) -> Packed:
    """What `pack_file` would say of a file, without writing its CAR.

    Raises:
        FileChanged, StorageError: as `pack_file`.
    """
    size = os.fstat(source_fd).st_size
    packer, buffer = FilePacker(profile), memoryview(bytearray(min(size, profile.chunk_size)))
    for offset in range(0, size, profile.chunk_size):
        chunk = buffer[: size - offset]
        if _read(source_fd, chunk, offset) != len(chunk):
            raise _changed(size)
        packer.leaf(chunk)
    if _read(source_fd, memoryview(bytearray(1)), size):
        raise _changed(size)
    return _packed(packer.finish(), None)


class _Way:
    """From the source to the CAR; `at` is where the next buffers belong."""

    def __init__(self, source_fd: int, car_fd: int, packer: FilePacker, chunk_size: int) -> None:
        self._source_fd = source_fd
        self._car_fd = car_fd
        self._packer = packer
        self._chunk_size = chunk_size
        self.at = packer.header_size

    def read(self, view: memoryview, offset: int) -> memoryview:
        """Fill `view` from `offset` of the source."""
        if _read(self._source_fd, view, offset) != len(view):
            raise _changed(offset + len(view))
        return view

    def hash(self, view: memoryview) -> tuple[list[Buffer], int]:
        """The buffers that a batch becomes, and where they belong."""
        out: list[Buffer] = []
        for start in range(0, len(view), self._chunk_size):
            out += self._packer.leaf(view[start : start + self._chunk_size])
        at = self.at
        self.at += sum(len(buffer) for buffer in out)
        return out, at

    def write(self, buffers: Sequence[Buffer], at: int) -> None:
        """Put buffers into the CAR."""
        _write(self._car_fd, buffers, at)

    def write_and_read(
        self, buffers: Sequence[Buffer], at: int, view: memoryview | None, offset: int
    ) -> memoryview | None:
        """Write a batch, then fill its buffer, when there is more to come, with another."""
        self.write(buffers, at)
        return None if view is None else self.read(view, offset)


def _through_one_buffer(way: _Way, size: int, batch: int) -> None:
    buffer = memoryview(bytearray(min(size, batch)))
    for offset in range(0, size, batch):
        way.write(*way.hash(way.read(buffer[: size - offset], offset)))


def _through_a_ring(way: _Way, size: int, batch: int) -> None:
    ring = deque(memoryview(bytearray(batch)) for _ in range(RING))
    offsets = deque(range(0, size, batch))
    with ThreadPoolExecutor(1, "pack") as helper:
        due: deque[Future[memoryview | None]] = deque()
        for _ in range(min(RING, len(offsets))):
            offset = offsets.popleft()
            due.append(helper.submit(way.read, ring[len(due)][: size - offset], offset))
        while due:
            view = due.popleft().result()
            if view is None:
                continue
            buffers, at = way.hash(view)
            ring.rotate(-1)
            offset = offsets.popleft() if offsets else size
            free = ring[-1][: size - offset] if offset < size else None
            due.append(helper.submit(way.write_and_read, buffers, at, free, offset))


def _packed(packing: Packing, digest: bytes | None) -> Packed:
    root = packing.root
    car = Car(str(root.cid), CarKind.FILE, root.cid, packing.car_size, packing.blocks, digest)
    return Packed(root.cid, root.size, root.tsize, car)


def _digest(car_fd: int, size: int, batch: int) -> bytes:
    digest, buffer = sha256(), memoryview(bytearray(min(size, batch)))
    for offset in range(0, size, batch):
        digest.update(buffer[: _read(car_fd, buffer[: size - offset], offset)])
    return digest.digest()


def _read(fd: int, view: memoryview, offset: int) -> int:
    """Fill `view`; fewer bytes than it has only at the end of the file."""
    done = 0
    with explained("reading the file"):
        while done < len(view) and (got := os.preadv(fd, [view[done:]], offset + done)):
            done += got
    return done


def _write(fd: int, buffers: Sequence[Buffer], at: int) -> None:
    """Write all of `buffers` from `at` on, however few bytes the disk takes at a time."""
    rest = deque(memoryview(buffer) for buffer in buffers if buffer)
    with explained("writing the CAR"):
        while rest:
            done = os.pwritev(fd, list(rest)[:_IOV_MAX], at)
            at += done
            while rest and done >= len(rest[0]):
                done -= len(rest.popleft())
            if done:
                rest[0] = rest[0][done:]


def _changed(size: int) -> FileChanged:
    return FileChanged(
        f"a file of {size} bytes changed its length while it was read", hint="It is read again once settled."
    )
