from hypothesis import given
from hypothesis import strategies as st

from hlspub.engine.schedule import LONGEST_RETRY_S, next_tick, retry_after

times = st.floats(0, 1e6)
intervals = st.floats(0.1, 1e4)


@given(last=times, interval=intervals, waited=times)
def test_the_next_tick_is_ahead_and_no_further_than_an_interval(last: float, interval: float, waited: float) -> None:
    now = last + waited
    due = next_tick(last, interval, now)
    assert now < due <= now + interval * 1.001


def test_ticks_that_were_missed_are_not_made_up() -> None:
    assert next_tick(0.0, 10.0, 35.0) == 40.0


@given(attempts=st.integers(1, 10_000), jitter=st.floats(0, 1))
def test_a_wait_is_bounded_and_never_nothing(attempts: int, jitter: float) -> None:
    assert 0.5 <= retry_after(attempts, jitter) <= LONGEST_RETRY_S


@given(attempts=st.integers(1, 20), jitter=st.floats(0, 1), asked=st.floats(0, 1e5))
def test_what_the_target_asks_for_is_kept(attempts: int, jitter: float, asked: float) -> None:
    assert retry_after(attempts, jitter, asked_s=asked) >= asked


def test_waits_double() -> None:
    assert [retry_after(n, 0.0) for n in range(1, 6)] == [1, 2, 4, 8, 16]
