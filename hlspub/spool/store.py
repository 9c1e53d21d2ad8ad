"""A directory of whole CARs.

Rule: a CAR is written under `tmp/`, synced, renamed to its place and its folder synced, in that order; so what stands in its
place is whole and survives a power cut, and the journal may say so. A CAR is never changed there. Its name is its content, so
one that is there already, of the same size, is the same.

CARs fan out over folders named by the two characters before the last one of their key, as Kubo's flatfs spreads its blocks:
the last character of a base32 CID has few values, the first ones are all alike. Folders are made when first needed.

The spool and the `local` target are two such stores; `adopt` makes one file stand in both.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hlspub.errors import CarError, InputError, StorageError
from hlspub.ipld.profile import Profile
from hlspub.model import Car, FileIdentity, Packed
from hlspub.spool import source
from hlspub.spool.disk import DISK, Disk, explained, write_all
from hlspub.spool.pack import pack_bytes, pack_file

_SUFFIX = ".car"
_UNFINISHED = "tmp"
_READ = os.O_RDONLY | os.O_CLOEXEC
_NO_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS, errno.EACCES})


@dataclass(frozen=True, slots=True)
class _Unfinished:
    """A file under `tmp/` that is open for writing."""

    handle: int
    path: Path


class CarStore:
    """The CARs under `root`. Any number of threads may use it; `prepare` it once before."""

    def __init__(self, root: Path, disk: Disk = DISK) -> None:
        self.root = root
        self._disk = disk
        self._tmp = root / _UNFINISHED

    def prepare(self) -> None:
        """Make the directory, and drop what a crash left unfinished.

        Raises:
            PermissionRefused, StorageError: it cannot be made or written.
        """
        with explained(f"preparing {self.root}"):
            self._tmp.mkdir(parents=True, exist_ok=True)
            self._disk.sync_folder(self.root.parent)
            for left in self._tmp.iterdir():
                left.unlink()

    def path(self, key: str) -> Path:
        """Where the CAR of that key is, or would be."""
        if not key.isalnum():
            raise ValueError(f"not a key of a CAR: {key!r}")
        return self.root / key[-3:-1] / (key + _SUFFIX)

    def has(self, key: str) -> bool:
        """Whether the CAR is there."""
        return self.path(key).is_file()

    def open(self, key: str) -> BinaryIO:
        """The CAR, to be read from its start; the caller closes it.

        Raises:
            InputError: it is not there.
            StorageError: the disk fails.
        """
        with explained(f"reading {self.path(key)}"):
            try:
                return self.path(key).open("rb")
            except FileNotFoundError as error:
                raise _missing(self.root, key) from error

    def read(self, key: str, offset: int, length: int) -> bytes:
        """`length` bytes of the CAR from `offset` on: a block.

        Raises:
            InputError: the CAR is not there.
            CarError: it is shorter than that.
            StorageError: the disk fails.
        """
        with explained(f"reading {self.path(key)}"):
            try:
                handle = os.open(self.path(key), _READ)
            except FileNotFoundError as error:
                raise _missing(self.root, key) from error
            try:
                data = os.pread(handle, length, offset)
            finally:
                os.close(handle)
        if len(data) != length:
            raise CarError(f"the CAR {key} is truncated", offset=offset + len(data), hint="Run `hlspub verify`.")
        return data

    def put_file(self, file: Path, expected: FileIdentity, profile: Profile, *, want_car_hash: bool = False) -> Packed:
        """Read a settled file once, and keep its CAR. Blocking: for a hashing thread. `want_car_hash`: see `pack_file`.

        Raises:
            FileGone, FileChanged, PermissionRefused, DataError: the file, as `source.settled`; nothing is kept.
            StorageError: a disk refuses; nothing is kept.
        """
        with explained(f"packing {file} into {self.root}"), self._unfinished() as unfinished:
            with source.settled(file, expected) as handle:
                packed = pack_file(handle, unfinished.handle, profile, want_car_hash=want_car_hash)
            self._keep(unfinished, packed.car)
        return packed

    def read_settled(self, file: Path, expected: FileIdentity, limit: int) -> bytes:
        """A playlist's bytes, at most `limit`, under the checks of `put_file`; see `source.read_settled`."""
        return source.read_settled(file, expected, limit)

    def put_data(self, data: bytes, profile: Profile) -> Packed:
        """Keep the CAR of a file with these bytes, which were read already or made here.

        Raises:
            StorageError: the disk refuses; nothing is kept.
        """
        car, packed = pack_bytes(data, profile)
        self.put_car(car, packed.car)
        return packed

    def put_car(self, data: bytes, car: Car) -> Car:
        """Keep a CAR that was made in memory: a root's nodes.

        Raises:
            StorageError: the disk refuses; nothing is kept.
        """
        with explained(f"writing {car.key} into {self.root}"):
            if self._stands(car.key, car.size_bytes):
                return car
            with self._unfinished() as unfinished:
                write_all(unfinished.handle, data)
                self._keep(unfinished, car)
        return car

    def adopt(self, key: str, other: "CarStore") -> None:
        """Keep a CAR of another store: the same file where a hard link can do it, else a copy. Idempotent.

        Raises:
            InputError: the other store has it not.
            StorageError: a disk refuses.
        """
        origin = other.path(key)
        with explained(f"adopting {key} into {self.root}"):
            try:
                size = origin.stat().st_size
            except FileNotFoundError as error:
                if self.has(key):
                    return  # adopted before, and the other store let it go since
                raise _missing(other.root, key) from error
            if self._stands(key, size):
                return
            with self._unfinished() as unfinished:
                try:
                    unfinished.path.unlink()
                    os.link(origin, unfinished.path)
                except OSError as error:
                    if error.errno not in _NO_LINK:
                        raise
                    shutil.copyfile(origin, unfinished.path)
                    self._sync_file(unfinished.path)
                self._place(unfinished.path, key)

    def remove(self, key: str) -> None:
        """Let a CAR go; idempotent. After a power cut it may be there again.

        Raises:
            StorageError: the disk refuses.
        """
        with explained(f"removing {key} from {self.root}"):
            self.path(key).unlink(missing_ok=True)

    def keys(self) -> Iterator[str]:
        """The keys of all CARs, in no order."""
        for entry in self._entries():
            yield entry.name.removesuffix(_SUFFIX)

    def usage(self) -> tuple[int, int]:
        """How many CARs there are and their bytes; one that stands in two stores is counted by each. Reads every folder."""
        cars = size = 0
        for entry in self._entries():
            with suppress(FileNotFoundError):  # removed since
                size += entry.stat().st_size
                cars += 1
        return cars, size

    # inside

    def _entries(self) -> Iterator[os.DirEntry[str]]:
        with explained(f"reading {self.root}"), os.scandir(self.root) as folders:
            for folder in folders:
                if folder.name != _UNFINISHED and folder.is_dir(follow_symlinks=False):
                    with os.scandir(folder.path) as entries:
                        yield from (entry for entry in entries if entry.name.endswith(_SUFFIX))

    @contextmanager
    def _unfinished(self) -> Generator[_Unfinished]:
        """A new file under `tmp/`; it is gone afterwards unless it found its place."""
        handle, name = tempfile.mkstemp(dir=self._tmp, suffix=_SUFFIX)
        path = Path(name)
        try:
            yield _Unfinished(handle, path)
        finally:
            os.close(handle)
            path.unlink(missing_ok=True)

    def _stands(self, key: str, size: int) -> bool:
        """Whether the CAR is there, durably: whoever put it may have died before its folder was synced."""
        place = self.path(key)
        try:
            if place.stat().st_size != size:
                return False
        except FileNotFoundError:
            return False
        self._disk.sync_folder(place.parent)
        return True

    def _keep(self, unfinished: _Unfinished, car: Car) -> None:
        if self._stands(car.key, car.size_bytes):
            return
        written = os.fstat(unfinished.handle).st_size
        if written != car.size_bytes:
            raise StorageError(f"the CAR {car.key} has {written} bytes on disk instead of {car.size_bytes}")
        self._disk.sync_file(unfinished.handle)
        self._place(unfinished.path, car.key)

    def _place(self, path: Path, key: str) -> None:
        place = self.path(key)
        try:
            path.replace(place)
        except FileNotFoundError:
            place.parent.mkdir(exist_ok=True)
            self._disk.sync_folder(self.root)
            path.replace(place)
        self._disk.sync_folder(place.parent)

    def _sync_file(self, path: Path) -> None:
        handle = os.open(path, _READ)
        try:
            self._disk.sync_file(handle)
        finally:
            os.close(handle)


def _missing(root: Path, key: str) -> InputError:
    return InputError(f"there is no CAR {key} in {root}", hint="It was reclaimed, or never kept there.")
