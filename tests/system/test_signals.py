"""SIGTERM, SIGUSR1 and SIGHUP to a real daemon."""

import signal

from tests.support.daemon import Daemon, until
from tests.support.judges import ended, root_of
from tests.support.site import Site, takes
from tests.support.writer import Running, Writer

RARELY = "1h"
PAIR = ("a", "b")


def test_sigterm_publishes_one_ordinary_root_and_the_session_goes_on(site: Site) -> None:
    first = site.configure(publish_interval=RARELY).daemon()
    writer = Writer(site.hls, PAIR).step(2)
    first.wait("root.published")
    writer.step(5)
    assert first.stop() == 0

    last = first.of("root.published")[-1]
    assert (last["seq"], last["final"]) == (2, False)
    assert last["root"] == root_of(writer.files(endlist=False))
    assert first.of("session.ending") == []
    assert first.wait("daemon.stopped")["undelivered_cars"] == 0
    assert site.spooled() == []

    second = site.daemon()
    writer.step(2).end()
    final = second.wait("root.published", final=True)
    assert final["session"] == last["session"]
    assert final["seq"] == last["seq"] + 1
    assert final["root"] == root_of(writer.files(endlist=True))
    assert set(takes(site.daemons).values()) == {1}
    assert [life.troubles() for life in site.daemons] == [[], []]


def test_sigterm_at_every_moment_of_a_running_stream(site: Site) -> None:
    site.configure(publish_interval="100ms")
    writer = Writer(site.hls, PAIR)
    with Running(writer, 0.15, 40, Writer.end) as running:
        while not running.over:
            life = site.daemon()
            life.wait("root.published")
            assert life.stop() == 0, life.text()
        last = site.daemon()
        last.ready()
        until(lambda: any(event["final"] for event in site.published()), "the final root")
    assert [event["seq"] for event in site.published()] == [*range(1, len(site.published()) + 1)]
    assert len({event["session"] for event in site.published()}) == 1
    assert site.published()[-1]["root"] == root_of(writer.files(endlist=True))
    assert [trouble for life in site.daemons for trouble in life.troubles()] == []


def test_sigterm_while_it_starts(site: Site) -> None:
    site.configure()
    Writer(site.hls, PAIR).step(50)
    daemon = site.daemon()
    daemon.wait("watch.started")
    assert daemon.stop() == 0
    assert daemon.troubles() == []


def test_a_second_sigterm_leaves_at_once(site: Site) -> None:
    (site.configure(settle="60s").hls / "a").mkdir()  # so that its first file is seen closing
    (site.hls / "b").mkdir()
    daemon = site.daemon()
    daemon.ready()
    Writer(site.hls, PAIR).step(2)
    daemon.wait("root.published")
    with (site.hls / "a" / "still_open.ts").open("wb", buffering=0) as unfinished:
        unfinished.write(b"half")  # the stop waits for it to become quiet
        daemon.send(signal.SIGTERM)
        daemon.wait("daemon.stopping")
        daemon.send(signal.SIGTERM)
        assert daemon.exit_code() == 130
    assert daemon.of("daemon.left")
    assert daemon.troubles() == []
    assert site.journal_faults() == []


def test_sigusr1_ends_only_the_streams_that_may_be_ended_so(site: Site) -> None:
    daemon = site.configure({"main": {}, "other": {"end_on": ["endlist"]}}).daemon()
    writers = [Writer(site.root / name, PAIR).step(3) for name in ("main", "other")]
    for name in ("main", "other"):
        daemon.wait("root.published", stream=name)
    daemon.send(signal.SIGUSR1)
    final = daemon.wait("root.published", final=True)
    assert (final["stream"], final["root"]) == ("main", root_of(ended(writers[0].files(endlist=False))))
    daemon.wait("session.ended", stream="main", reason="signal")
    assert daemon.of("session.ending", stream="other") == []
    daemon.send(signal.SIGUSR1)  # nothing is left to end
    daemon.stop()
    assert daemon.troubles() == []


def test_what_comes_after_sigusr1_begins_the_next_session(site: Site) -> None:
    daemon = site.configure().daemon()
    writer = Writer(site.hls, PAIR).step(3)
    daemon.wait("root.published")
    daemon.send(signal.SIGUSR1)
    first = daemon.wait("root.published", final=True)
    daemon.wait("session.ended")
    writer.step(2).end()
    second = daemon.wait("root.published", final=True, count=2)
    assert second["session"] != first["session"]
    assert second["entry"] == "master.m3u8"
    assert second["root"] == root_of(writer.files(endlist=True)), "the new playlists list the old segments too"


def test_the_next_session_after_a_restart_finds_the_multivariant_playlist(site: Site) -> None:
    first = site.configure().daemon()
    writer = Writer(site.hls, PAIR).step(3)
    first.wait("root.published")
    first.send(signal.SIGUSR1)
    first.wait("session.ended")
    first.stop()
    second = site.daemon()
    second.ready()
    writer.step(2).end()  # the multivariant playlist is not written again
    final = second.wait("root.published", final=True)
    assert final["entry"] == "master.m3u8"
    assert final["root"] == root_of(writer.files(endlist=True))
    assert final["seq"] == len(site.published())


def _reload(daemon: Daemon) -> None:
    daemon.send(signal.SIGHUP)
    daemon.wait("config.reloaded", count=len(daemon.of("config.reloaded")) + 1)


def test_sighup_adds_and_removes_a_stream(site: Site) -> None:
    daemon = site.configure({"main": {}}).daemon()
    daemon.ready()
    site.configure({"main": {}, "other": {}})
    _reload(daemon)
    writer = Writer(site.root / "other", PAIR).step(3)
    session = daemon.wait("root.published", stream="other")["session"]

    site.configure({"main": {}})
    _reload(daemon)
    daemon.wait("stream.left", stream="other")
    writer.step(3).end()
    Writer(site.hls, PAIR).step(3)
    daemon.wait("root.published", stream="main")
    assert not daemon.of("root.published", stream="other", final=True), "nobody follows it any more"

    site.configure({"main": {}, "other": {}})
    _reload(daemon)
    final = daemon.wait("root.published", stream="other", final=True)
    assert final["session"] == session, "its session stayed open"
    assert final["root"] == root_of(writer.files(endlist=True))
    assert daemon.stop() == 0
    assert daemon.troubles() == []


def test_sighup_changes_an_interval_at_once(site: Site) -> None:
    daemon = site.configure(publish_interval=RARELY).daemon()
    writer = Writer(site.hls, PAIR).step(2)
    daemon.wait("root.published")
    writer.step(2)
    daemon.wait("file.taken", path="b/segment_00003.ts")
    site.configure(publish_interval="200ms")
    _reload(daemon)
    daemon.wait("root.published", root=root_of(writer.files(endlist=False)))


def test_sighup_with_a_wrong_file_keeps_the_old_configuration_and_says_so(site: Site) -> None:
    daemon = site.configure().daemon()
    writer = Writer(site.hls, PAIR).step(2)
    daemon.wait("root.published")
    text = site.config.read_text()
    site.config.write_text(text.replace("publish_interval", "publish_intervall"))
    daemon.send(signal.SIGHUP)
    refused = daemon.wait("config.refused")
    assert "publish_intervall" in refused["reason"]
    assert str(site.config) in refused["reason"]
    writer.step(2).end()
    assert daemon.wait("root.published", final=True)["root"] == root_of(writer.files(endlist=True))


def test_sighup_says_what_needs_a_restart_and_what_the_next_session(site: Site) -> None:
    daemon = site.configure().daemon()
    daemon.ready()
    site.configure(watch="poll", retention="window", listen="off")
    daemon.send(signal.SIGHUP)
    reloaded = daemon.wait("config.reloaded")
    kept = {event["key"] for event in daemon.of("config.kept")}
    assert kept == {"stream.main.watch", "gateway.listen"}
    assert reloaded["next_session"] == ["stream.main.retention"]


def test_sighup_changes_the_log_level(site: Site) -> None:
    daemon = site.configure().daemon()
    writer = Writer(site.hls, PAIR).step(2)
    daemon.wait("root.published")
    site.config.write_text(site.config.read_text().replace('"debug"', '"info"'))
    _reload(daemon)
    told = len(daemon.of("file.taken"))
    writer.step(3).end()
    daemon.wait("root.published", final=True)
    assert len(daemon.of("file.taken")) == told
