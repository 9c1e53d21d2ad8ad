from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.engine.gathering import Bounds, gather
from hlspub.model import CarKind


@dataclass(frozen=True)
class Car:
    size_bytes: int = 10
    kind: CarKind = CarKind.FILE


@dataclass(frozen=True)
class Shard:
    id: int
    queued_at: float = 100.0
    attempts: int = 0
    cars: tuple[Car, ...] = (Car(),)


def ids(puts: list[list[Shard]]) -> list[list[int]]:
    return [[shard.id for shard in put] for put in puts]


FOUR = Bounds(4, 1000, 5.0)


def test_a_target_that_takes_one_at_a_time_waits_for_nothing() -> None:
    shards = [Shard(n) for n in range(3)]
    assert gather(shards, Bounds(1, 1000, 60.0), 100.0) == ([[one] for one in shards], None)


@pytest.mark.parametrize(
    ("shards", "now", "puts", "held_until"),
    [
        ([Shard(1), Shard(2)], 104.9, [], 105.0),
        ([Shard(1), Shard(2, queued_at=103.0)], 105.0, [[1, 2]], None),
        ([Shard(n) for n in range(6)], 100.0, [[0, 1, 2, 3]], 105.0),
        ([Shard(n) for n in range(4)], 100.0, [[0, 1, 2, 3]], None),
        ([Shard(1, cars=(Car(600),)), Shard(2, cars=(Car(600),))], 100.0, [[1]], 105.0),
        ([Shard(1, cars=(Car(5000),))], 100.0, [[1]], None),
        ([Shard(1), Shard(2, cars=(Car(kind=CarKind.NODES),))], 100.0, [[1, 2]], None),
        ([Shard(1, attempts=1), Shard(2)], 100.0, [[1]], 105.0),
        ([], 100.0, [], None),
    ],
    ids=[
        "held",
        "old enough",
        "full and a rest",
        "just full",
        "too many bytes",
        "one that is too big",
        "awaited",
        "again",
        "none",
    ],
)
def test_what_goes_and_what_waits(
    shards: list[Shard], now: float, puts: list[list[int]], held_until: float | None
) -> None:
    gone, until = gather(shards, FOUR, now)
    assert (ids(gone), until) == (puts, held_until)


SHARDS = st.lists(
    st.builds(
        Shard,
        st.integers(),
        st.floats(0, 200),
        st.integers(0, 1),
        st.lists(st.builds(Car, st.integers(1, 500), st.sampled_from(CarKind)), min_size=1, max_size=3).map(tuple),
    ),
    max_size=30,
)


@given(SHARDS, st.integers(1, 8), st.floats(0, 50), st.floats(0, 300))
def test_nothing_goes_twice_waits_too_long_or_exceeds_a_bound(
    shards: list[Shard], cars: int, age_s: float, now: float
) -> None:
    bounds = Bounds(cars, 800, age_s)
    puts, held_until = gather(shards, bounds, now)
    gone = [shard for put in puts for shard in put]
    waiting = list(shards)
    for shard in gone:
        waiting.remove(shard)
    assert (held_until is None) == (not waiting)
    assert all(now < shard.queued_at + age_s for shard in waiting)
    for put in puts:
        together = [car for shard in put for car in shard.cars]
        assert len(put) == 1 or (len(together) <= cars and sum(car.size_bytes for car in together) <= 800)
