from hlspub.model import FileKind
from hlspub.records import ShardConfirmed
from tests.journal import acts
from tests.journal.conftest import Book

ONE = ("kubo",)


def told(book: Book, session: int = 1) -> None:
    """A session of two files and a root, whose shards (3 a session) are confirmed by their names."""
    book.write(
        acts.started(session),
        acts.taken("a.ts", session=session, content=f"a{session}", targets=ONE),
        acts.taken("live.m3u8", session=session, content=f"live{session}", targets=ONE, kind=FileKind.PLAYLIST),
        acts.root_made(1, ("live.m3u8", 1), session=session),
    )
    for shard in book.reader.pending_shards("kubo", 200.0, 9):
        book.write(ShardConfirmed(shard.id, 200.0, f"shard of {shard.cars[0].key}"))


def keys(session: int = 1) -> list[str]:
    return [
        acts.file_car(f"a{session}").key,
        acts.file_car(f"live{session}").key,
        acts.node_car(f"root {session}/1").key,
    ]


def test_a_sessions_receipts_are_those_of_its_files_and_roots(book: Book) -> None:
    told(book)
    told(book, 2)
    for session in (1, 2):
        found = book.reader.receipts("kubo", session)
        assert sorted(found) == sorted((key, f"shard of {key}") for key in keys(session))
    assert book.reader.receipts("local", 1) == []
    assert book.reader.receipts("kubo", 3) == []


def test_of_some_cars_those_of_the_session(book: Book) -> None:
    told(book)
    told(book, 2)
    asked = [keys(1)[0], keys(1)[2], keys(2)[0], "unknown"]
    assert {key for key, _ in book.reader.receipts("kubo", 1, asked)} == {keys(1)[0], keys(1)[2]}
    assert book.reader.receipts("kubo", 1, []) == []
    many = [*(str(number) for number in range(1200)), keys(1)[0]]
    assert book.reader.receipts("kubo", 1, many) == [(keys(1)[0], f"shard of {keys(1)[0]}")]


def test_what_is_not_confirmed_has_no_receipt(book: Book) -> None:
    book.write(acts.started(), acts.taken("a.ts", content="a1", targets=ONE))
    assert book.reader.receipts("kubo", 1) == []
    assert book.reader.receipts("kubo", 1, [keys()[0]]) == []
    assert book.reader.receipt("kubo", keys()[0]) is None
    book.write(ShardConfirmed(1, 200.0, "kept"))
    assert book.reader.receipt("kubo", keys()[0]) == "kept"
    assert book.reader.receipt("local", keys()[0]) is None


def test_which_session_made_a_root_and_which_ended_with_it(book: Book) -> None:
    told(book)
    root = acts.node_car("root 1/1").root
    assert book.reader.session_of(root) == (1, False)
    assert not book.reader.is_final(root)
    book.write(acts.root_made(2, ("live.m3u8", 1), final=True), acts.announced(2, 1))
    last = acts.node_car("root 1/2").root
    assert book.reader.session_of(last) == (1, True)
    assert book.reader.is_final(last)
    assert book.reader.session_of(acts.cid("strange")) is None
    assert not book.reader.is_final(acts.cid("strange"))
