"""Live streams of a real ffmpeg, and every way in which a session ends."""

import json
import signal

import pytest

from tests.support.checker import Checker, Following, references
from tests.support.judges import ended, root_of
from tests.support.site import Site
from tests.support.transcoder import SMALL, Ffmpeg

pytestmark = pytest.mark.ffmpeg

OPEN = ("-hls_list_size", "0", "-hls_flags", "omit_endlist")
SPEED = 1.5
SECONDS = 10


def test_sigusr1_ends_a_stream_whose_playlists_stayed_open(site: Site) -> None:
    daemon = site.configure(publish_interval="1s", settle="2s").daemon()
    with (
        Ffmpeg(site.hls, SECONDS, SMALL, speed=SPEED, hls=OPEN) as ffmpeg,
        Following(daemon.ready(), "main", site.published, site.hls) as following,
    ):
        ffmpeg.finish()
        assert daemon.of("session.ending") == []
        daemon.send(signal.SIGUSR1)
        final = daemon.wait("root.published", final=True)
        following.finish()
    written = site.files()
    assert b"EXT-X-ENDLIST" not in written["a/index.m3u8"]
    assert final["root"] == root_of(ended(written))
    assert daemon.wait("session.ended")["reason"] == "signal"
    assert daemon.stop() == 0
    assert daemon.troubles() == []


def test_hlspub_end_waits_for_the_final_root(site: Site) -> None:
    daemon = site.configure(publish_interval="1s", settle="2s").daemon()
    with (
        Ffmpeg(site.hls, SECONDS, SMALL, speed=SPEED, hls=OPEN) as ffmpeg,
        Following(daemon.ready(), "main", site.published, site.hls) as following,
    ):
        ffmpeg.finish()
        said = site.hlspub("end", "main", "--wait", "20s", "--json")
        following.finish()
    assert said.returncode == 0, said.stderr
    answer = json.loads(said.stdout)
    final = daemon.of("root.published")[-1]
    assert final["final"]
    assert answer == {"stream": "main", "session": final["session"], "root": final["root"], "state": "ended"}
    assert answer["root"] == root_of(ended(site.files()))
    assert daemon.wait("session.ended")["reason"] == "command"


def test_a_stream_that_falls_silent_ends_by_itself(site: Site) -> None:
    daemon = site.configure(publish_interval="1s", settle="2s", idle="3s").daemon()
    with Following(daemon.ready(), "main", site.published, site.hls) as following:
        with Ffmpeg(site.hls, 60, SMALL) as ffmpeg:
            daemon.wait("root.published", count=3)
            ffmpeg.kill()  # a transcoder that dies says nothing
        final = daemon.wait("root.published", final=True)
        following.finish()
    assert daemon.wait("session.ended")["reason"] == "idle"
    assert final["root"] == root_of(ended(site.files()))


def test_a_single_media_playlist_is_a_stream_too(site: Site) -> None:
    daemon = site.configure(publish_interval="1s", settle="2s").daemon()
    with (
        Ffmpeg(site.hls, SECONDS, SMALL[:1], speed=SPEED, master=False) as ffmpeg,
        Following(daemon.ready(), "main", site.published, site.hls) as following,
    ):
        ffmpeg.finish()
        final = daemon.wait("root.published", final=True)
        following.finish()
    assert {root["entry"] for root in site.published()} == {"index.m3u8"}
    assert final["root"] == root_of(site.files())
    assert daemon.wait("session.ended")["reason"] == "endlist"


def test_fmp4_with_its_initialization_sections(site: Site) -> None:
    daemon = site.configure(publish_interval="1s", settle="2s").daemon()
    with (
        Ffmpeg(site.hls, SECONDS, SMALL, speed=SPEED, fmp4=True) as ffmpeg,
        Following(daemon.ready(), "main", site.published, site.hls) as following,
    ):
        ffmpeg.finish()
        final = daemon.wait("root.published", final=True)
        following.finish()
    written = site.files()
    assert sum(path.endswith(".mp4") for path in written) == len(SMALL)
    assert final["root"] == root_of(written)


def test_a_sliding_window_is_kept_whole_or_as_it_slides(site: Site) -> None:
    """The same transcoder twice: `archive` keeps what was ever listed, `window` what the newest playlists list."""
    window = ("-hls_list_size", "3", "-hls_flags", "delete_segments")
    pace = {"publish_interval": "500ms", "settle": "2s"}
    site.configure({"main": {**pace, "retention": "archive"}, "slide": {**pace, "retention": "window"}})
    daemon = site.daemon()
    base = daemon.ready()
    slides = site.root / "slide"
    with (
        Ffmpeg(site.hls, SECONDS, SMALL[:2], speed=SPEED, hls=window) as one,
        Ffmpeg(slides, SECONDS, SMALL[:2], speed=SPEED, hls=window) as other,
        Following(base, "main", lambda: site.published("main")) as archive,
        Following(base, "slide", lambda: site.published("slide")) as sliding,
    ):
        one.finish()
        other.finish()
        kept = daemon.wait("root.published", stream="main", final=True)
        slid = daemon.wait("root.published", stream="slide", final=True)
        archive.finish()
        sliding.finish()

    listed = {f"{name}/{each.uri}" for name in "ab" for each in references((slides / name / "index.m3u8").read_text())}
    published = {path: data for path, data in site.files("slide").items() if path in listed or path.endswith(".m3u8")}
    assert slid["root"] == root_of(published)

    taken = {event["path"] for event in daemon.of("file.taken", stream="main")}
    deleted = {path for path in taken if path.endswith(".ts")} - site.files("main").keys()
    assert len(deleted) >= 2 * (SECONDS // 2)
    with Checker(base) as checker:
        for path in sorted(deleted):
            assert checker.fetch(f"/ipfs/{kept['root']}/{path}"), path
        assert checker.report.misses == []
