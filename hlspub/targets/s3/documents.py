"""The JSON objects of a bucket: a writer's manifest, a stream's publications, and what a gc removes.

Rule: what is read was written by some hlspub, perhaps a newer one: unknown keys are left aside, and what does not parse is a
`DataError` that says which object it is.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

from hlspub.errors import CidError, DataError
from hlspub.ipld.cid import Cid

_VERSION = 1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Segment:
    """A merged index and how many entries it has."""

    key: str
    entries: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a writer's index consists of.

    Attributes:
        next: the first number of its log that is in no segment.
        segments: oldest first.
        stale: objects that no newer manifest needs; the next merge removes them, so that a reader of this one has its time.
        retired: nobody adds to it any more: a person said that its writer is gone for good.
    """

    next: int = 0
    segments: tuple[Segment, ...] = ()
    stale: tuple[str, ...] = ()
    retired: bool = False

    def encode(self) -> bytes:
        """As it is stored."""
        segments = [{"key": one.key, "entries": one.entries} for one in self.segments]
        values = {"version": _VERSION, "next": self.next, "segments": segments, "stale": list(self.stale)}
        return _json(values | {"retired": True} if self.retired else values)

    @classmethod
    def decode(cls, data: bytes, key: str) -> Self:
        """Read one.

        Raises:
            DataError: it is none.
        """

        def read(values: Mapping[str, Any]) -> Self:
            segments = tuple(Segment(str(one["key"]), int(one["entries"])) for one in values["segments"])
            retired = values.get("retired", False) is True
            return cls(int(values["next"]), segments, tuple(map(str, values["stale"])), retired)

        return _read(data, key, read)


@dataclass(frozen=True, slots=True)
class Head:
    """A publication in a bucket; `writer` is who moves the stream. `settings` are the session's, as JSON."""

    stream: str
    session: str
    seq: int
    root: Cid
    entry: str
    final: bool
    published_at: float
    settings: str
    writer: str

    def encode(self) -> bytes:
        """As it is stored; one publication has one form."""
        return _json(
            {
                "version": _VERSION,
                "stream": self.stream,
                "session": self.session,
                "seq": self.seq,
                "root": str(self.root),
                "entry": self.entry,
                "final": self.final,
                "published_at": self.published_at,
                "settings": json.loads(self.settings),
                "writer": self.writer,
            }
        )

    @classmethod
    def decode(cls, data: bytes, key: str) -> Self:
        """Read one.

        Raises:
            DataError: it is none.
        """

        def read(values: Mapping[str, Any]) -> Self:
            return cls(
                stream=str(values["stream"]),
                session=str(values["session"]),
                seq=int(values["seq"]),
                root=Cid.parse(values["root"]),
                entry=str(values["entry"]),
                final=bool(values["final"]),
                published_at=float(values["published_at"]),
                settings=json.dumps(values["settings"], sort_keys=True),
                writer=str(values["writer"]),
            )

        return _read(data, key, read)

    def by(self, writer: str) -> "Head":
        """The same publication, moved by another writer from now on."""
        return replace(self, writer=writer)


@dataclass(frozen=True, slots=True)
class Removal:
    """What a gc is about to remove: objects by their keys. `at` is when it said so, in Unix seconds; `by` names the gc."""

    by: str
    at: float
    objects: frozenset[str]

    def encode(self) -> bytes:
        """As it is stored."""
        return _json({"version": _VERSION, "by": self.by, "at": self.at, "objects": sorted(self.objects)})

    @classmethod
    def decode(cls, data: bytes, key: str) -> Self:
        """Read one.

        Raises:
            DataError: it is none.
        """
        return _read(
            data,
            key,
            lambda values: cls(str(values["by"]), float(values["at"]), frozenset(map(str, values["objects"]))),
        )


def _json(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _read(data: bytes, key: str, read: Callable[[Mapping[str, Any]], T]) -> T:
    try:
        return read(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, CidError) as why:
        raise DataError(
            f"the object {key} is not what hlspub keeps there", hint="Something else overwrote it."
        ) from why
