from typing import Any

from hlspub.model import FileKind
from hlspub.records import SessionEnded, SessionEnding, ShardConfirmed, ShardDelayed
from tests.journal import acts
from tests.journal.conftest import Book


def stream(book: Book, name: str = "main") -> dict[str, Any]:
    return next(answer for answer in book.reader.status(1000.0)["streams"] if answer["name"] == name)


def test_an_empty_journal(book: Book) -> None:
    assert book.reader.status(1.0) == {"streams": [], "targets": [], "names": [], "hooks": []}


def test_a_stream_that_waits(book: Book) -> None:
    book.write(acts.started()[:1])
    assert stream(book) == {
        "name": "main",
        "directory": "/srv/main",
        "session": None,
        "state": "waiting",
        "root": None,
        "entry": None,
        "final": False,
        "seq": None,
        "published_at": None,
        "segments": 0,
        "pending": 0,
        "sessions": [],
    }


def test_a_stream_that_lives_after_one_that_ended(book: Book) -> None:
    book.write(
        acts.started(1),
        acts.root_made(1, final=True),
        acts.announced(1, 1),
        SessionEnding(1, "endlist", 119.0),
        SessionEnded(1, 121.0),
        acts.started(2, at=200.0),
        acts.taken("a.ts", session=2),
        acts.taken("b.ts", session=2),
        acts.taken("live.m3u8", session=2, kind=FileKind.PLAYLIST),
    )
    now = stream(book)
    assert (now["session"], now["state"], now["segments"], now["pending"]) == ("20261124T100000Z-2", "running", 2, 3)
    assert (now["root"], now["seq"], now["final"], now["published_at"]) == (str(acts.cid("root 1/1")), 1, True, 120.0)
    assert now["sessions"] == [
        {
            "id": "20261124T100000Z-2",
            "started": 200.0,
            "ended": None,
            "reason": None,
            "root": None,
            "entry": None,
            "final": False,
        },
        {
            "id": "20261124T100000Z-1",
            "started": 100.0,
            "ended": 121.0,
            "reason": "endlist",
            "root": str(acts.cid("root 1/1")),
            "entry": "master.m3u8",
            "final": True,
        },
    ]


def test_pending_counts_a_car_once_and_until_every_target_has_it(book: Book) -> None:
    book.write(acts.started(), acts.taken("a.ts"), acts.taken("b.ts"))
    assert stream(book)["pending"] == 2
    book.write(ShardConfirmed(1, 1.0), ShardConfirmed(3, 1.0), ShardConfirmed(4, 1.0))
    assert stream(book)["pending"] == 1
    book.write(ShardConfirmed(2, 1.0))
    assert stream(book)["pending"] == 0


def test_targets_say_what_waits_and_why(book: Book) -> None:
    book.write(acts.started(), acts.taken("a.ts", at=900.0), acts.taken("b.ts", at=950.0))
    local, kubo = (shard.id for name in ("local", "kubo") for shard in book.reader.pending_shards(name, 1e9, 1))
    book.write(ShardDelayed(kubo, 2, 1030.0, "connection refused"))
    assert book.reader.status(1000.0)["targets"] == [
        {
            "name": "kubo",
            "state": "degraded",
            "backlog_cars": 2,
            "backlog_bytes": 1200,
            "oldest_pending_seconds": 100.0,
            "error": "connection refused",
            "next_try_in_seconds": 30.0,
        },
        {
            "name": "local",
            "state": "ok",
            "backlog_cars": 2,
            "backlog_bytes": 1200,
            "oldest_pending_seconds": 100.0,
            "error": None,
            "next_try_in_seconds": None,
        },
    ]
    book.write(ShardDelayed(kubo, 3, None, "unauthorized"), ShardConfirmed(local, 1.0))
    kubo_now, local_now = book.reader.status(2000.0)["targets"]
    assert (kubo_now["state"], kubo_now["error"], kubo_now["next_try_in_seconds"]) == (
        "needs_action",
        "unauthorized",
        None,
    )
    assert (local_now["backlog_cars"], local_now["oldest_pending_seconds"]) == (1, 1050.0)
    assert book.reader.status(0.0)["targets"][0]["oldest_pending_seconds"] == 0.0  # a clock that was set back
