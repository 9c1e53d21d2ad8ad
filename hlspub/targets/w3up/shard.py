"""Shards: the CARs of one put as one blob, and the map of where each block lies in it.

Rule: one CAR is its own shard, byte for byte. Several become one: a header whose root is the last CAR's, since a root's node
CAR is put last, then the sections of each as they are. A shard is never held in memory: it is read once to be hashed
and once to be sent, and the same CARs in the same order are the same shard.
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import SEEK_END
from typing import BinaryIO

import anyio.to_thread

from hlspub.errors import DataError, InputError, StorageError, TargetError
from hlspub.ipld import car
from hlspub.ipld.block import BlockAt
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid, Codec
from hlspub.targets.base import CarFile
from hlspub.ucan.index import ShardMap, multihash

_PIECE = 1 << 20  # bytes read at once
_FULL_RETRY_S = 5.0

OpenCar = Callable[[str], BinaryIO]
"""A CAR by its key, to be read from its start; raises InputError, StorageError."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A blob that is to be sent: `head`, then the bytes of each (CAR's key, offset) up to its end.

    Attributes:
        cid: of the whole, as a CAR.
        size: bytes.
        content: the DAG that it is indexed as: the last CAR's root.
        blocks: where each block lies in it.
    """

    cid: Cid
    size: int
    content: Cid
    head: bytes
    pieces: tuple[tuple[str, int], ...]
    blocks: tuple[BlockAt, ...]

    def map(self) -> ShardMap:
        """For the index."""
        return ShardMap(
            multihash(self.cid), self.size, [(multihash(one.cid), one.offset, one.length) for one in self.blocks]
        )


def build(cars: Sequence[CarFile], open_car: OpenCar) -> Shard:
    """Read the CARs once; for a thread.

    Raises:
        TargetError: one is not there, is damaged, or the disk fails.
    """
    try:
        return _build(cars, open_car)
    except InputError as why:
        raise TargetError(str(why), retry_s=None, hint="Run `hlspub verify` on the stream's root.") from why
    except DataError as why:
        raise TargetError(f"a CAR that is to be sent is damaged: {why}", retry_s=None, hint=why.hint) from why
    except StorageError as why:
        raise TargetError(str(why), retry_s=_FULL_RETRY_S, hint=why.hint) from why


def _build(cars: Sequence[CarFile], open_car: OpenCar) -> Shard:
    content = cars[-1].root
    head = b"" if len(cars) == 1 else car.header([content])
    digest, at = sha256(head), len(head)
    pieces: list[tuple[str, int]] = []
    blocks: list[BlockAt] = []
    for one in cars:
        with open_car(one.key) as file:
            start, places = _places(file)
            skipped = start if head else 0
            blocks += [BlockAt(place.cid, place.offset - skipped + at, place.length) for place in places]
            file.seek(skipped)
            for part in _parts(file):
                digest.update(part)
                at += len(part)
            pieces.append((one.key, skipped))
    return Shard(Cid.of_digest(Codec.CAR, digest.digest()), at, content, head, tuple(pieces), tuple(blocks))


def _places(file: BinaryIO) -> tuple[int, list[BlockAt]]:
    """Where a CAR's first section begins, and where its blocks lie."""
    end = file.seek(0, SEEK_END)
    file.seek(0)

    def skip(size: int) -> int:
        before = file.tell()
        return file.seek(min(before + size, end)) - before  # a file can be sought behind its end

    reader = CarReader(file.read, skip=skip)
    return file.tell(), list(reader.index())


def _parts(file: BinaryIO) -> Iterator[bytes]:
    while part := file.read(_PIECE):
        yield part


async def body(shard: Shard, open_car: OpenCar) -> AsyncGenerator[bytes]:
    """The shard's bytes.

    Raises:
        TargetError: a CAR is gone, or the disk fails.
    """
    if shard.head:
        yield shard.head
    for key, offset in shard.pieces:
        try:
            file = await anyio.to_thread.run_sync(open_car, key)
        except (InputError, StorageError) as why:
            raise TargetError(str(why), retry_s=_FULL_RETRY_S, hint=why.hint) from why
        with file:
            file.seek(offset)
            while part := await anyio.to_thread.run_sync(file.read, _PIECE):
                yield part
