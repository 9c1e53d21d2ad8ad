import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.stage import Stage, media, multivariant

TARGET_S = 2  # of `media`


def lists(stage: Stage, rendition: str, count: int, *, end: bool = False) -> None:
    """One more version of a rendition, with all that it lists."""
    for number in range(count):
        stage.take(f"{rendition}/{number}.ts", f"{rendition}{number}".encode())
    stage.take(f"{rendition}/i.m3u8", media(0, [f"{number}.ts" for number in range(count)], end=end))


def pair(a: int, b: int) -> Stage:
    """Renditions that list one segment after the other, up to that many."""
    stage = Stage()
    stage.take("m.m3u8", multivariant("a/i.m3u8", "b/i.m3u8"))
    for count in range(1, max(a, b) + 1):
        for rendition, last in (("a", a), ("b", b)):
            if count <= last:
                lists(stage, rendition, count)
    return stage


def shown(stage: Stage, now: float) -> dict[str, int]:
    """The last media sequence number of each rendition in the picture."""
    snapshot = stage.course.snapshot(now)
    assert snapshot is not None
    tracks = stage.session.tracks
    return {path[0]: tracks[path].version(number).last_sequence for path, number in snapshot.playlists if "/" in path}


def test_renditions_end_with_the_same_number_while_one_lags() -> None:
    stage = pair(4, 3)
    assert shown(stage, stage.clock) == {"a": 2, "b": 2}
    newest = stage.course.snapshot()
    assert newest is not None
    assert newest.complete


def test_one_that_lags_is_waited_for_no_longer_than_a_target_duration() -> None:
    stage = pair(3, 3)
    lists(stage, "a", 4)
    taken_at = stage.session.tracks["a/i.m3u8"].newest.at
    assert shown(stage, taken_at + TARGET_S - 0.1) == {"a": 2, "b": 2}
    assert shown(stage, taken_at + TARGET_S) == {"a": 3, "b": 2}


def test_of_those_ahead_only_what_waited_is_shown() -> None:
    stage = pair(3, 3)
    lists(stage, "a", 4)
    waited = stage.session.tracks["a/i.m3u8"].newest.at + TARGET_S
    stage.clock = waited - 1
    lists(stage, "a", 5)
    assert shown(stage, waited) == {"a": 3, "b": 2}


def test_a_rendition_that_has_ended_neither_waits_nor_is_waited_for() -> None:
    stage = pair(3, 3)
    lists(stage, "b", 3, end=True)
    lists(stage, "a", 5)
    assert shown(stage, stage.clock) == {"a": 4, "b": 2}


def test_what_lacks_an_older_version_is_shown_as_it_is() -> None:
    stage = Stage()
    stage.take("m.m3u8", multivariant("a/i.m3u8", "b/i.m3u8"))
    lists(stage, "a", 3)
    lists(stage, "b", 2)
    assert shown(stage, stage.clock) == {"a": 2, "b": 1}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(0, 3)), max_size=30))
def test_a_root_never_goes_back_and_the_last_one_shows_all(steps: list[tuple[str, bool, int]]) -> None:
    stage, counts = pair(1, 1), {"a": 1, "b": 1}
    before = dict.fromkeys(counts, 0)
    for rendition, publishes, later_s in steps:
        counts[rendition] += 1
        lists(stage, rendition, counts[rendition])
        stage.clock += later_s
        if publishes:
            now = shown(stage, stage.clock)
            assert all(now[one] >= before[one] for one in counts)
            snapshot = stage.course.snapshot(stage.clock)
            assert snapshot is not None
            stage.course.tree.make(snapshot)
            before = now
    assert shown(stage, float("inf")) == {one: count - 1 for one, count in counts.items()}


@pytest.mark.parametrize("ahead", ["a", "b"])
def test_it_does_not_matter_which_one_is_ahead(ahead: str) -> None:
    stage = pair(3, 3)
    lists(stage, ahead, 4)
    assert shown(stage, stage.clock) == {"a": 2, "b": 2}
