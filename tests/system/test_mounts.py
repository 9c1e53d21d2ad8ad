"""File systems that refuse: the transcoder's, mounted read-only as the unit mounts it, and a full one below the data."""

import subprocess
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.disks import small_disk
from tests.support.checker import Checker
from tests.support.daemon import until
from tests.support.judges import root_of
from tests.support.onlooker import listing
from tests.support.site import Site
from tests.support.writer import Running, Writer

PAIR = ("a", "b")
_READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'


def fill(ballast: Path) -> None:
    """Leave no room on a file system."""
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 12)):
            pass


def test_a_directory_that_is_mounted_read_only_is_followed_all_the_same(site: Site) -> None:
    """Its own mount namespace, where hlspub cannot write there if it would; the transcoder writes outside of it."""
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not make a mount namespace")
    site.configure()
    site.before = ["unshare", "--mount", "sh", "-c", _READ_ONLY, "sh", str(site.hls)]
    daemon = site.daemon()
    daemon.ready()
    hidden = Path(f"/proc/{daemon.pid}/root{site.hls}")
    with pytest.raises(OSError, match="Read-only"):
        (hidden / "probe").touch()
    writer = Writer(site.hls, PAIR)
    for number in range(20):
        (site.hls / f"late{number}").mkdir()  # a directory that comes while it runs
        (site.hls / f"late{number}" / "unlisted.txt").write_bytes(b"x")
        writer.step()
    writer.end()
    final = daemon.wait("root.published", final=True)
    assert final["root"] == root_of(writer.files(endlist=True))
    assert daemon.troubles() == []


def test_a_full_disk_stops_the_taking_aloud_and_what_vanished_meanwhile_is_a_gap(site: Site) -> None:
    """Live and final; what is still there when there is room again is taken."""
    with small_disk(site.data, "12m"), closing(site):
        daemon = site.configure().daemon()
        daemon.ready()
        writer = Writer(site.hls, PAIR, window=6, keep=4, target_s=1).step(4)
        daemon.wait("file.taken", path="b/index.m3u8")
        daemon.wait("root.published")
        fill(ballast := site.data / "ballast")
        with Running(writer, 0.15, 24) as running:  # of these the first vanish, untaken
            daemon.wait("intake.stopped")
            running.join()
        told = len(daemon.of("intake.stopped", "journal.blocked"))
        ballast.unlink()
        there = {path for path in site.files() if path.endswith(".ts")}
        until(lambda: there <= {event["path"] for event in daemon.of("file.taken")}, "what is still there is taken")
        writer.step(2)
        daemon.wait("file.taken", path=f"b/{writer.segment_name(writer.number - 1)}")
        live = [daemon.wait("root.published", count=len(daemon.of("root.published")) + 1)]
        writer.end()
        final = daemon.wait("root.published", final=True)
        with Checker(daemon.ready()) as checker:
            for event in (*live, final):
                checker.check(event["root"], event["entry"])
            assert checker.report.misses == []
            text = checker.text(f"/ipfs/{final['root']}/a/index.m3u8") or ""
        gaps = text.count("#EXT-X-GAP")
        assert sorted(listing(text).segments) == list(range(writer.number))
        assert 0 < gaps < writer.number - 10
        assert told < 10
        assert daemon.stop() == 0
        assert site.journal_faults() == []
        assert site.spooled() == []
