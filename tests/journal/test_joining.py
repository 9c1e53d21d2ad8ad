import pytest

from hlspub.journal.refused import RecordRefused
from hlspub.records import Record, ShardConfirmed, ShardDelayed, ShardsJoined
from tests.journal import acts
from tests.journal.conftest import Book

ONE = ("kubo",)


def queued(book: Book, *names: str) -> None:
    book.write(acts.started(), *(acts.taken(name, content=name, at=100.0 + n) for n, name in enumerate(names)))


def keys(*names: str) -> list[str]:
    return [acts.file_car(name).key for name in names]


def test_joined_shards_are_one_with_the_oldests_number_and_age(book: Book) -> None:
    queued(book, "a", "b", "c")  # each at two targets
    before = book.reader.pending_shards("local", 900.0, 9)
    mine = book.reader.pending_shards("kubo", 900.0, 9)
    book.write(ShardsJoined(mine[0].id, (mine[1].id,)))
    first, second = book.reader.pending_shards("kubo", 900.0, 9)
    assert (first.id, [car.key for car in first.cars]) == (mine[0].id, keys("a", "b"))
    assert (first.queued_at, first.attempts) == (100.0, 0)
    assert [car.key for car in second.cars] == keys("c")
    assert book.reader.pending_shards("local", 900.0, 9) == before
    backlog = book.reader.backlog("kubo")
    assert (backlog.cars, backlog.bytes, backlog.oldest_at) == (3, 1800, 100.0)
    assert book.reader.delivered(keys("a", "b", "c")) == set()
    book.write(ShardConfirmed(first.id, 500.0), *(ShardConfirmed(one.id, 500.0) for one in before))
    assert book.reader.delivered(keys("a", "b", "c")) == set(keys("a", "b"))
    assert book.reader.integrity() == []


def test_a_failed_try_holds_for_all_that_were_joined(book: Book) -> None:
    queued(book, "a", "b")
    one, two = book.reader.pending_shards("kubo", 900.0, 9)
    book.write(ShardsJoined(one.id, (two.id,)), ShardDelayed(one.id, 1, 800.0, "away"))
    assert book.reader.pending_shards("kubo", 799.0, 9) == []
    (again,) = book.reader.pending_shards("kubo", 800.0, 9)
    assert [car.key for car in again.cars] == keys("a", "b")


def test_a_car_that_waits_twice_is_joined_to_one(book: Book) -> None:
    queued(book, "a")
    book.write(acts.taken("again", content="a"))
    one, two = book.reader.pending_shards("kubo", 900.0, 9)
    book.write(ShardsJoined(one.id, (two.id,)))
    (joined,) = book.reader.pending_shards("kubo", 900.0, 9)
    assert [car.key for car in joined.cars] == keys("a")
    assert book.reader.backlog("kubo").bytes == 600


@pytest.mark.parametrize("what", ["tried", "confirmed", "of two targets", "not there", "not the oldest"])
def test_what_was_tried_or_is_another_targets_is_not_joined(book: Book, what: str) -> None:
    queued(book, "a", "b")
    one, two = book.reader.pending_shards("kubo", 900.0, 9)
    other = book.reader.pending_shards("local", 900.0, 9)[1]
    first: dict[str, Record] = {"tried": ShardDelayed(two.id, 1, 800.0, "x"), "confirmed": ShardConfirmed(two.id, 1.0)}
    if what in first:
        book.write(first[what])
    joined = {
        "of two targets": ShardsJoined(one.id, (other.id,)),
        "not there": ShardsJoined(one.id, (77,)),
        "not the oldest": ShardsJoined(two.id, (one.id,)),
    }
    with pytest.raises(RecordRefused):
        book.write(joined.get(what, ShardsJoined(one.id, (two.id,))))
