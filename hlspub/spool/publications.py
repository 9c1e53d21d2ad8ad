"""`publications.jsonl`: one synced line a publication, from which a lost journal is rebuilt.

Rule: lines are only ever appended, one write a line, synced before the publication counts. A crash may tear the last one;
the next one then begins on a line of its own, and the reader skips what is no line and says which. A publication may
stand there twice: announcements are at least once, keyed by (stream, seq).
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hlspub.errors import CidError
from hlspub.ipld.cid import Cid
from hlspub.model import Publication
from hlspub.spool.disk import DISK, Disk, explained, write_all

FILE_NAME = "publications.jsonl"
_TAIL = 256 * 1024  # bytes, several hundred lines


@dataclass(frozen=True, slots=True)
class PublishedLine:
    """One line: a publication and the tree-shaping settings (JSON) of its session."""

    stream: str
    session: str
    seq: int
    root: Cid
    entry: str
    final: bool
    settings: str
    published_at: float

    @classmethod
    def of(cls, publication: Publication, settings: str) -> Self:
        """The line for a publication."""
        return cls(
            publication.stream,
            publication.session,
            publication.seq,
            publication.root,
            publication.entry,
            publication.final,
            settings,
            publication.published_at,
        )

    def publication(self) -> Publication:
        """The publication; how long it took is not kept."""
        return Publication(
            self.stream, self.session, self.seq, self.root, self.entry, self.final, self.published_at, 0.0
        )

    def to_json(self) -> str:
        """The line, without its end."""
        values: dict[str, Any] = {
            "stream": self.stream,
            "session": self.session,
            "seq": self.seq,
            "root": str(self.root),
            "entry": self.entry,
            "final": self.final,
            "settings": json.loads(self.settings),
            "published_at": self.published_at,
        }
        return json.dumps(values, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a line; keys of later versions are left aside.

        Raises:
            ValueError, KeyError, TypeError, CidError: it is none.
        """
        values: dict[str, Any] = json.loads(text)
        return cls(
            stream=str(values["stream"]),
            session=str(values["session"]),
            seq=int(values["seq"]),
            root=Cid.parse(values["root"]),
            entry=str(values["entry"]),
            final=bool(values["final"]),
            settings=json.dumps(values["settings"], sort_keys=True),
            published_at=float(values["published_at"]),
        )


class PublicationLog:
    """The file at `path`. One writer; blocking."""

    def __init__(self, path: Path, disk: Disk = DISK) -> None:
        self.path = path
        self._disk = disk

    def append(self, line: PublishedLine) -> None:
        """Append a line; it is on the disk when this returns.

        Raises:
            PermissionRefused, StorageError: the disk refuses; the file is as it was.
        """
        with explained(f"writing {self.path}"):
            made = not self.path.exists()
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                self._append(handle, line.to_json().encode() + b"\n")
            finally:
                os.close(handle)
            if made:
                self._disk.sync_folder(self.path.parent)

    def complete(self, lines: Iterable[PublishedLine]) -> None:
        """Add those of the lines whose publications are not in the file; all of them or, after a crash, none.

        Raises:
            PermissionRefused, StorageError: the disk refuses; the file is as it was.
        """
        known, _ = self.read()
        numbers = {(line.stream, line.seq) for line in known}
        every = [*known, *(line for line in lines if (line.stream, line.seq) not in numbers)]
        new = self.path.with_name(f"{self.path.name}.new")
        with explained(f"writing {self.path}"):
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                write_all(handle, b"".join(line.to_json().encode() + b"\n" for line in every))
                self._disk.sync_file(handle)
            finally:
                os.close(handle)
            new.replace(self.path)
            self._disk.sync_folder(self.path.parent)

    def read(self) -> tuple[list[PublishedLine], list[int]]:
        """All publications in the order of their lines, and the numbers of the lines that are none. No file: no lines.

        Raises:
            PermissionRefused, StorageError: it cannot be read.
        """
        lines: list[PublishedLine] = []
        damaged: list[int] = []
        with explained(f"reading {self.path}"), suppress(FileNotFoundError), self.path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                line = _line(raw)
                if line is None:
                    damaged.append(number)
                else:
                    lines.append(line)
        return lines, damaged

    def newest(self) -> list[PublishedLine]:
        """The last line of each stream that published lately, in the file's order; costs the same however long it is.

        Raises:
            PermissionRefused, StorageError: it cannot be read.
        """
        last: dict[str, PublishedLine] = {}
        with explained(f"reading {self.path}"), suppress(FileNotFoundError), self.path.open("rb") as file:
            cut = file.seek(0, os.SEEK_END) > _TAIL
            file.seek(-_TAIL if cut else 0, os.SEEK_END if cut else os.SEEK_SET)
            for raw in file.read().split(b"\n")[cut:]:
                line = _line(raw)
                if line is not None:
                    last.pop(line.stream, None)
                    last[line.stream] = line
        return list(last.values())

    def _append(self, handle: int, data: bytes) -> None:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        try:
            write_all(handle, b"\n" + data if torn else data)
            self._disk.sync_file(handle)
        except OSError:
            with suppress(OSError):  # what cannot be taken back is a torn line, which the reader skips
                os.ftruncate(handle, size)
            raise


def _line(raw: bytes) -> PublishedLine | None:
    """A line of the file; None when it is none."""
    try:
        return PublishedLine.from_json(raw.decode())
    except (ValueError, KeyError, TypeError, CidError):
        return None
