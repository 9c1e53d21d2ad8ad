"""Streams of the deterministic writer, faster than any transcoder: what is published, and which playlist viewers open."""

import json
import signal

import httpx
import pytest

from tests.support.checker import Following
from tests.support.judges import ended, root_of
from tests.support.site import Site, takes
from tests.support.writer import Running, Writer, replace

PAIR = ("a", "b")


@pytest.mark.parametrize("watch", ["inotify", "poll"])
def test_every_root_plays_while_a_fast_stream_is_written(site: Site, watch: str) -> None:
    daemon = site.configure(watch=watch).daemon()
    writer = Writer(site.hls)
    with (
        Following(daemon.ready(), "main", site.published, site.hls) as following,
        Running(writer, 0.1, 40, Writer.end),
    ):
        final = daemon.wait("root.published", final=True)
        following.finish()
    assert final["root"] == root_of(writer.files(endlist=True))
    assert [event["seq"] for event in site.published()] == [*range(1, final["seq"] + 1)]
    media = {key: count for key, count in takes(site.daemons).items() if key[0].endswith(".ts")}
    assert set(media.values()) == {1}
    assert daemon.stop() == 0
    assert daemon.troubles() == []
    assert site.spooled() == []
    assert site.journal_faults() == []


def test_two_streams_of_the_same_bytes_share_their_cars(site: Site) -> None:
    daemon = site.configure({"main": {}, "twin": {}}).daemon()
    writers = [Writer(site.root / name, PAIR) for name in ("main", "twin")]
    with Running(writers[0], 0.1, 25, Writer.end), Running(writers[1], 0.1, 25, Writer.end):
        finals = [daemon.wait("root.published", stream=name, final=True) for name in ("main", "twin")]
    assert {final["root"] for final in finals} == {root_of(writers[0].files(endlist=True))}
    status = httpx.get(f"{daemon.ready()}/api/status").json()
    assert [stream["pending"] for stream in status["streams"]] == [0, 0]
    assert daemon.stop() == 0
    assert site.spooled() == []
    assert site.journal_faults() == []


def test_a_stream_that_is_ended_after_its_first_playlist(site: Site) -> None:
    """A lone media playlist must prove that no multivariant one follows; at the end there is nothing to wait for."""
    daemon = site.configure().daemon()
    writer = Writer(site.hls, ("",)).step()
    daemon.wait("file.taken", path="index.m3u8")
    assert daemon.of("root.published") == []
    daemon.send(signal.SIGUSR1)
    final = daemon.wait("root.published", final=True)
    assert (final["entry"], final["root"]) == ("index.m3u8", root_of(ended(writer.files(endlist=False))))


def test_two_candidates_are_not_guessed_between(site: Site) -> None:
    daemon = site.configure().daemon()
    daemon.ready()
    writer = Writer(site.hls, PAIR)
    replace(site.hls / "other.m3u8", writer.master().replace(b"400000", b"500000"))
    replace(site.hls / "master.m3u8", writer.master())
    asked = daemon.wait("stream.needs_entry")
    assert asked["candidates"] == ["master.m3u8", "other.m3u8"]
    status = json.loads(site.hlspub("status", "--json").stdout)
    assert status["streams"][0]["state"] == "needs_entry"
    writer.step(2)
    daemon.wait("file.taken", path="b/segment_00001.ts")
    assert daemon.of("root.published") == []

    site.configure(entry="other.m3u8")
    daemon.send(signal.SIGHUP)
    daemon.wait("root.published", entry="other.m3u8")
    writer.step(2).end()
    final = daemon.wait("root.published", final=True)
    files = writer.files(endlist=True)
    files["other.m3u8"] = files.pop("master.m3u8").replace(b"400000", b"500000")
    assert (final["entry"], final["root"]) == ("other.m3u8", root_of(files))


def test_a_session_without_any_entry_says_so_when_it_ends(site: Site) -> None:
    daemon = site.configure(entry="index.m3u").daemon()
    Writer(site.hls, PAIR).step(2)
    daemon.wait("file.taken", path="b/segment_00001.ts")
    daemon.send(signal.SIGUSR1)
    unpublished = daemon.wait("session.unpublished")
    assert unpublished["entry"] == "index.m3u"
    assert daemon.wait("session.ended")["root"] is None
