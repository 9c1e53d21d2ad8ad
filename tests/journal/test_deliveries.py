from dataclasses import replace

import pytest

from hlspub.ipld.cid import Cid, Codec
from hlspub.journal import deliveries
from hlspub.journal.values import Backlog, BlockSpot, PendingShard
from hlspub.model import CarKind, FileKind
from hlspub.records import FileCarried, ShardConfirmed, ShardDelayed
from tests.journal import acts
from tests.journal.conftest import Book

ONE = ("kubo",)


def names(shards: list[PendingShard]) -> list[str]:
    known = {acts.file_car(name).key: name for name in ("a.ts", "b.ts", "c.ts", "live.m3u8", "late.ts")}
    known[acts.node_car("root 1/1").key] = "nodes"
    return [known[car.key] for shard in shards for car in shard.cars]


def test_urgent_ones_first_then_the_oldest(book: Book) -> None:
    book.write(
        acts.started(),
        acts.taken("a.ts", content="a.ts", targets=ONE),
        acts.taken("b.ts", content="b.ts", targets=ONE),
        acts.taken("live.m3u8", content="live.m3u8", targets=ONE, kind=FileKind.PLAYLIST, urgent=True),
        acts.root_made(1, ("live.m3u8", 1)),
        acts.taken("c.ts", content="c.ts", targets=ONE),
    )
    shards = book.reader.pending_shards("kubo", 200.0, 9)
    assert names(shards) == ["live.m3u8", "nodes", "a.ts", "b.ts", "c.ts"]
    assert names(book.reader.pending_shards("kubo", 200.0, 3)) == ["live.m3u8", "nodes", "a.ts"]
    assert [car.fleeting for shard in shards for car in shard.cars] == [True, False, False, False, False]
    (car,) = shards[1].cars
    assert (car.kind, car.root, car.size_bytes) == (CarKind.NODES, acts.cid("root 1/1"), 200)
    assert book.reader.pending_shards("nobody", 200.0, 9) == []


def test_a_failed_shard_waits_for_its_time_and_keeps_its_place(book: Book) -> None:
    for name in ("a.ts", "b.ts", "c.ts"):
        book.write(acts.started() if name == "a.ts" else [], acts.taken(name, content=name, targets=ONE))
    book.write(ShardDelayed(1, 1, 300.0, "timeout"))
    assert names(book.reader.pending_shards("kubo", 299.9, 9)) == ["b.ts", "c.ts"]
    due = book.reader.pending_shards("kubo", 300.0, 9)
    assert names(due) == ["a.ts", "b.ts", "c.ts"]
    assert (due[0].attempts, due[0].error, due[1].attempts, due[1].error) == (1, "timeout", 0, None)
    assert book.reader.next_try_at("kubo") == 300.0
    book.write(ShardConfirmed(1, 301.0))
    assert names(book.reader.pending_shards("kubo", 400.0, 9)) == ["b.ts", "c.ts"]
    assert book.reader.next_try_at("kubo") is None


def test_a_shard_that_needs_a_person_is_parked_until_it_is_given_a_time(book: Book) -> None:
    book.write(acts.started(), acts.taken("a.ts", content="a.ts", targets=ONE), ShardDelayed(1, 1, None, "401"))
    assert book.reader.pending_shards("kubo", 1e12, 9) == []
    assert book.reader.next_try_at("kubo") is None
    (parked,) = book.reader.parked_shards("kubo", 9)
    assert book.reader.failed_shards("kubo", 9) == [parked]
    assert (parked.id, parked.attempts, parked.error) == (1, 1, "401")
    book.write(ShardDelayed(1, 1, 500.0, "401"))
    assert book.reader.parked_shards("kubo", 9) == []
    assert names(book.reader.failed_shards("kubo", 9)) == ["a.ts"]
    assert names(book.reader.pending_shards("kubo", 500.0, 9)) == ["a.ts"]
    book.write(ShardConfirmed(1, 501.0), acts.taken("b.ts", content="b.ts", targets=ONE))
    assert book.reader.failed_shards("kubo", 9) == []


def test_a_shard_may_hold_several_cars(book: Book) -> None:
    book.write(
        acts.started(), acts.taken("a.ts", content="a.ts", targets=ONE), acts.taken("b.ts", content="b.ts", targets=ONE)
    )
    book.db.execute("UPDATE shard_car SET shard_id = 1 WHERE shard_id = 2")
    book.db.execute("DELETE FROM shard WHERE shard_id = 2")
    book.db.execute("UPDATE shard SET size = 1200 WHERE shard_id = 1")
    (shard,) = book.reader.pending_shards("kubo", 200.0, 1)
    assert names([shard]) == ["a.ts", "b.ts"]
    assert (book.reader.backlog("kubo").cars, book.reader.backlog("kubo").bytes) == (2, 1200)
    keys = [car.key for car in shard.cars]
    assert book.reader.delivered(keys) == set()
    book.write(ShardConfirmed(1, 1.0))
    assert book.reader.delivered(keys) == set(keys)


def test_backlog_tells_the_worst(book: Book) -> None:
    empty = Backlog(cars=0, bytes=0, oldest_at=None, failing=0, parked=0, last_error=None, next_try_at=None)
    assert book.reader.backlog("kubo") == empty
    book.write(acts.started())
    for number, name in enumerate(("a.ts", "b.ts", "c.ts", "late.ts")):
        book.write(acts.taken(name, content=name, at=100.0 + number, targets=ONE))
    book.write(ShardConfirmed(1, 110.0), ShardDelayed(2, 3, 900.0, "later"), ShardDelayed(3, 1, 800.0, "sooner"))
    assert book.reader.backlog("kubo") == Backlog(
        cars=3, bytes=1800, oldest_at=101.0, failing=2, parked=0, last_error="sooner", next_try_at=800.0
    )
    book.write(ShardDelayed(2, 4, None, "too large"))
    assert book.reader.backlog("kubo") == Backlog(
        cars=3, bytes=1800, oldest_at=101.0, failing=2, parked=1, last_error="too large", next_try_at=800.0
    )
    book.write(ShardConfirmed(2, 1.0), ShardConfirmed(3, 1.0), ShardConfirmed(4, 1.0))
    assert book.reader.backlog("kubo") == empty
    assert book.reader.targets() == ["kubo"]


def test_unconfirmed_is_by_target_and_of_this_session(book: Book) -> None:
    book.write(acts.started(), acts.taken("a.ts", content="a.ts"), acts.root_made(1))
    book.write(acts.started(2), FileCarried(2, "a.ts", 1, 1, 1), acts.taken("b.ts", session=2, content="b.ts"))
    a, b, nodes = (acts.file_car("a.ts").key, acts.file_car("b.ts").key, acts.node_car("root 1/1").key)
    assert book.reader.unconfirmed(1) == {"local": {a, nodes}, "kubo": {a, nodes}}
    assert book.reader.unconfirmed(2) == {"local": {a, b}, "kubo": {a, b}}
    for shard in book.reader.pending_shards("local", 200.0, 9):
        book.write(ShardConfirmed(shard.id, 1.0))
    assert book.reader.unconfirmed(1) == {"kubo": {a, nodes}}
    assert book.reader.delivered([a, b]) == set()


def test_delivered_wants_every_target_and_every_turn(book: Book) -> None:
    keys = [acts.file_car(name).key for name in ("a.ts", "b.ts")]
    book.write(acts.started(), acts.taken("a.ts", content="a.ts"), acts.taken("b.ts", content="b.ts", targets=()))
    assert book.reader.delivered([*keys, "unknown"]) == {keys[1]}
    book.write(ShardConfirmed(1, 1.0))
    assert book.reader.delivered(keys) == {keys[1]}
    book.write(ShardConfirmed(2, 1.0))
    assert book.reader.delivered(keys) == set(keys)
    book.write(acts.taken("again.ts", content="a.ts", targets=ONE))
    assert book.reader.delivered(keys) == {keys[1]}


def test_delivered_takes_any_number_of_keys(book: Book) -> None:
    book.write(acts.started())
    wanted = {acts.file_car(f"{number}.ts").key for number in range(1201)}
    book.write(acts.taken(f"{number}.ts", content=f"{number}.ts", targets=()) for number in range(1201))
    assert book.reader.delivered(wanted) == wanted


def test_a_block_is_found_under_every_form_of_its_cid(book: Book) -> None:
    book.write(acts.started(), acts.taken("a.ts", content="a.ts"), acts.root_made(1))
    leaf, key = acts.cid("a.ts leaf"), acts.file_car("a.ts").key
    for form in (leaf, Cid.v0_of_digest(leaf.digest), Cid.of_digest(Codec.DAG_PB, leaf.digest)):
        assert book.reader.find_block(form) == [BlockSpot(key, 99, 400)]
    assert book.reader.find_block(acts.cid("root 1/1")) == [BlockSpot(acts.node_car("root 1/1").key, 95, 105)]
    assert book.reader.find_block(acts.cid("nowhere")) == []


def test_a_block_may_lie_in_several_cars(book: Book) -> None:
    shared, nodes = acts.file_car("a.ts").blocks[0], acts.node_car("root 1/1")
    car = replace(nodes, blocks=(*nodes.blocks, shared))
    book.write(acts.started(), acts.taken("a.ts", content="a.ts"), replace(acts.root_made(1), car=car))
    assert {spot.car_key for spot in book.reader.find_block(shared.cid)} == {acts.file_car("a.ts").key, car.key}


@pytest.mark.parametrize("plan", ["_DUE", "_BACKLOG", "_NEXT_TRY", "_WORST"])
def test_the_queue_is_read_from_an_index_of_what_waits(book: Book, plan: str) -> None:
    """What was confirmed in years must not be walked through."""
    sql: str = getattr(deliveries, plan)
    values = {"target": "kubo", "now": 1.0, "limit": 1} if ":target" in sql else ("kubo",)
    steps = [row[3] for row in book.db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert any(" shard USING " in step and ("shard_pending" in step or "shard_failing" in step) for step in steps), (
        steps
    )
    assert not any(step.startswith("SCAN shard") for step in steps), steps
