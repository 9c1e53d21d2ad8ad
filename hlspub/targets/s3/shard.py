"""What one put sends: a CAR as it lies here, or several in one, with its name and what proves its arrival.

Rule: bytes are passed over here, before anything is sent: the object's name is their sha2-256, the index comes from them, and
the ETag to expect is their MD5. A CAR of more than `LARGE` bytes stays in its file and is sent in parts. Several CARs become
one with all their roots and each block once; what they are together depends on them and their order alone.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from hlspub.ipld.block import Block, BlockAt
from hlspub.ipld.car import pack_car
from hlspub.ipld.car_reader import CarReader
from hlspub.targets.base import CarFile
from hlspub.targets.s3.bucket import PART

LARGE = 32 << 20  # bytes
Open = Callable[[str], BinaryIO]


@dataclass(frozen=True, slots=True)
class Shard:
    """One object to send. `data` is None for one that is sent from its file; `etag` is what a store gives that uses MD5."""

    digest: bytes
    size: int
    etag: str
    blocks: tuple[BlockAt, ...]
    data: bytes | None


def make(cars: Sequence[CarFile], open_car: Open) -> Shard:
    """Read the CARs of one put. Blocking.

    Raises:
        InputError: one is not here.
        CarError: one is none.
        StorageError: the disk fails.
    """
    if len(cars) == 1 and cars[0].size_bytes > LARGE:
        with closing(open_car(cars[0].key)) as file:
            return _passed_over(file)
    if len(cars) == 1:
        with closing(open_car(cars[0].key)) as file:
            data = file.read()
        return _in_memory(data, tuple(_index(BytesIO(data))))
    data, blocks = _joined(cars, open_car)
    return _in_memory(data, blocks)


def parts(file: BinaryIO) -> Iterator[bytes]:
    """A file in parts as they are sent."""
    while part := file.read(PART):
        yield part


def _in_memory(data: bytes, blocks: tuple[BlockAt, ...]) -> Shard:
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return Shard(hashlib.sha256(data).digest(), len(data), f'"{md5}"', blocks, data)


def _passed_over(file: BinaryIO) -> Shard:
    whole, size, each = hashlib.sha256(), 0, list[bytes]()
    for part in parts(file):
        whole.update(part)
        each.append(hashlib.md5(part, usedforsecurity=False).digest())
        size += len(part)
    md5 = hashlib.md5(b"".join(each), usedforsecurity=False).hexdigest()
    file.seek(0)
    return Shard(whole.digest(), size, f'"{md5}-{len(each)}"', tuple(_index(file)), None)


def _index(file: BinaryIO) -> Iterator[BlockAt]:
    def skip(size: int) -> int:
        before = file.tell()
        end = file.seek(0, 2)
        return file.seek(min(before + size, end)) - before

    return CarReader(file.read, skip=skip).index()


def _joined(cars: Sequence[CarFile], open_car: Open) -> tuple[bytes, tuple[BlockAt, ...]]:
    blocks: dict[bytes, Block] = {}
    for car in cars:
        with closing(open_car(car.key)) as file:
            for block in CarReader(file.read):
                blocks.setdefault(block.cid.raw, block)
    return pack_car([car.root for car in cars], list(blocks.values()))
