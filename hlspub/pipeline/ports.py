"""What the pipeline needs from the edges, as Protocols; the edges satisfy them by shape and never import this."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from hlspub.ipld.cid import Cid
from hlspub.ipld.profile import Profile
from hlspub.model import Car, CarKind, FileIdentity, Packed, Publication
from hlspub.records import Record


class Writer(Protocol):
    """The journal's writing side."""

    async def write(self, records: Sequence[Record]) -> None:
        """Commit; the records of earlier calls are in before these. Queued before the first suspension."""
        ...

    def next_session(self) -> int:
        """A session number that was never used."""
        ...


class PendingCar(Protocol):
    """A CAR of a shard that waits."""

    @property
    def key(self) -> str: ...  # noqa: D102 -- a field
    @property
    def kind(self) -> CarKind: ...  # noqa: D102 -- a field
    @property
    def root(self) -> Cid: ...  # noqa: D102 -- a field
    @property
    def size_bytes(self) -> int: ...  # noqa: D102 -- a field


class PendingShard(Protocol):
    """A shard that a target has not confirmed."""

    @property
    def id(self) -> int: ...  # noqa: D102 -- a field
    @property
    def attempts(self) -> int: ...  # noqa: D102 -- a field
    @property
    def cars(self) -> Sequence[PendingCar]: ...  # noqa: D102 -- a field


class Queue(Protocol):
    """The journal as the delivery queue."""

    async def pending_shards(self, target: str, now: float, limit: int) -> Sequence[PendingShard]:
        """Shards that are due, urgent ones and node CARs first, then the oldest."""
        ...

    async def next_try_at(self, target: str) -> float | None:
        """When the next shard that is not due yet will be; None when there is none."""
        ...

    async def delivered(self, keys: Iterable[str]) -> set[str]:
        """Of these CARs, those that no target waits for."""
        ...


class Store(Protocol):
    """The spool."""

    def put_file(self, file: Path, expected: FileIdentity, profile: Profile) -> Packed:
        """Read a settled file once; see `spool.store`."""
        ...

    def read_settled(self, file: Path, expected: FileIdentity, limit: int) -> bytes:
        """A settled playlist's bytes."""
        ...

    def put_data(self, data: bytes, profile: Profile) -> Packed:
        """Pack bytes that were read already."""
        ...

    def put_car(self, data: bytes, car: Car) -> Car:
        """Keep a node CAR."""
        ...

    def remove(self, key: str) -> None:
        """Take the CAR's name out of the spool."""
        ...


class Announcements(Protocol):
    """Where publications are told: the append-only file, the gateway's listeners, later the hooks."""

    async def announce(self, publication: Publication, settings: str) -> None:
        """Tell of a publication; at least once, keyed by (stream, seq)."""
        ...


class Watcher(Protocol):
    """The stream's watcher."""

    async def rescan(self) -> None:
        """Look at everything now; returns when all that is finished was handed on."""
        ...

    def release(self, paths: Iterable[str]) -> None:
        """There is new evidence about these paths: judge them again."""
        ...
