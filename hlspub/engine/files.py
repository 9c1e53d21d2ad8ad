"""File versions in memory, and when one counts as held.

Rule: a file version never changes once it is taken; what changes about it is only how many targets have confirmed its CAR.
It is *held* when the quorum is satisfied. Confirmation is kept only for those that still wait, so its memory is bounded by
the backlog, not by the stream.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from struct import Struct

from hlspub.ipld.cid import Cid
from hlspub.model import FileIdentity, FileKind

_IDENTITY = Struct("=QQQqq")


@dataclass(frozen=True, slots=True)
class Quorum:
    """Which targets must confirm: `need` of `required`."""

    required: frozenset[str]
    need: int

    def satisfied(self, confirmed: Iterable[str]) -> bool:
        """Whether these confirmations suffice."""
        return len(self.required.intersection(confirmed)) >= self.need


@dataclass(slots=True, eq=False)
class FileVersion:
    """One content of one path.

    `quiet`: taken without a closing event, so it may have been unfinished. `used_by` and `used_as` say which playlist listed
    it, and as which sequence number.
    """

    path: str
    version: int
    kind: FileKind
    cid: Cid
    size_bytes: int
    tsize: int
    held: bool = False
    quiet: bool = False
    used_by: str = ""
    used_as: int = -1
    seen: bytes = b""  # its identity on disk, packed: there is one for each file of a long stream

    @property
    def identity(self) -> FileIdentity:
        """The state of the file on disk when it was last read."""
        return FileIdentity(*_IDENTITY.unpack(self.seen))

    @identity.setter
    def identity(self, value: FileIdentity) -> None:
        self.seen = _IDENTITY.pack(value.device, value.inode, value.size, value.mtime_ns, value.ctime_ns)

    @property
    def car(self) -> str:
        """Key of its CAR in the spool (a file CAR is named by its root)."""
        return str(self.cid)


@dataclass(slots=True)
class Confirmations:
    """The CARs that wait for confirmations, and what becomes held when they have enough."""

    quorum: Quorum
    _waiting: dict[str, tuple[set[str], list[FileVersion]]] = field(
        default_factory=dict[str, tuple[set[str], list[FileVersion]]]
    )

    def expect(self, car: str, file: FileVersion | None, confirmed: Iterable[str] = ()) -> None:
        """`car` was queued; `file` (None for a node CAR) becomes held when enough targets have confirmed it."""
        got, files = self._waiting.setdefault(car, (set(), []))
        got.update(confirmed)
        if file is not None:
            files.append(file)
        self._settle(car)

    def confirm(self, car: str, target: str) -> bool:
        """`target` keeps `car`; true when that satisfied the quorum just now."""
        waiting = self._waiting.get(car)
        if waiting is None:
            return False
        waiting[0].add(target)
        return self._settle(car)

    def waits(self, car: str) -> bool:
        """Whether `car` still lacks confirmations that count."""
        return car in self._waiting

    def __len__(self) -> int:
        return len(self._waiting)

    def _settle(self, car: str) -> bool:
        got, files = self._waiting[car]
        if not self.quorum.satisfied(got):
            return False
        for file in files:
            file.held = True
        del self._waiting[car]
        return True
