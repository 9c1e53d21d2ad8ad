from hypothesis import given
from hypothesis import strategies as st

from hlspub.ipld.cid import Cid, Codec
from hlspub.pipeline.marks import Marks

CIDS = [Cid.of_data(Codec.RAW, b"%d" % number) for number in range(31)]
NUMBERS = st.sets(st.integers(0, 2000) | st.integers(0, 1 << 62))


@given(NUMBERS, NUMBERS)
def test_marks_are_a_set_of_numbers(marked: set[int], asked: set[int]) -> None:
    marks = Marks()
    for number in marked:
        marks.mark(number)
    assert {number for number in marked | asked if number in marks} == marked


def test_asking_marks_nothing() -> None:
    marks = Marks()
    assert 7 not in marks
    marks.mark(8)
    assert 7 not in marks


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans())), st.integers(1, 5))
def test_nodes_are_remembered_and_the_last_files(looks: list[tuple[int, bool]], recent: int) -> None:
    marks = Marks(recent)
    for number, file in looks:
        cid = CIDS[number]
        marks.see(cid, file=file)
        assert marks.seen(cid)
    nodes = {number for number, file in looks if not file}
    assert all(marks.seen(CIDS[number]) for number in nodes)
    files = {number for number, _ in looks} - nodes
    assert sum(marks.seen(CIDS[number]) for number in files) <= recent


def test_a_file_is_forgotten_after_enough_others() -> None:
    marks = Marks(2)
    for cid in CIDS[:3]:
        marks.see(cid, file=True)
    assert [marks.seen(cid) for cid in CIDS[:3]] == [False, False, True]
