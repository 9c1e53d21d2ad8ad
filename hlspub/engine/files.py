"""File versions in memory, and when one counts as held.

Rule: a file version never changes once it is taken; what changes about it is only how many targets have confirmed its CAR.
It is *held* when the quorum is satisfied. Confirmation is kept only for those that still wait, so its memory is bounded by
the backlog, not by the stream.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from struct import Struct
from typing import Protocol

from hlspub.ipld.cid import Cid
from hlspub.model import FileIdentity, FileKind

_SIZES = Struct("=QQ")
_IDENTITY = Struct("=QQQqq")
_CID_AT = _SIZES.size + _IDENTITY.size


class PackedFacts(Protocol):
    """What packing a file says of it (`model.Packed`, or the journal's row)."""

    @property
    def cid(self) -> Cid: ...  # noqa: D102 -- a field
    @property
    def size_bytes(self) -> int: ...  # noqa: D102 -- a field
    @property
    def tsize(self) -> int: ...  # noqa: D102 -- a field


def _sizes(packed: PackedFacts) -> bytes:
    return _SIZES.pack(packed.size_bytes, packed.tsize)


def _of_identity(value: FileIdentity) -> bytes:
    return _IDENTITY.pack(value.device, value.inode, value.size, value.mtime_ns, value.ctime_ns)


@dataclass(frozen=True, slots=True)
class Quorum:
    """Which targets must confirm: `need` of `required`."""

    required: frozenset[str]
    need: int

    def satisfied(self, confirmed: Iterable[str]) -> bool:
        """Whether these confirmations suffice."""
        return len(self.required.intersection(confirmed)) >= self.need


class FileVersion:
    """One content of one path.

    There is one for every file of a long stream, so what is rarely asked for (CID, sizes, identity) is packed into one
    string of bytes: 170 bytes a file less than as objects (P6).

    Attributes:
        path, version: its name in the journal.
        kind: what sort of file it is.
        held: whether the targets that count keep its CAR.
        quiet: it was taken without a closing event, so it may have been unfinished.
        used_by, used_as: which playlist listed it, and as which sequence number.
    """

    __slots__ = ("_facts", "held", "kind", "path", "quiet", "used_as", "used_by", "version")

    def __init__(
        self,
        path: str,
        version: int,
        kind: FileKind,
        packed: PackedFacts,
        identity: FileIdentity,
        *,
        held: bool = False,
        quiet: bool = False,
    ) -> None:
        self.path = path
        self.version = version
        self.kind = kind
        self.held = held
        self.quiet = quiet
        self.used_by = ""
        self.used_as = -1
        self._facts = _sizes(packed) + _of_identity(identity) + packed.cid.raw

    @property
    def cid(self) -> Cid:
        """The file's CID."""
        return Cid(self._facts[_CID_AT:])

    @property
    def size_bytes(self) -> int:
        """Length of the file."""
        return _SIZES.unpack_from(self._facts)[0]

    @property
    def tsize(self) -> int:
        """Cumulative size of the file's blocks."""
        return _SIZES.unpack_from(self._facts)[1]

    @property
    def identity(self) -> FileIdentity:
        """The state of the file on disk when it was last read."""
        return FileIdentity(*_IDENTITY.unpack_from(self._facts, _SIZES.size))

    @identity.setter
    def identity(self, value: FileIdentity) -> None:
        self._facts = self._facts[: _SIZES.size] + _of_identity(value) + self._facts[_CID_AT:]

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

    def join(self, file: FileVersion) -> None:
        """`file` has a CAR that was queued before: it is held, or becomes so when the CAR is."""
        waiting = self._waiting.get(file.car)
        if waiting is None:
            file.held = True
        else:
            waiting[1].append(file)

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

    def lacking(self) -> frozenset[str]:
        """The required targets that some waiting CAR lacks."""
        lacking: set[str] = set()
        for got, _ in self._waiting.values():
            lacking |= self.quorum.required - got
            if len(lacking) == len(self.quorum.required):
                break
        return frozenset(lacking)

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
