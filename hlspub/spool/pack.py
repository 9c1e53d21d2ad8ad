"""Intake's one read: a file is read once, and what was hashed is what is written (P2).

Rule: bytes of media exist in memory in one place: the buffer they were read into is the one that is hashed and written.
A file of a few megabytes goes through one buffer, in the caller's thread. A long one goes through two, one in a thread of its
own: each reads, hashes and writes every second batch, and only where a batch belongs is settled in turn. So both cores of a
small machine work on a single file, and a batch stays in the cache of the core that read it. No fsync here: when bytes have to
be safe is the store's to know.

The CAR's own digest, for those who ask, cannot come out of the same pass: the header, its first bytes, holds the root,
which is known last. So the CAR is read back once it is written, out of the page cache; the source is never read again.
"""

import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from threading import Condition

from hlspub.errors import FileChanged
from hlspub.ipld.file import Leaf, leaf
from hlspub.ipld.pack import Buffer, FilePacker, Packing
from hlspub.ipld.profile import Profile
from hlspub.model import Car, CarKind, Packed
from hlspub.spool.disk import explained
from hlspub.spool.source import SourceFailed

BATCH = 1 << 20  # bytes read, hashed and written at once, in whole chunks: what fits a core's cache
LANES = 2  # threads, the caller's among them, and buffers of a long file
LANES_FROM = 8 << 20  # bytes; below, starting a thread costs more than it saves
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
    way = _Way(source_fd, car_fd, packer, profile)
    _through(way, size, batch, lanes=1 if size < LANES_FROM else LANES)
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

    def __init__(self, source_fd: int, car_fd: int, packer: FilePacker, profile: Profile) -> None:
        self._source_fd = source_fd
        self._car_fd = car_fd
        self._packer = packer
        self._profile = profile
        self.at = packer.header_size

    def read(self, view: memoryview, offset: int) -> memoryview:
        """Fill `view` from `offset` of the source."""
        if _read(self._source_fd, view, offset) != len(view):
            raise _changed(offset + len(view))
        return view

    def hash(self, view: memoryview) -> list[tuple[Leaf, memoryview]]:
        """The leaves of a batch, each with its chunk."""
        size = self._profile.chunk_size
        chunks = (view[start : start + size] for start in range(0, len(view), size))
        return [(leaf(chunk, self._profile), chunk) for chunk in chunks]

    def place(self, leaves: Sequence[tuple[Leaf, memoryview]]) -> tuple[list[Buffer], int]:
        """The buffers that the next batch becomes, and where they belong."""
        out: list[Buffer] = []
        for made, chunk in leaves:
            out += self._packer.add(made, chunk)
        at = self.at
        self.at += sum(len(buffer) for buffer in out)
        return out, at

    def write(self, buffers: Sequence[Buffer], at: int) -> None:
        """Put buffers into the CAR."""
        _write(self._car_fd, buffers, at)


class _Turns:
    """The order of the batches among lanes; a lane that fails ends the others."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._next = 0
        self._ended = False

    @contextmanager
    def turn(self, number: int) -> Generator[bool]:
        """Wait for the turn of that batch, and have it alone; False when it never comes."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._next == number)
            yield not self._ended
            self._next += 1
            self._changed.notify_all()

    def end(self) -> None:
        """No turn comes any more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def _through(way: _Way, size: int, batch: int, *, lanes: int) -> None:
    turns = _Turns()
    with ThreadPoolExecutor(max(lanes - 1, 1), "pack") as helpers:  # starts a thread only when one is asked for
        others = [
            helpers.submit(_lane, way, turns, range(lane * batch, size, lanes * batch), size, batch)
            for lane in range(1, lanes)
        ]
        _lane(way, turns, range(0, size, lanes * batch), size, batch)
        for other in others:
            other.result()


def _lane(way: _Way, turns: _Turns, offsets: range, size: int, batch: int) -> None:
    """Take the batches at `offsets` from the source to the CAR, through one buffer."""
    buffer = memoryview(bytearray(min(size, batch)))
    try:
        for offset in offsets:
            leaves = way.hash(way.read(buffer[: size - offset], offset))
            with turns.turn(offset // batch) as comes:
                if not comes:
                    return
                buffers, at = way.place(leaves)
            way.write(buffers, at)
    except BaseException:
        turns.end()
        raise


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
    try:
        while done < len(view) and (got := os.preadv(fd, [view[done:]], offset + done)):
            done += got
    except OSError as error:
        raise SourceFailed(
            f"reading the file: {error.strerror}", hint="Look at the kernel's log (dmesg) for its disk."
        ) from error
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
