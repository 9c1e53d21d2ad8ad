from dataclasses import dataclass

import pytest

from hlspub.engine.keeping import Keep, kept, live, may_go, superseded


@dataclass(frozen=True)
class Root:
    session: int
    number: int
    final: bool = False
    seq: int | None = None
    announced_at: float | None = None


ROOTS = [
    Root(1, 1, seq=1, announced_at=100),
    Root(1, 2, final=True, seq=2, announced_at=200),
    Root(2, 1, seq=3, announced_at=300),
    Root(2, 2, final=True, seq=4, announced_at=400),
    Root(3, 1, seq=5, announced_at=500),
    Root(3, 2, seq=6, announced_at=600),
    Root(3, 3),
]
ALWAYS = {(3, 2), (3, 3)}  # the newest announced one, and one that is not announced yet


@pytest.mark.parametrize(
    ("keep", "more"),
    [
        (Keep(0), {(1, 2), (2, 2)}),
        (Keep(0, count=1), {(2, 2)}),
        (Keep(0, count=2), {(1, 2), (2, 2)}),
        (Keep(0, age_s=300), {(2, 2)}),
        (Keep(0, age_s=299), set()),
        (Keep(200, age_s=1), {(3, 1)}),
        (Keep(600, age_s=1), {(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)}),
    ],
)
def test_what_is_kept(keep: Keep, more: set[tuple[int, int]]) -> None:
    assert kept(ROOTS, [3], keep, 700) == ALWAYS | more


def test_the_next_root_builds_on_the_newest_of_an_open_session() -> None:
    roots = [Root(1, 1, seq=1, announced_at=100), Root(2, 1, seq=2, announced_at=200)]
    assert kept(roots, [1], Keep(0), 900) == {(1, 1), (2, 1)}
    assert kept(roots, [], Keep(0), 900) == {(2, 1)}


def test_live_are_the_newest_two_sessions_and_those_that_are_not_over() -> None:
    assert live([(1, False), (2, True), (3, True), (4, True)]) == {1, 3, 4}
    assert live([]) == set()


def test_superseded_playlists() -> None:
    versions = [("a.m3u8", number) for number in (1, 2, 3, 4)] + [("b.m3u8", 1), ("b.m3u8", 2)]
    assert superseded(versions, {"a.m3u8": 3}, {("a.m3u8", 1), ("a.m3u8", 3)}) == [("a.m3u8", 2)]
    assert superseded(versions, {"b.m3u8": 9}, set()) == [("b.m3u8", 1)], "the newest stays"
    assert superseded(versions, {}, set()) == [], "no root was made yet"


@pytest.mark.parametrize(
    ("files", "roots", "goes"),
    [
        ([], [], True),
        ([(1, "a.ts", 1)], [(1, 1)], True),
        ([(2, "a.ts", 1)], [], False),
        ([(2, "i.m3u8", 1)], [], True),
        ([(2, "i.m3u8", 1), (2, "i.m3u8", 2)], [], False),
        ([], [(1, 1), (1, 2)], False),
    ],
)
def test_a_car_goes_when_all_that_refers_to_it_may(
    files: list[tuple[int, str, int]], roots: list[tuple[int, int]], *, goes: bool
) -> None:
    assert may_go(files, roots, {2}, {(2, "i.m3u8", 1)}, {(1, 2)}) is goes
