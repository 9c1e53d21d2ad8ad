"""A transcoder that starts anew under the same names: the old session keeps its bytes, and no root mixes two runs."""

import signal

import pytest

from tests.support.checker import Checker
from tests.support.daemon import Daemon, Event, until
from tests.support.judges import ended, root_of
from tests.support.site import Site
from tests.support.transcoder import SMALL, Ffmpeg
from tests.support.writer import Writer

PAIR = ("a", "b")
OTHERS = (("a", 192, 108, 150), ("b", 128, 72, 90))  # the same names, other bytes


def no_root_mixes(site: Site, daemon: Daemon, old: Writer, new: Writer) -> None:
    """Every file under every root is of the run that wrote the root's session."""
    first = site.published()[0]["session"]
    with Checker(daemon.ready()) as checker:
        for event in site.published():
            writer = old if event["session"] == first else new
            for path in checker.check(event["root"], event["entry"]):
                rendition, _, name = path.partition("/")
                assert checker.body(f"/ipfs/{event['root']}/{path}") == writer.segment(rendition, int(name[8:13])), path
        assert checker.report.misses == []


def all_of(writer: Writer, site: Site, *, endlist: bool = False) -> Event:
    """Wait for the root of everything that was written."""
    root = root_of(writer.files(endlist=endlist))
    return until(lambda: next((one for one in site.published() if one["root"] == root), None), "a root of everything")


def test_while_its_session_runs(site: Site) -> None:
    daemon = site.configure().daemon()
    old = Writer(site.hls, PAIR, seed="old").step(6)
    all_of(old, site)
    new = old.restarted("new").step(4)  # fewer than before: the media sequence goes back
    first = daemon.wait("root.published", final=True)
    assert daemon.wait("session.ended")["reason"] == "restart"
    assert first["root"] == root_of(ended(old.files(endlist=False))), "the old session keeps its bytes"
    new.end()
    second = daemon.wait("root.published", final=True, count=2)
    assert second["session"] != first["session"]
    assert second["root"] == root_of(new.files(endlist=True)), "no file of the old run is in the new tree"
    no_root_mixes(site, daemon, old, new)
    assert daemon.troubles() == []


@pytest.mark.parametrize("end", ["endlist", "signal", "running"])
def test_one_rendition_starts_long_before_the_other(site: Site, end: str) -> None:
    """Until a rendition's new playlist is there, its old one lists names that hold new bytes."""
    daemon = site.configure().daemon()
    old = Writer(site.hls, PAIR, seed="old").step(4)
    all_of(old, site)
    if end == "endlist":
        old.end()
    elif end == "signal":
        daemon.send(signal.SIGUSR1)
    if end != "running":
        daemon.wait("session.ended")
    new = old.restarted("new")
    new.write("a")
    daemon.wait("session.started", count=2)
    (site.hls / "b" / new.segment_name(0)).write_bytes(new.segment("b", 0))
    daemon.wait("watch.scan_finished", count=len(daemon.of("watch.scan_finished")) + 4)
    new.step(3).end()
    final = all_of(new, site, endlist=True)
    daemon.wait("session.ended", session=final["session"])
    assert [event["final"] for event in site.published()].count(True) == 2
    no_root_mixes(site, daemon, old, new)


def test_while_no_daemon_runs(site: Site) -> None:
    first = site.configure().daemon()
    old = Writer(site.hls, PAIR, seed="old").step(6)
    all_of(old, site)
    first.stop()
    new = old.restarted("new").step(3)
    second = site.daemon()
    second.wait("session.ended", reason="restart")
    all_of(new, site)
    no_root_mixes(site, second, old, new)
    assert [event["seq"] for event in site.published()] == [*range(1, len(site.published()) + 1)]


@pytest.mark.ffmpeg
@pytest.mark.parametrize("fmp4", [pytest.param(False, id="ts", marks=pytest.mark.slow), pytest.param(True, id="fmp4")])
def test_a_real_transcoder_that_dies_and_comes_back(site: Site, fmp4: bool) -> None:
    daemon = site.configure(publish_interval="1s", settle="2s").daemon()
    with Ffmpeg(site.hls, 60, SMALL, fmp4=fmp4) as one:
        daemon.wait("root.published", count=4)
        one.kill()
    before = ended(site.files())
    with Ffmpeg(site.hls, 4, OTHERS, fmp4=fmp4) as other:
        other.finish()
    first = daemon.wait("root.published", final=True)
    assert daemon.wait("session.ended")["reason"] == "restart"
    assert first["root"] == root_of(before)
    second = daemon.wait("root.published", final=True, count=2)
    after = {path: data for path, data in site.files().items() if path[0] in "abm"}
    with Checker(daemon.ready()) as checker:
        for event in site.published():
            checker.check(event["root"], event["entry"])
        assert checker.report.misses == []
        media = checker.check(second["root"], second["entry"])
        assert {path: checker.body(f"/ipfs/{second['root']}/{path}") for path in media} == {
            path: after[path] for path in media
        }
