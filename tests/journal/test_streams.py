from dataclasses import replace

import pytest

from hlspub.journal.values import SavedInterval, SavedPlaylist, SavedSession
from hlspub.model import FileKind
from hlspub.records import (
    FileCarried,
    FileSeen,
    PlaylistTaken,
    ReferenceBound,
    ReferenceClosed,
    ReferenceOpened,
    RootBound,
    SessionStarted,
    SessionState,
)
from tests.journal import acts
from tests.journal.conftest import Book


def test_nothing_is_known_of_an_unknown_stream(book: Book) -> None:
    assert book.reader.newest_session("main") is None
    assert book.reader.sessions("main") == []
    assert book.reader.last_seq("main") == 0
    assert list(book.reader.announced("main")) == []
    assert book.reader.kept_roots("main", 0.0) == []
    assert list(book.reader.files(1)) == list(book.reader.intervals(1)) == list(book.reader.playlists(1)) == []


def test_sessions_are_newest_first_and_of_their_stream(book: Book) -> None:
    book.write(acts.started(1), acts.started(2, "other"), acts.started(3), acts.taken("a.ts", session=3, at=105.0))
    assert [session.id for session in book.reader.sessions("main")] == [3, 1]
    assert book.reader.newest_session("main") == SavedSession(
        id=3,
        stream="main",
        label="20261124T100000Z-3",
        state=SessionState.RUNNING,
        reason=None,
        settings='{"profile":"unixfs-v1-2025"}',
        started_at=100.0,
        ending_at=None,
        ended_at=None,
        last_taken_at=105.0,
        segments=1,
    )
    assert [session.id for session in book.reader.sessions("main", 1)] == [3]
    assert [stream.name for stream in book.reader.streams()] == ["main", "other"]


def test_last_taken_never_goes_back(book: Book) -> None:
    book.write(acts.started(), acts.taken("a.ts", at=105.0), acts.taken("b.ts", at=104.0))
    session = book.reader.newest_session("main")
    assert session is not None
    assert session.last_taken_at == 105.0


def test_files_gives_the_newest_version_and_versions_all(book: Book) -> None:
    book.write(acts.started(), acts.taken("b.ts"), *(acts.taken("a.ts", version) for version in range(1, 12)))
    assert [(file.path, file.version) for file in book.reader.files(1)] == [("a.ts", 11), ("b.ts", 1)]
    newest = next(book.reader.files(1))
    record = acts.taken("a.ts", 11)
    assert newest.cid == record.packed.cid
    assert newest.car_key == record.packed.car.key
    assert (newest.kind, newest.size_bytes, newest.tsize) == (FileKind.MEDIA, 500, 564)
    assert (newest.identity, newest.taken_at) == (record.identity, record.at)
    assert [file.version for file in book.reader.versions(1) if file.path == "a.ts"] == list(range(1, 12))


def test_a_file_seen_again_has_its_new_identity(book: Book) -> None:
    seen = acts.identity(size=501, inode=8)
    book.write(acts.started(), acts.taken("a.ts"), FileSeen(1, "a.ts", 1, seen))
    (file,) = book.reader.files(1)
    assert file.identity == seen
    assert file.size_bytes == 500


def test_a_carried_file_is_the_earlier_one(book: Book) -> None:
    book.write(acts.started(1), acts.taken("a.ts", 3), acts.started(2), FileCarried(2, "a.ts", 1, 1, 3))
    (old,), (new,) = book.reader.files(1), book.reader.files(2)
    assert new == old._replace(version=1)


def test_playlists_begin_with_the_version_in_the_newest_root(book: Book) -> None:
    book.write(acts.started(), acts.taken("a.ts"))
    for version in (1, 2, 3, 4):
        book.write(acts.playlist("low.m3u8", version), acts.playlist("high.m3u8", version))
    assert len(list(book.reader.playlists(1))) == 8
    book.write(acts.root_made(1, ("low.m3u8", 2)), acts.root_made(2, ("low.m3u8", 3)))
    found = [(saved.path, saved.version) for saved in book.reader.playlists(1)]
    assert found == [*(("high.m3u8", version) for version in (1, 2, 3, 4)), ("low.m3u8", 3), ("low.m3u8", 4)]


def test_a_playlist_has_its_facts_and_its_bytes(book: Book) -> None:
    file = acts.taken("live.m3u8", kind=FileKind.PLAYLIST)
    facts = PlaylistTaken(1, "live.m3u8", 1, False, 7, 12, 2.5, True)  # noqa: FBT003 -- compared field by field below
    book.write(acts.started(), file, facts)
    assert list(book.reader.playlists(1)) == [
        SavedPlaylist(
            path="live.m3u8",
            version=1,
            multivariant=False,
            media_sequence=7,
            last_sequence=12,
            target_duration_s=2.5,
            endlist=True,
            cid=file.packed.cid,
            size_bytes=500,
            tsize=564,
            car_key=file.packed.car.key,
        )
    ]


def test_intervals_say_what_was_listed_from_when_to_when(book: Book) -> None:
    book.write(acts.started(), acts.taken("a.ts"), acts.playlist("live.m3u8", 1, "a.ts"), acts.playlist("live.m3u8", 2))
    book.write(ReferenceOpened(1, "live.m3u8", "b.ts", "segment", 5, 2, None))
    waiting = SavedInterval("live.m3u8", "b.ts", "segment", 5, 2, None, None)
    held = SavedInterval("live.m3u8", "a.ts", "segment", 0, 1, None, 1)
    assert list(book.reader.intervals(1)) == [held, waiting]
    b = acts.taken("b.ts")
    book.write(b, ReferenceBound(1, "live.m3u8", "b.ts", 2, 1), ReferenceClosed(1, "live.m3u8", "a.ts", 1, 2))
    met = waiting._replace(bound=1)
    assert list(book.reader.intervals(1)) == [held._replace(to_version=2), met]


def test_a_path_may_be_listed_again_as_something_else(book: Book) -> None:
    book.write(acts.started(), acts.taken("a.ts"), acts.playlist("live.m3u8", 1, "a.ts"), acts.taken("a.ts", 2))
    book.write(
        acts.playlist("live.m3u8", 2),
        ReferenceClosed(1, "live.m3u8", "a.ts", 1, 2),
        ReferenceOpened(1, "live.m3u8", "a.ts", "segment", 9, 2, 2),
    )
    assert [(i.sequence, i.bound, i.to_version) for i in book.reader.intervals(1)] == [
        (0, 1, 2),
        (9, 2, None),
    ]


def test_a_root_is_told_as_it_was_made(book: Book) -> None:
    book.write(acts.started(), acts.playlist("b.m3u8", 1), acts.playlist("a.m3u8", 4))
    made = acts.root_made(1, ("b.m3u8", 1), ("a.m3u8", 4), final=True)
    book.write(made)
    (root,) = book.reader.roots(1)
    assert (root.root, root.tsize, root.entry, root.final) == (made.root, 12_345, "master.m3u8", True)
    assert root.playlists == (("a.m3u8", 4), ("b.m3u8", 1))
    assert (root.made_at, root.seq, root.announced_at, root.latency_s) == (110.0, None, None, None)
    assert (root.bound, root.car_key) == (frozenset(), made.car and made.car.key)
    book.write(RootBound(1, 1, "kubo", 111.0), RootBound(1, 1, "cluster", 112.0), acts.announced(1, 9))
    (root,) = book.reader.roots(1)
    assert (root.bound, root.seq, root.announced_at, root.latency_s) == ({"kubo", "cluster"}, 9, 120.0, 1.5)
    assert book.reader.last_seq("main") == 9


def test_a_root_without_new_blocks_has_no_car(book: Book) -> None:
    book.write(acts.started(), replace(acts.root_made(1), car=None))
    assert [root.car_key for root in book.reader.roots(1)] == [None]
    assert book.reader.backlog("kubo").cars == 0


@pytest.fixture
def long_stream(book: Book) -> Book:
    """Two sessions of three roots each, announced every 100 s from 1000 on; the last of each is final."""
    for session in (1, 2):
        book.write(acts.started(session))
        for number in (1, 2, 3):
            seq = (session - 1) * 3 + number
            book.write(
                acts.root_made(number, session=session, final=number == 3),
                acts.announced(number, seq, session, at=900.0 + 100 * seq),
            )
    book.write(acts.started(3), acts.root_made(1, session=3), acts.started(4, "other"), acts.root_made(1, session=4))
    return book


def test_announced_goes_back_in_time_across_sessions(long_stream: Book) -> None:
    reader = long_stream.reader
    assert [(root.session, root.number) for root in reader.announced("main")] == [
        (2, 3),
        (2, 2),
        (2, 1),
        (1, 3),
        (1, 2),
        (1, 1),
    ]
    assert [root.seq for root in reader.announced("main", since=1200.0)] == [6, 5, 4, 3]
    assert list(reader.announced("main", since=9999.0)) == []
    assert [root.number for root in reader.roots(2, 2)] == [3, 2]
    assert reader.last_announced(3) is None


@pytest.mark.parametrize(
    ("since", "kept"), [(9999.0, [6, 3]), (1450.0, [6, 3]), (1400.0, [6, 5, 3]), (0.0, [6, 5, 4, 3, 2, 1])]
)
def test_kept_roots_are_the_finals_the_newest_and_the_recent(long_stream: Book, since: float, kept: list[int]) -> None:
    assert [root.seq for root in long_stream.reader.kept_roots("main", since)] == kept


def test_the_newest_root_is_kept_though_it_is_not_final(long_stream: Book) -> None:
    long_stream.write(acts.announced(1, 7, session=3, at=2000.0))
    assert [root.seq for root in long_stream.reader.kept_roots("main", 9999.0)] == [7, 6, 3]


def test_session_numbers_are_the_writers(book: Book) -> None:
    book.write(acts.started(), SessionStarted(40, "main", "x", "{}", 101.0))
    assert [session.id for session in book.reader.sessions("main")] == [40, 1]
