"""Gathering: which waiting CARs are put at once, and how long the others may wait for company.

Rule: pure. A put of several CARs is full when another would exceed a bound; a full one goes at once, and so does everything
when a root's node CAR is among them, since a viewer waits for that root. What is left goes when its oldest CAR has waited long
enough. A shard that was tried before goes again as it is: whoever got it, and could not say so, gets the same once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from hlspub.model import CarKind


class Car(Protocol):
    """A CAR of a shard."""

    @property
    def kind(self) -> CarKind: ...  # noqa: D102 -- a field
    @property
    def size_bytes(self) -> int: ...  # noqa: D102 -- a field


class Shard(Protocol):
    """A shard that waits; `queued_at` in Unix seconds."""

    @property
    def attempts(self) -> int: ...  # noqa: D102 -- a field
    @property
    def queued_at(self) -> float: ...  # noqa: D102 -- a field
    @property
    def cars(self) -> Sequence[Car]: ...  # noqa: D102 -- a field


S = TypeVar("S", bound=Shard)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one put: how many CARs, how many bytes, and how long its first CAR may wait, in seconds."""

    cars: int
    bytes: int
    age_s: float


def gather(shards: Sequence[S], bounds: Bounds, now: float) -> tuple[list[list[S]], float | None]:
    """The shards that go now, by the put that they go in, in the order given; and when the others go (None: there are none)."""
    if bounds.cars <= 1:
        return [[shard] for shard in shards], None
    puts = [[shard] for shard in shards if shard.attempts]
    open_put: list[S] = []
    cars = size = 0
    fresh = [shard for shard in shards if not shard.attempts]
    for shard in fresh:
        more = sum(car.size_bytes for car in shard.cars)
        if open_put and (cars + len(shard.cars) > bounds.cars or size + more > bounds.bytes):
            puts.append(open_put)
            open_put, cars, size = [], 0, 0
        open_put = [*open_put, shard]
        cars, size = cars + len(shard.cars), size + more
    if not open_put:
        return puts, None
    due_at = min(shard.queued_at for shard in open_put) + bounds.age_s
    is_awaited = any(car.kind is CarKind.NODES for shard in fresh for car in shard.cars)
    if is_awaited or cars >= bounds.cars or size >= bounds.bytes or due_at <= now:
        return [*puts, open_put], None
    return puts, due_at
