import sqlite3
from dataclasses import replace
from typing import get_args

import pytest

from hlspub.journal.statements import WRITES, RecordRefused
from hlspub.model import FileKind
from hlspub.records import (
    FileCarried,
    FileSeen,
    Record,
    ReferenceBound,
    ReferenceClosed,
    ReferenceOpened,
    RootBound,
    SessionEnded,
    SessionEnding,
    SessionStarted,
    SessionState,
    ShardConfirmed,
    ShardDelayed,
    StreamDeclared,
)
from tests.journal import acts
from tests.journal.conftest import Book


def test_every_record_has_its_statements() -> None:
    assert set(WRITES) == set(get_args(Record))


def test_an_unknown_record_is_named(book: Book) -> None:
    book.refuses(object(), RecordRefused, "type object")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "record",
    [
        SessionStarted(1, "nobody", "x", "{}", 1.0),
        SessionEnding(9, "idle", 1.0),
        SessionEnded(9, 1.0),
        FileCarried(1, "a.ts", 1, 9, 1),
        FileSeen(1, "a.ts", 9, acts.identity()),
        ReferenceOpened(1, "live.m3u8", "b.ts", "segment", 1, 2, None),
        ReferenceBound(1, "live.m3u8", "a.ts", 9, 1),
        ReferenceClosed(1, "live.m3u8", "a.ts", 9, 10),
        acts.root_made(1, session=9),
        acts.announced(9, 1),
        ShardConfirmed(999, 1.0),
        ShardDelayed(999, 1, None, "no"),
    ],
    ids=lambda record: type(record).__name__,
)
def test_what_is_not_there_cannot_be_changed(book: Book, record: Record) -> None:
    book.write(acts.started(), acts.taken("a.ts"), acts.playlist("live.m3u8", 1, "a.ts"))
    book.refuses(record, RecordRefused, "does not hold")


@pytest.mark.parametrize(
    "record",
    [
        acts.taken("a.ts"),
        acts.taken("b.ts", session=9),
        acts.playlist("live.m3u8", 2)[1],
        ReferenceOpened(1, "live.m3u8", "a.ts", "segment", 0, 1, 1),
        ReferenceOpened(1, "live.m3u8", "b.ts", "segment", 1, 1, 1),
        acts.root_made(1, ("live.m3u8", 2)),
        RootBound(1, 9, "kubo", 1.0),
        SessionStarted(1, "main", "other", "{}", 1.0),
    ],
    ids=lambda record: type(record).__name__,
)
def test_what_contradicts_the_journal_is_refused(book: Book, record: Record) -> None:
    book.write(acts.started(), acts.taken("a.ts"), acts.playlist("live.m3u8", 1, "a.ts"))
    book.refuses(record, sqlite3.IntegrityError)


def test_a_key_stands_for_one_content(book: Book) -> None:
    first = acts.taken("a.ts")
    book.write(acts.started(), first)
    car = replace(first.packed.car, size_bytes=1)
    book.refuses(replace(first, path="b.ts", packed=replace(first.packed, car=car)), RecordRefused, "different content")


def test_a_file_car_is_rooted_in_its_file(book: Book) -> None:
    record = acts.taken("a.ts")
    book.write(acts.started())
    book.refuses(replace(record, packed=replace(record.packed, cid=acts.cid("other"))), RecordRefused, "root")


def test_the_same_content_has_one_car_and_a_fresh_shard_each_time(book: Book) -> None:
    book.write(acts.started(), acts.taken("a.ts", content="same"), acts.taken("b.ts", content="same"))
    assert book.db.execute("SELECT count(*) FROM car").fetchone() == (1,)
    assert book.db.execute("SELECT count(*) FROM block").fetchone() == (2,)
    assert [shard.id for shard in book.reader.pending_shards("kubo", 200.0, 10)] == [2, 4]


def test_a_car_learns_its_digest_later(book: Book) -> None:
    plain = acts.taken("a.ts", content="same", targets=("w3up",))
    hashed = replace(plain.packed.car, sha256=bytes(32))
    again = replace(plain, path="b.ts", packed=replace(plain.packed, car=hashed))
    book.write(acts.started(), plain)
    assert book.reader.pending_shards("w3up", 200.0, 1)[0].cars[0].sha256 is None
    book.write(again, replace(plain, path="c.ts"))
    assert {shard.cars[0].sha256 for shard in book.reader.pending_shards("w3up", 200.0, 9)} == {bytes(32)}


def test_a_session_only_goes_forward_and_its_first_end_stands(book: Book) -> None:
    book.write(acts.started(), SessionEnding(1, "endlist", 5.0), SessionEnding(1, "signal", 6.0))
    session = book.reader.newest_session("main")
    assert session is not None
    assert (session.state, session.reason, session.ending_at) == (SessionState.ENDING, "endlist", 5.0)
    book.write(SessionEnded(1, 7.0), SessionEnding(1, "idle", 8.0), SessionEnded(1, 9.0))
    session = book.reader.newest_session("main")
    assert session is not None
    assert (session.state, session.reason, session.ended_at) == (SessionState.ENDED, "endlist", 7.0)


def test_what_may_be_decided_again_after_a_crash_may_be_written_again(book: Book) -> None:
    book.write(acts.started(), acts.root_made(1))
    book.write(RootBound(1, 1, "kubo", 111.0), RootBound(1, 1, "kubo", 112.0))
    book.write(acts.announced(1, 1, at=120.0), acts.announced(1, 1, at=130.0))
    book.write(ShardConfirmed(1, 115.0, "kept"), ShardConfirmed(1, 116.0), ShardDelayed(1, 1, 200.0, "late"))
    root = book.reader.roots(1)[0]
    assert (root.bound, root.seq, root.announced_at) == (frozenset({"kubo"}), 1, 120.0)
    assert book.db.execute(
        "SELECT confirmed_at, note, next_try_at, error FROM shard WHERE shard_id = 1"
    ).fetchone() == (
        115.0,
        "kept",
        None,
        None,
    )


def test_announcing_again_does_not_set_the_stream_back(book: Book) -> None:
    book.write(acts.started(), acts.root_made(1), acts.root_made(2), acts.announced(1, 1), acts.announced(2, 2))
    book.write(acts.announced(1, 1))
    assert book.reader.last_seq("main") == 2


def test_a_listing_is_bound_once_and_closed_once(book: Book) -> None:
    book.write(acts.started(), acts.taken("a.ts", 1), acts.taken("a.ts", 2), acts.playlist("live.m3u8", 1, "a.ts"))
    book.refuses(ReferenceBound(1, "live.m3u8", "a.ts", 1, 2), RecordRefused)
    book.write(ReferenceClosed(1, "live.m3u8", "a.ts", 1, 2))
    book.refuses(ReferenceClosed(1, "live.m3u8", "a.ts", 1, 3), RecordRefused)


def test_a_confirmed_shard_forgets_its_troubles(book: Book) -> None:
    book.write(acts.started(), acts.taken("a.ts"), ShardDelayed(1, 3, 200.0, "late"), ShardConfirmed(1, 190.0))
    row = book.db.execute("SELECT attempts, next_try_at, error, note FROM shard WHERE shard_id = 1").fetchone()
    assert row == (3, None, None, None)


def test_a_root_has_one_seq_and_a_seq_one_root(book: Book) -> None:
    book.write(acts.started(), acts.root_made(1), acts.root_made(2), acts.announced(1, 1))
    book.refuses(acts.announced(1, 2), RecordRefused)
    book.refuses(acts.announced(2, 1), sqlite3.IntegrityError)


def test_segments_counts_paths_of_media_once(book: Book) -> None:
    book.write(
        acts.started(),
        acts.taken("a.ts", 1),
        acts.taken("a.ts", 2),
        acts.taken("b.ts", 1),
        acts.taken("live.m3u8", 1, kind=FileKind.PLAYLIST),
        acts.started(2),
        FileCarried(2, "a.ts", 1, 1, 2),
        FileCarried(2, "live.m3u8", 1, 1, 1),
    )
    assert [(session.id, session.segments) for session in book.reader.sessions("main")] == [(2, 1), (1, 2)]


def test_a_stream_may_move(book: Book) -> None:
    book.write(StreamDeclared("main", "/old", 1.0), StreamDeclared("main", "/new", 2.0))
    assert [stream.directory for stream in book.reader.streams()] == ["/new"]
