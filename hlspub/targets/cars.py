"""The CARs that an adapter sends: opened, measured, and held to what every IPFS network can move.

Rule: a CAR is read from its file, never as a whole. Blocks of more than 2 MiB are refused here: peers do not exchange them
(bitswap's limit), and not every service says so.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from typing import BinaryIO

import anyio.to_thread

from hlspub.errors import CarError, InputError, StorageError, TargetError
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid
from hlspub.targets.base import CarFile

MAX_BLOCK = 2 << 20  # bytes
_DISK_RETRY_S = 5.0

OpenCar = Callable[[str], BinaryIO]
"""A CAR by its key, from its start; raises InputError or StorageError."""


class CarGone(TargetError):  # noqa: N818 -- read as a sentence where it is caught
    """This machine has no such CAR any more."""


@dataclass(frozen=True, slots=True)
class OpenedCar:
    """A CAR that is open at its start, the blocks in it, in their order, and how many bytes these have together."""

    car: CarFile
    file: BinaryIO
    blocks: tuple[Cid, ...]
    block_bytes: int


@asynccontextmanager
async def opened(cars: Sequence[CarFile], open_car: OpenCar, target: str) -> AsyncGenerator[list[OpenedCar]]:
    """Open CARs to send them.

    Raises:
        TargetError: one is not there, is damaged or too short, or has a block that is too big; or the disk fails.
    """
    async with AsyncExitStack() as stack:
        found: list[OpenedCar] = []
        for car in cars:
            one = await anyio.to_thread.run_sync(_open, car, open_car, target)
            stack.enter_context(closing(one.file))
            found.append(one)
        yield found


def _open(car: CarFile, open_car: OpenCar, target: str) -> OpenedCar:
    try:
        file = open_car(car.key)
    except InputError as why:
        raise CarGone(f"{target}: {why}", retry_s=None, hint=why.hint) from why
    except StorageError as why:
        raise TargetError(f"{target}: {why}", retry_s=_DISK_RETRY_S, hint=why.hint) from why
    try:
        size = file.seek(0, 2)
        file.seek(0)
        reader = CarReader(file.read, skip=lambda count: _skip(file, count, size))
        places = list(reader.index())
        file.seek(0)
    except (CarError, OSError) as why:
        file.close()
        raise TargetError(
            f"{target}: the CAR {car.key} cannot be read: {why}", retry_s=None, hint="Run `hlspub verify` on the root."
        ) from why
    too_big = next((place for place in places if place.length > MAX_BLOCK), None)
    if too_big is not None or size != car.size_bytes:
        file.close()
        what = f"has {size} bytes instead of {car.size_bytes}" if too_big is None else "has a block of more than 2 MiB"
        raise TargetError(f"{target}: the CAR {car.key} {what}", retry_s=None, hint="Other peers would not take it.")
    return OpenedCar(car, file, tuple(place.cid for place in places), sum(place.length for place in places))


def _skip(file: BinaryIO, count: int, size: int) -> int:
    start = file.tell()
    return file.seek(min(start + count, size)) - start
