"""A directory of whole CARs.

Rule: a CAR is written under `tmp/`, synced, renamed to its place and its folder synced, in that order; so what stands in its
place is whole and survives a power cut, and the journal may say so. A CAR is never changed there. Its name is its content, so
one that is there already, of the same size, is the same.

CARs fan out over folders named by the two characters before the last one of their key, as Kubo's flatfs spreads its blocks:
the last character of a base32 CID has few values, the first ones are all alike. Folders are made when first needed.

The spool and the `local` target are two such stores; `adopt` makes one file stand in both. What is put is claimed, and stays
until whoever put it disclaims it (`claims`).
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from hlspub.errors import CarError, InputError, StorageError
from hlspub.ipld.profile import Profile
from hlspub.model import Car, FileIdentity, Packed
from hlspub.spool import source
from hlspub.spool.claims import Claims
from hlspub.spool.disk import DISK, Disk, explained, write_all
from hlspub.spool.pack import pack_bytes, pack_file
from hlspub.spool.quota import Quota

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
    """The CARs under `root`. Any number of threads may use it; `prepare` it once before.

    `quota` is kept to and counted; without one nothing is counted.
    """

    def __init__(self, root: Path, disk: Disk = DISK, *, quota: Quota | None = None) -> None:
        self.root = root
        self.claims = Claims()
        self.quota = quota
        self._disk = disk
        self._tmp = root / _UNFINISHED
        self._placing = Lock()

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
        if self.quota is not None:
            self.quota.used = self.usage()[1]

    def limit(self, size: int | None) -> None:
        """From now on hold `size` bytes at most (None: no limit); for a store with a quota."""
        if self.quota is not None:
            self.quota.limit = size

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
            StorageError: a disk or the quota refuses; nothing is kept.
        """
        if self.quota is not None:
            self.quota.check(expected.size)  # before a file is read again and again for nothing
        with explained(f"packing {file} into {self.root}"), self._unfinished() as unfinished:
            with source.settled(file, expected) as handle:
                packed = pack_file(handle, unfinished.handle, profile, want_car_hash=want_car_hash)
            with self._claimed(packed.car.key):
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
        with explained(f"writing {car.key} into {self.root}"), self._claimed(car.key):
            if self._stands(car.key, car.size_bytes):
                return car
            with self._unfinished() as unfinished:
                write_all(unfinished.handle, data)
                self._keep(unfinished, car, extra=True)
        return car

    def adopt(self, key: str, other: "CarStore") -> None:
        """Keep a CAR of another store: the same file where a hard link can do it, else a copy. Idempotent.

        Raises:
            InputError: the other store has it not.
            StorageError: a disk refuses.
        """
        origin = other.path(key)
        with explained(f"adopting {key} into {self.root}"), self._claimed_meanwhile(key):
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
                self._place(unfinished.path, key, size)

    def disclaim(self, key: str) -> None:
        """Whoever put the CAR needs no claim on it any more: the journal says who waits for it, or nobody does."""
        self.claims.disclaim(key)

    def release(self, key: str, is_unneeded: Callable[[], bool]) -> bool:
        """Let a CAR go that nobody claims and `is_unneeded`, which is asked while nobody can claim it; whether it went.

        Raises:
            StorageError: the disk refuses.
        """

        def let_go() -> bool:
            if not is_unneeded():
                return False
            self.remove(key)
            return True

        return self.claims.unless_claimed(key, let_go)

    def remove(self, key: str) -> None:
        """Let a CAR go; idempotent. After a power cut it may be there again.

        Raises:
            StorageError: the disk refuses.
        """
        place = self.path(key)
        with explained(f"removing {key} from {self.root}"), suppress(FileNotFoundError):
            size = place.stat().st_size
            place.unlink()
            if self.quota is not None:
                self.quota.give_back(size)

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

    @contextmanager
    def _claimed(self, key: str) -> Generator[None]:
        """Claim the key; it stays claimed unless this fails."""
        self.claims.claim(key)
        try:
            yield
        except BaseException:
            self.claims.disclaim(key)
            raise

    @contextmanager
    def _claimed_meanwhile(self, key: str) -> Generator[None]:
        """Claim the key for as long as this lasts: what stands when it begins stands when it ends."""
        with self._claimed(key):
            yield
        self.claims.disclaim(key)

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

    def _keep(self, unfinished: _Unfinished, car: Car, *, extra: bool = False) -> None:
        if self._stands(car.key, car.size_bytes):
            return
        written = os.fstat(unfinished.handle).st_size
        if written != car.size_bytes:
            raise StorageError(f"the CAR {car.key} has {written} bytes on disk instead of {car.size_bytes}")
        self._disk.sync_file(unfinished.handle)
        self._place(unfinished.path, car.key, car.size_bytes, extra=extra)

    def _place(self, path: Path, key: str, size: int, *, extra: bool = False) -> None:
        place = self.path(key)
        if self.quota is not None:
            self.quota.reserve(size, extra=extra)
        try:
            if not place.parent.is_dir():
                place.parent.mkdir(exist_ok=True)
                self._disk.sync_folder(self.root)
            with self._placing:  # so that a CAR that two put at once is counted once
                replaced = place.stat().st_size if place.exists() else 0
                path.replace(place)
        except BaseException:
            if self.quota is not None:
                self.quota.give_back(size)
            raise
        if self.quota is not None and replaced:
            self.quota.give_back(replaced)
        self._disk.sync_folder(place.parent)

    def _sync_file(self, path: Path) -> None:
        handle = os.open(path, _READ)
        try:
            self._disk.sync_file(handle)
        finally:
            os.close(handle)


def _missing(root: Path, key: str) -> InputError:
    return InputError(f"there is no CAR {key} in {root}", hint="It was reclaimed, or never kept there.")
