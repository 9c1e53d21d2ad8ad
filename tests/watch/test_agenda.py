import pytest

from hlspub.watch.agenda import AGAIN_S, REST, WHOLE, WHOLE_S, Agenda, Order
from hlspub.watch.scan import Depth

NAMES = Order("", Depth.NAMES)


@pytest.fixture
def agenda() -> Agenda:
    """An agenda whose first whole scan was made at 100."""
    agenda = Agenda(every_s=5, depth=Depth.NAMES)
    assert carry_out(agenda, 100) == WHOLE
    return agenda


def carry_out(agenda: Agenda, at: float, *, took_s: float = 0.0) -> Order | None:
    order = agenda.take(at)
    if order is not None:
        agenda.done(order, began=at, mono=at + took_s)
    return order


def test_the_regular_scan_comes_regularly_and_the_whole_one_now_and_then(agenda: Agenda) -> None:
    orders = [carry_out(agenda, at) for at in range(101, 101 + int(WHOLE_S))]
    assert [at for at, order in enumerate(orders, 101) if order is not None] == list(range(105, 161, 5))
    assert [order for order in orders if order is not None] == [NAMES] * 11 + [WHOLE]


def test_a_wanted_whole_scan_comes_at_once_and_only_once(agenda: Agenda) -> None:
    agenda.want_whole()
    assert agenda.wait_s(101) == 0
    assert carry_out(agenda, 101) == WHOLE
    assert carry_out(agenda, 101) is None
    assert agenda.wait_s(101) == 5


def test_one_that_is_wanted_while_a_scan_runs_is_not_forgotten(agenda: Agenda) -> None:
    agenda.want_whole()
    order = agenda.take(101)
    agenda.want_whole()
    assert order is not None
    agenda.done(order, began=101, mono=102)
    assert carry_out(agenda, 102) == WHOLE


def test_a_new_directory_is_scanned_now_and_again_after_a_moment(agenda: Agenda) -> None:
    agenda.want_directory("v0", 101)
    agenda.want_directory("v1", 101)
    assert {carry_out(agenda, 101), carry_out(agenda, 101)} == {Order("v0", Depth.WHOLE), Order("v1", Depth.WHOLE)}
    assert carry_out(agenda, 101) is None
    assert agenda.wait_s(101) == AGAIN_S
    assert {carry_out(agenda, 102), carry_out(agenda, 102)} == {Order("v0", Depth.WHOLE), Order("v1", Depth.WHOLE)}
    assert carry_out(agenda, 104) is None


def test_a_directory_that_appears_anew_before_its_second_scan_gets_two_more(agenda: Agenda) -> None:
    agenda.want_directory("v0", 101)
    assert carry_out(agenda, 101) is not None
    agenda.want_directory("v0", 101.2)
    assert [carry_out(agenda, at) is not None for at in (101.2, 101.6, 101.7, 102.5)] == [True, False, True, False]


def test_scans_that_take_long_are_made_less_often(agenda: Agenda) -> None:
    assert carry_out(agenda, 105, took_s=10) == NAMES
    assert agenda.wait_s(115) == 10 * REST
    agenda.want_whole()
    assert carry_out(agenda, 116, took_s=100) == WHOLE
    assert carry_out(agenda, 221) == NAMES  # which does not pay for the whole one
    orders = [carry_out(agenda, at) for at in range(222, 222 + 100 * int(REST))]
    assert orders.count(WHOLE) == 1
    assert orders.index(WHOLE) == 216 + 100 * REST - 222


def test_another_pace_holds_from_the_next_scan_on(agenda: Agenda) -> None:
    agenda.regular(every_s=1, depth=Depth.STATS)
    agenda.want_whole()
    assert carry_out(agenda, 101) == WHOLE
    assert carry_out(agenda, 102) == Order("", Depth.STATS)
