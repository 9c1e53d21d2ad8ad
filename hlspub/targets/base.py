"""The port behind which every place that keeps CARs stands.

The promise of a target:
- `put` returns only when the target keeps every block of the CARs. It is idempotent: the same CARs again are a success and
  no second copy, also after a lost reply or a crash of either side.
- `bind` makes a root and everything under it stay until it is superseded or forgotten; it is called only when all its CARs
  are confirmed, and is idempotent too.
- A refusal or an outage is a `TargetError` whose `retry_s` says when another try may help (None: not before a person acts).
  Anything else that is raised is a bug of the adapter.
- Every call can be cancelled at any await and leaves nothing half-done that the next call would trip over.

What a target can do is data (`Capabilities`), never a type test.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hlspub.ipld.cid import Cid
from hlspub.model import CarKind


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a target is good for. `shard_cars`: the most CARs that one put may hold; `concurrency`: puts at once."""

    concurrency: int
    shard_cars: int = 1


@dataclass(frozen=True, slots=True)
class CarFile:
    """A CAR to deliver; it lies in the spool under `key`."""

    key: str
    kind: CarKind
    root: Cid
    size_bytes: int


class Target(Protocol):
    """See the module's promise."""

    @property
    def name(self) -> str:
        """The name that the configuration gives it."""
        ...

    @property
    def kind(self) -> str:
        """Which adapter it is."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it is good for."""
        ...

    async def put(self, cars: Sequence[CarFile]) -> str:
        """Keep these CARs; returns what the target said, for people."""
        ...

    async def has(self, car: CarFile) -> bool:
        """Whether the target keeps this CAR whole, as far as it can be asked."""
        ...

    async def bind(self, root: Cid, *, supersedes: Cid | None) -> None:
        """Make `root` stay; `supersedes` is the root that it replaces and that need not stay on its account."""
        ...

    async def forget(self, root: Cid) -> None:
        """`root` need not stay any longer; a root that is not bound is a success."""
        ...

    async def check(self) -> str:
        """Reach the target and change nothing; returns one line about it."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...
