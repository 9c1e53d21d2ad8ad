from hlspub.journal.refused import RecordRefused
from hlspub.records import (
    HookJoined,
    HookLeft,
    HookTold,
    RootAnnounced,
    RootMade,
    RootsForgotten,
    SessionEnded,
    StreamDeclared,
)
from tests.journal import acts
from tests.journal.conftest import Book

MADE = False, (), None  # final, playlists, CAR


def announce(book: Book, *seqs: int, session: int = 1) -> None:
    """Roots made and announced; their numbers are their seqs."""
    for seq in seqs:
        root = acts.cid(f"root {session}/{seq}")
        book.write(
            [RootMade(session, seq, root, 9, "a.m3u8", *MADE, 100.0 + seq, ())],
            [RootAnnounced(session, seq, seq, 200.0 + seq, 0.5)],
        )


def untold(book: Book, hook: str = "ci") -> list[tuple[str, int, int]]:
    return [(one.publication.stream, one.publication.seq, one.passed) for one in book.reader.untold(hook)]


def test_a_hook_begins_with_the_next_publication(book: Book) -> None:
    book.write(acts.started())
    announce(book, 1, 2)
    book.write([HookJoined("ci", "main")])
    assert untold(book) == []
    announce(book, 3, 4)
    assert untold(book) == [("main", 3, 0)]
    (one,) = book.reader.untold("ci")
    assert (one.publication.session, one.publication.root) == ("20261124T100000Z-1", acts.cid("root 1/3"))
    assert (one.publication.published_at, one.publication.latency_s, one.publication.final) == (203.0, 0.5, False)


def test_one_that_was_told_before_goes_on_where_it_stood(book: Book) -> None:
    book.write(acts.started(), [HookJoined("ci", "main")])
    announce(book, 1, 2, 3)
    assert untold(book) == [("main", 1, 0)]
    book.write([HookTold("ci", "main", 1, 300.0)], [HookJoined("ci", "main")])
    assert untold(book) == [("main", 2, 0)]
    book.write([HookTold("ci", "main", 3, 301.0)], [HookTold("ci", "main", 2, 300.0)])  # never back
    assert untold(book) == []


def test_each_hook_and_each_stream_has_a_place_of_its_own(book: Book) -> None:
    book.write(acts.started(), acts.started(2, "other"), [HookJoined("ci", name) for name in ("main", "other")])
    book.write([HookJoined("mail", "main")])
    announce(book, 1)
    announce(book, 1, session=2)
    assert untold(book) == [("main", 1, 0), ("other", 1, 0)]
    assert untold(book, "mail") == [("main", 1, 0)]
    book.write([HookTold("ci", "main", 1, 300.0)])
    assert (untold(book), untold(book, "mail")) == ([("other", 1, 0)], [("main", 1, 0)])
    assert book.reader.hook_streams() == [("ci", "main"), ("ci", "other"), ("mail", "main")]


def test_what_nobody_keeps_any_more_is_counted(book: Book) -> None:
    book.write(acts.started(), [HookJoined("ci", "main")])
    announce(book, 1, 2, 3, 4)
    book.write([RootsForgotten(((1, 1), (1, 2)))])
    assert untold(book) == [("main", 3, 2)]
    book.write([HookTold("ci", "main", 2, None)])
    assert untold(book) == [("main", 3, 0)]


def test_where_it_stood_is_forgotten_when_it_leaves(book: Book) -> None:
    book.write(acts.started(), [HookJoined("ci", "main")])
    announce(book, 1)
    book.write([HookLeft("ci", "main")], [HookLeft("ci", "absent")])
    announce(book, 2)
    assert (untold(book), book.reader.hooks()) == ([], [])
    book.write([HookJoined("ci", "main")])
    assert untold(book) == []


def test_what_waits_is_told(book: Book) -> None:
    book.write(acts.started(), [HookJoined("ci", "main"), HookJoined("mail", "main")])
    announce(book, 1, 2, 3)
    book.write([HookTold("ci", "main", 1, 300.0)])
    assert [(one.name, one.told_at, one.pending, one.oldest_at) for one in book.reader.hooks()] == [
        ("ci", 300.0, 2, 202.0),
        ("mail", None, 3, 201.0),
    ]
    shown = {one["name"]: one for one in book.reader.status(1000.0)["hooks"]}
    assert (shown["ci"]["state"], shown["ci"]["pending"], shown["ci"]["oldest_pending_seconds"]) == (
        "pending",
        2,
        798.0,
    )
    book.write([HookTold("ci", "main", 3, 301.0), HookTold("mail", "main", 3, 301.0)])
    assert {one["state"] for one in book.reader.status(1000.0)["hooks"]} == {"ok"}
    assert book.reader.integrity() == []


def test_a_final_root_of_a_session_that_ended_waits_too(book: Book) -> None:
    book.write(acts.started(), [HookJoined("ci", "main")])
    announce(book, 1)
    book.write([SessionEnded(1, 400.0)])
    assert untold(book) == [("main", 1, 0)]


def test_a_stream_or_hook_that_is_not_there_is_a_bug(book: Book) -> None:
    book.refuses(HookJoined("ci", "main"), RecordRefused)
    book.write([StreamDeclared("main", "/srv", 1.0)])
    book.refuses(HookTold("ci", "main", 1, 1.0), RecordRefused)


def test_the_next_one_is_found_by_an_index(book: Book) -> None:
    from hlspub.journal.telling import _NEXT  # noqa: PLC0415 -- the query itself

    plan = [row[3] for row in book.db.execute(f"EXPLAIN QUERY PLAN {_NEXT}", ("ci",))]
    assert not any(step.startswith("SCAN") for step in plan), plan
