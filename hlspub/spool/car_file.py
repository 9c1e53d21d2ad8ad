"""A CAR file as a source of blocks.

Rule: the file is passed over once, without its blocks' bytes, to learn where each lies; then a block is one read. Nothing
is believed of the bytes: who asks for a block checks it.
"""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from hlspub.errors import CarError, InputError
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid
from hlspub.spool.disk import explained


class CarFile:
    """The blocks of the CAR at `path`; a context that closes it. `roots` are those its header names."""

    def __init__(self, path: Path) -> None:
        """Open and index it.

        Raises:
            InputError: there is no such file.
            CarError: it is no CAR, or cut off.
            PermissionRefused, StorageError: it cannot be read.
        """
        self._path = path
        with explained(f"reading {path}"):
            try:
                self._file = path.open("rb")
            except (FileNotFoundError, IsADirectoryError) as why:
                raise InputError(f"{path}: there is no such CAR file", hint="Name one that is there.") from why
        try:
            with explained(f"reading {path}"):
                reader = CarReader(self._file.read, skip=self._skip)
                self.roots = reader.roots
                self._places = {place.cid: (place.offset, place.length) for place in reader.index()}
        except BaseException as why:
            self._file.close()
            if isinstance(why, CarError):
                raise CarError(f"{path}: {why}", hint=why.hint) from why
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        """How many different blocks it holds."""
        return len(self._places)

    def get(self, cid: Cid) -> bytes | None:
        """A block, None when it is not in this CAR.

        Raises:
            CarError: the file became shorter.
            StorageError: the disk fails.
        """
        if cid not in self._places:
            return None
        offset, length = self._places[cid]
        with explained(f"reading {self._path}"):
            data = os.pread(self._file.fileno(), length, offset)
        if len(data) != length:
            raise CarError(f"{self._path} became shorter", offset=offset + len(data), hint="Let its writer finish.")
        return data

    def _skip(self, size: int) -> int:
        start, end = self._file.tell(), os.fstat(self._file.fileno()).st_size
        return self._file.seek(min(start + size, end)) - start
