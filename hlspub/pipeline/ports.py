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
    @property
    def sha256(self) -> bytes | None: ...  # noqa: D102 -- a field
    @property
    def fleeting(self) -> bool: ...  # noqa: D102 -- a field


class PendingShard(Protocol):
    """A shard that a target has not confirmed."""

    @property
    def id(self) -> int: ...  # noqa: D102 -- a field
    @property
    def attempts(self) -> int: ...  # noqa: D102 -- a field
    @property
    def cars(self) -> Sequence[PendingCar]: ...  # noqa: D102 -- a field
    @property
    def error(self) -> str | None: ...  # noqa: D102 -- a field
    @property
    def queued_at(self) -> float: ...  # noqa: D102 -- a field


class Queue(Protocol):
    """The journal as the delivery queue."""

    async def pending_shards(self, target: str, now: float, limit: int) -> Sequence[PendingShard]:
        """Shards that are due, urgent ones and node CARs first, then the oldest."""
        ...

    async def next_try_at(self, target: str) -> float | None:
        """When the next shard that is not due yet will be; None when there is none."""
        ...

    async def parked_shards(self, target: str) -> Sequence[PendingShard]:
        """Shards that were refused, so that a person has to act first."""
        ...

    async def failed_shards(self, target: str) -> Sequence[PendingShard]:
        """Shards that were tried and not confirmed: those that wait for a time, and those that wait for a person."""
        ...

    async def newest_shard(self) -> int:
        """The number of the shard that was queued last, at whichever target; they grow. 0: none was."""
        ...

    async def oldest_shard(self, target: str) -> int | None:
        """The first shard that the target has not confirmed, due or not; None when there is none."""
        ...


class Store(Protocol):
    """The spool. What is put is claimed: it stays until it is disclaimed, whoever else lets go of it."""

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

    def disclaim(self, key: str) -> None:
        """The row that needs the CAR is committed, or is not to come; once for every put."""
        ...


class Announcements(Protocol):
    """Where publications are told: the append-only file, the gateway's listeners. Hooks go by the journal."""

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
