"""The port behind which every place that keeps CARs stands.

The promise of a target:
- `put` returns only when the target keeps every block of the CARs. It is idempotent: the same CARs again are a success and
  no second copy, also after a lost reply or a crash of either side.
- `bind` makes a root and everything under it stay until it is superseded or forgotten; it is called only when all its CARs
  are confirmed, and is idempotent too.
- A refusal or an outage is a `TargetError` whose `retry_s` says when another try may help (None: not before a person acts).
  Anything else that is raised is a bug of the adapter.
- Every call can be cancelled at any await and leaves nothing half-done that the next call would trip over.

What a target can do is data (`Capabilities`), never a type test. One that wants few big shards says how big and how old
they may become: then the courier puts several waiting CARs at once, and tries the same ones again until they are confirmed.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

import anyio

from hlspub.errors import TargetError
from hlspub.ipld.cid import Cid
from hlspub.model import CarKind, Publication


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a target is good for.

    Attributes:
        concurrency: how many puts at once.
        shard_cars: the most CARs that one put may hold; 1: each is put by itself.
        shard_bytes: a put of several CARs holds at most so many bytes, and one that has as many goes at once.
        shard_age_s: how long the first CAR of a put may wait for others, in seconds. Nothing waits longer than the streams'
            publish interval, and nothing waits at all when a root's node CAR is there: the root waits for it.
        reads: whether `read` gives blocks back.
        heads: whether it shows which root of a stream is the newest (`MovesHeads`).
        patience_s, slowest: see below.

    A call that takes longer than `patience_s` seconds, and one more for every `slowest` bytes that it sends, has failed.
    """

    concurrency: int
    shard_cars: int = 1
    shard_bytes: int = 64 << 20
    shard_age_s: float = 0.0
    reads: bool = False
    heads: bool = False
    patience_s: float = 120.0
    slowest: int = 64 << 10  # bytes a second


@dataclass(frozen=True, slots=True)
class CarFile:
    """A CAR to deliver; it lies in the spool under `key`. `sha256` is that of all its bytes, where it is known.

    `fleeting`: a version of a playlist, which the next root may have no use for any more; the root that has one is bound soon.
    """

    key: str
    kind: CarKind
    root: Cid
    size_bytes: int
    sha256: bytes | None = None
    fleeting: bool = False


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

    async def read(self, cid: Cid) -> bytes | None:
        """A block, unchecked; None where the target does not have it. Only asked where `Capabilities.reads` says so."""
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


class MovesHeads(Protocol):
    """A target whose capabilities say `heads`."""

    async def move_head(self, publication: Publication, settings: str) -> None:
        """Show this publication as its stream's newest; `settings` are its session's, as JSON. Idempotent, never back.

        Raises:
            TargetError: the target; with no `retry_s` when the stream is another daemon's.
        """
        ...


P = ParamSpec("P")
T = TypeVar("T")


async def in_time(
    target: Target, op: str, size: int, act: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call a target, which sends `size` bytes, and wait no longer than its patience.

    Raises:
        TargetError: what the call raises, or that it did not return in time.
    """
    patience_s = target.capabilities.patience_s + size / target.capabilities.slowest
    with anyio.move_on_after(patience_s) as scope:
        return await act(*args, **kwargs)
    assert scope.cancelled_caught  # noqa: S101 -- else it returned or raised
    raise TargetError(
        f"{target.name}: no answer to a {op} within {patience_s:.0f} s",
        retry_s=0.0,
        hint="Is it overloaded or cut off?",
    )
