import pytest

from hlspub.engine.life import TRANSITIONS, Event, Life, after

ENDS = (Event.SIGNAL, Event.COMMAND, Event.IDLE, Event.RESTART, Event.PUBLISH)


def test_an_ordinary_life() -> None:
    life = Life.WAITING
    way = [Event.FILE, Event.FILE, Event.ENDLIST, Event.FILE, Event.QUIET, Event.ANNOUNCED]
    for event in way:
        state = after(life, event)
        assert state is not None, (life, event)
        life = state
    assert life is Life.WAITING


@pytest.mark.parametrize("event", ENDS)
@pytest.mark.parametrize("life", [Life.RUNNING, Life.CLOSING])
def test_every_end_ends_a_session_that_takes_files(life: Life, event: Event) -> None:
    assert after(life, event) is Life.ENDING


@pytest.mark.parametrize("event", [event for event in Event if event is not Event.ANNOUNCED])
def test_an_end_is_never_taken_back(event: Event) -> None:
    assert after(Life.ENDING, event) is None


def test_endlist_that_goes_away_means_the_stream_goes_on() -> None:
    assert after(Life.CLOSING, Event.CONTINUED) is Life.RUNNING


def test_every_state_can_be_reached_and_left() -> None:
    reached = {state for row in TRANSITIONS.values() for state in row.values()}
    assert reached == set(Life)
    assert all(TRANSITIONS[life] for life in Life)
