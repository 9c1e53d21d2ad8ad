"""What goes wrong around the daemon: it says so clearly, loses nothing and lives."""

import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checker import Checker
from tests.support.daemon import Daemon, until
from tests.support.judges import root_of
from tests.support.powerless import powerless
from tests.support.site import Site
from tests.support.writer import Writer, replace

PAIR = ("a", "b")


def _live_and_well(site: Site, daemon: Daemon, writer: Writer) -> None:
    """The stream goes on to its end, and its final root is whole."""
    writer.step(2).end()
    final = daemon.wait("root.published", final=True)
    assert final["root"] == root_of(writer.files(endlist=True))
    assert daemon.stop() == 0


def test_three_mistakes_are_all_shown(site: Site) -> None:
    site.configure(publish_intervall="1s", idle="soon", retention="archiv")
    daemon = site.daemon()
    assert daemon.exit_code() == 78
    said = daemon.text()
    for words in (
        ("publish_intervall", "publish_interval"),
        ("idle", "soon"),
        ("retention", "archiv", "archive"),
        (str(site.config),),
    ):
        assert all(word in said for word in words), said
    assert not site.data.exists()


def test_a_missing_directory_is_waited_for(site: Site) -> None:
    site.configure()
    site.hls.rmdir()
    daemon = site.daemon()
    assert str(site.hls) in daemon.wait("watch.root_missing")["root"]
    daemon.ready()
    writer = Writer(site.hls, PAIR).step(3)
    daemon.wait("watch.root_appeared")
    daemon.wait("root.published")
    _live_and_well(site, daemon, writer)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        pytest.param(b"<!doctype html><html><body>502 Bad Gateway</body></html>", "HTML", id="HTML"),
        pytest.param(b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ns\xff\xfe.ts\n", "UTF-8", id="not UTF-8"),
        pytest.param(b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ns%FF.ts\n", "UTF-8", id="not UTF-8 when decoded"),
        pytest.param(b"\x00\x01\x02" * 100, "NUL", id="binary"),
        pytest.param(b"", "", id="empty"),
    ],
)
def test_a_playlist_that_is_none(site: Site, content: bytes, word: str) -> None:
    daemon = site.configure().daemon()
    writer = Writer(site.hls, PAIR).step(2)
    daemon.wait("root.published")
    replace(site.hls / "a" / "index.m3u8", content)
    refused = daemon.wait("file.refused", path="a/index.m3u8")
    assert word in refused["reason"]
    status = site.hlspub("status", "--json").stdout
    assert "a/index.m3u8" in status
    _live_and_well(site, daemon, writer)
    assert not daemon.of("segment.lost")


def test_a_file_that_vanishes_before_it_is_read(site: Site) -> None:
    daemon = site.configure().daemon()
    writer = Writer(site.hls, PAIR).step(2)
    daemon.wait("root.published")
    daemon.send(signal.SIGSTOP)
    (site.hls / "a" / "short_lived.ts").write_bytes(b"here and gone")
    (site.hls / "a" / "short_lived.ts").unlink()
    daemon.send(signal.SIGCONT)
    daemon.wait("file.vanished", path="a/short_lived.ts")
    _live_and_well(site, daemon, writer)
    assert daemon.troubles() == []


def test_a_listed_segment_that_vanishes_becomes_a_gap(site: Site) -> None:
    daemon = site.configure().daemon()
    writer = Writer(site.hls, PAIR, target_s=1).step(2)
    daemon.wait("root.published")
    daemon.send(signal.SIGSTOP)
    writer.step()
    (site.hls / "b" / writer.segment_name(2)).unlink()
    daemon.send(signal.SIGCONT)
    daemon.wait("segment.lost", path="b/" + writer.segment_name(2))
    writer.step(2).end()
    final = daemon.wait("root.published", final=True)
    with Checker(daemon.ready()) as checker:
        media = checker.check(final["root"], final["entry"])
        assert checker.report.misses == []
        assert len(media) == 2 * 5 - 1
        text = checker.text(f"/ipfs/{final['root']}/b/index.m3u8")
        assert text is not None
        assert f"#EXT-X-GAP\n{writer.segment_name(2)}\n" in text


def test_playlists_that_list_one_another(site: Site) -> None:
    """Two that wait for each other, and five that wait for the same segment, must not stop the intake."""
    daemon = site.configure(entry="master.m3u8").daemon()
    daemon.ready()
    daemon.send(signal.SIGSTOP)
    for one, other in (("x", "y"), ("y", "x")):
        text = f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{other}.m3u8\n"
        replace(site.hls / f"{one}.m3u8", text.encode())
    for number in range(5):
        text = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nshared.ts\n"
        replace(site.hls / f"copy{number}.m3u8", text.encode())
    (site.hls / "shared.ts").write_bytes(bytes(100_000))
    daemon.send(signal.SIGCONT)
    daemon.wait("file.taken", path="shared.ts")
    writer = Writer(site.hls, PAIR).step(2)
    daemon.wait("root.published")
    _live_and_well(site, daemon, writer)


def test_keys_stay_where_they_are(site: Site) -> None:
    daemon = site.configure(include=["*.jpg"]).daemon()
    (site.hls / "enc.key").write_bytes(bytes(16))
    (site.hls / "poster.jpg").write_bytes(b"a picture")
    (site.hls / "notes.txt").write_text("not for the public")
    writer = Writer(site.hls, ("",))
    playlist = writer.playlist(2, endlist=True).replace(
        b"#EXTINF", b'#EXT-X-KEY:METHOD=AES-128,URI="enc.key"\n#EXTINF', 1
    )
    segments = {writer.segment_name(number): writer.segment("", number) for number in range(2)}
    for name, data in segments.items():
        (site.hls / name).write_bytes(data)
    replace(site.hls / "index.m3u8", playlist)
    final = daemon.wait("root.published", final=True)
    assert final["root"] == root_of({"index.m3u8": playlist, "poster.jpg": b"a picture", **segments})
    assert "enc.key" not in {event["path"] for event in daemon.of("file.taken")}


def test_a_second_instance_is_told_who_has_the_directory(site: Site) -> None:
    first = site.configure().daemon()
    first.ready()
    second = site.daemon()
    assert second.exit_code() == 75
    assert f"pid {first.pid}" in second.text()
    assert str(site.data) in second.text()
    _live_and_well(site, first, Writer(site.hls, PAIR))


def test_a_port_that_is_taken(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        daemon = site.configure(listen=address).daemon()
        assert daemon.exit_code() == 78
    assert address in daemon.text()
    assert "[gateway] listen" in daemon.text()
    assert "Traceback" not in daemon.text()


def test_a_directory_that_is_replaced(site: Site) -> None:
    daemon = site.configure().daemon()
    writer = Writer(site.hls, PAIR).step(3)
    daemon.wait("root.published")
    daemon.wait("file.taken", path="b/segment_00002.ts")
    moved = site.root / "moved"
    site.hls.rename(moved)
    shutil.copytree(moved, site.hls)
    until(lambda: daemon.of("watch.root_replaced", "watch.root_appeared"), "the other directory is noticed")
    _live_and_well(site, daemon, writer)
    assert len({event["session"] for event in site.published()}) == 1


@pytest.fixture
def powerless_site() -> Iterator[Site]:
    """A site whose daemon is held by the permissions of files, also where this test is root."""
    with tempfile.TemporaryDirectory(prefix="hlspub-") as folder:
        site = Site(Path(folder), before=powerless())
        site.data.mkdir()
        yield site
        site.close()


def test_a_file_that_may_not_be_read(powerless_site: Site) -> None:
    site = powerless_site
    daemon = site.configure().daemon()
    writer = Writer(site.hls, PAIR).step(2)
    daemon.wait("root.published")
    secret = site.hls / "a" / writer.segment_name(2)
    secret.touch(mode=0o200)
    secret.chmod(0o200)
    secret.write_bytes(writer.segment("a", 2))
    refused = daemon.wait("file.refused", path=f"a/{secret.name}")
    assert "may not read" in refused["reason"]
    assert "group" in refused["hint"]
    secret.chmod(0o644)
    _live_and_well(site, daemon, writer)


def test_a_data_directory_that_may_not_be_written(powerless_site: Site) -> None:
    site = powerless_site
    site.configure()
    site.data.chmod(0o555)
    daemon = site.daemon()
    assert daemon.exit_code() == 77
    assert str(site.data) in daemon.text()
    site.data.chmod(0o755)


def test_what_may_be_a_key_is_not_taken_whatever_its_name_says(site: Site) -> None:
    daemon = site.configure(include=["*.bin", "*.keyinfo"]).daemon()
    daemon.ready()
    writer = Writer(site.hls, ("",))
    others = (("a.keyinfo", b"k\n"), ("note.bin", b"note"))
    for name, content in (("k1.bin", bytes(16)), ("k2.bin", bytes(32)), ("k3.ts", bytes(range(16))), *others):
        (site.hls / name).write_bytes(content)
    writer.step(2).end()
    final = daemon.wait("root.published", final=True)
    assert final["root"] == root_of(writer.files(endlist=True) | {"note.bin": b"note"})
    refused = {event["path"]: event["reason"] for event in daemon.of("file.refused")}
    assert refused == {
        name: f"{name} is {size} bytes long, as content keys are"
        for name, size in (("k1.bin", 16), ("k2.bin", 32), ("k3.ts", 16))
    }
