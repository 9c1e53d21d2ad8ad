"""Many streams in one directory: subdirectories, playlists side by side, and one that is cut by its age."""

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx

from tests.support.checker import Checker, Following
from tests.support.daemon import Daemon, until
from tests.support.judges import ended, root_of
from tests.support.site import Site
from tests.support.writer import Running, Writer, replace

PAIR = ("a", "b")
FLAT = ("cam1", "cam10", "cam1_low")


@dataclass
class Beside(Writer):
    """Writes NAME.m3u8, or a multivariant NAME.m3u8 over NAME_hi and NAME_lo, and numbered files beside them."""

    name: str = ""

    def step(self, count: int = 1) -> "Beside":
        for _ in range(count):
            for rendition in self.renditions:
                stem = f"{self.name}{rendition}"
                (self.directory / f"{stem}{self.number}.ts").write_bytes(self.segment(stem, self.number))
                replace(self.directory / f"{stem}.m3u8", self.text(stem, self.number + 1))
            self.number += 1
            if self.number == 1 and self.renditions != ("",):
                replace(self.directory / f"{self.name}.m3u8", self.top())
        return self

    def end(self) -> "Beside":
        for rendition in self.renditions:
            stem = f"{self.name}{rendition}"
            replace(self.directory / f"{stem}.m3u8", self.text(stem, self.number, endlist=True))
        return self

    def top(self) -> bytes:
        lines = ["#EXTM3U"]
        for rendition in self.renditions:
            lines += ["#EXT-X-STREAM-INF:BANDWIDTH=400000", f"{self.name}{rendition}.m3u8"]
        return ("\n".join(lines) + "\n").encode()

    def text(self, stem: str, count: int, *, endlist: bool = False) -> bytes:
        lines = ["#EXTM3U", "#EXT-X-VERSION:6", f"#EXT-X-TARGETDURATION:{self.target_s}", "#EXT-X-MEDIA-SEQUENCE:0"]
        for number in range(count):
            lines += [f"#EXTINF:{self.target_s}.000000,", f"{stem}{number}.ts"]
        return ("\n".join([*lines, *(["#EXT-X-ENDLIST"] if endlist else [])]) + "\n").encode()

    def all(self) -> dict[str, bytes]:
        files = {} if self.renditions == ("",) else {f"{self.name}.m3u8": self.top()}
        for rendition in self.renditions:
            stem = f"{self.name}{rendition}"
            files[f"{stem}.m3u8"] = self.text(stem, self.number, endlist=True)
            files |= {f"{stem}{n}.ts": self.segment(stem, n) for n in range(self.number)}
        return files


@contextmanager
def running(*writers: Writer, steps: int = 30) -> Iterator[None]:
    """All of them at once, to their ends."""
    with ExitStack() as stack:
        threads = [stack.enter_context(Running(one, 0.15, steps, lambda one: one.end())) for one in writers]
        yield
        for thread in threads:
            thread.join()


def finals(daemon: Daemon, *names: str) -> list[str]:
    return [str(daemon.wait("root.published", stream=name, final=True)["root"]) for name in names]


def test_each_subdirectory_is_a_stream_from_its_first_playlist_on(site: Site) -> None:
    daemon = site.configure({"shows": {"layout": "nested"}}).daemon()
    base = daemon.ready()
    top = site.root / "shows"
    (top / "empty").mkdir()
    (top / ".hidden").mkdir()
    (top / ".hidden" / "index.m3u8").write_bytes(b"#EXTM3U\n")
    writers = [Writer(top / name, PAIR, seed=name) for name in ("one", "two words")]
    names = ("shows/one", "shows/two words")
    with ExitStack() as stack:
        followed = [
            stack.enter_context(Following(base, name, lambda name=name: site.published(name))) for name in names
        ]
        with running(*writers):
            pass
        roots = finals(daemon, *names)
        for following in followed:
            following.finish()
    assert roots == [root_of(writer.files(endlist=True)) for writer in writers]
    assert {stream["name"] for stream in httpx.get(f"{base}/api/status").json()["streams"]} == set(names)
    live = httpx.get(f"{base}/live/shows/two%20words/", follow_redirects=True)
    assert live.text == writers[1].master().decode()
    assert httpx.get(f"{base}/play/shows/two%20words").status_code == 200
    said = json.loads(site.hlspub("status", "--json").stdout)
    assert all("/live/shows/two%20words/" in one["entry_url"] for one in said["streams"] if "two" in one["name"])
    shutil.rmtree(top / "one")
    daemon.wait("stream.left", stream="shows/one")
    assert daemon.stop() == 0
    assert daemon.troubles() == []


def test_a_nested_stream_goes_on_after_a_kill(site: Site) -> None:
    site.configure({"shows": {"layout": "nested"}})
    first = site.daemon()
    first.ready()
    writer = Writer(site.root / "shows" / "one", PAIR).step(5)
    first.wait("root.published", stream="shows/one")
    first.kill()
    writer.step(3)
    second = site.daemon()
    second.ready()
    writer.step(2).end()
    assert finals(second, "shows/one") == [root_of(writer.files(endlist=True))]
    assert len({event["session"] for event in site.published("shows/one")}) == 1
    assert second.stop() == 0


def test_playlists_side_by_side_are_streams_of_their_own(site: Site) -> None:
    daemon = site.configure({"cams": {"layout": "flat"}}).daemon()
    base = daemon.ready()
    writers = [Beside(site.root / "cams", ("",), seed=name, name=name) for name in FLAT]
    writers.append(Beside(site.root / "cams", ("_hi", "_lo"), seed="x", name="cam2"))
    names = [f"cams/{writer.name}" for writer in writers]
    with ExitStack() as stack:
        followed = [
            stack.enter_context(Following(base, name, lambda name=name: site.published(name))) for name in names
        ]
        with running(*writers):
            pass
        roots = finals(daemon, *names)
        for following in followed:
            following.finish()
    assert roots == [root_of(writer.all()) for writer in writers]
    assert {event["stream"] for event in daemon.of("root.published")} == set(names)
    assert daemon.stop() == 0
    assert daemon.troubles() == []
    assert site.journal_faults() == []


def test_a_stream_is_cut_at_its_age_and_goes_on(site: Site) -> None:
    daemon = site.configure(rotate="2s").daemon()
    base = daemon.ready()
    writer = Writer(site.hls, PAIR, window=40)
    with Following(base, "main", site.published) as following:
        with running(writer, steps=50):
            daemon.wait("root.published", final=True, count=2)
        daemon.send(signal.SIGUSR1)
        until(lambda: all(one["state"] in ("ended", "waiting") for one in _streams(site)), "the last session is over")
        following.finish()
    last = [event for event in site.published() if event["final"]]
    assert {event["reason"] for event in daemon.of("session.ended")} >= {"rotate"}
    numbers: set[int] = set()
    with Checker(base) as checker:
        for final in last:
            text = checker.text(f"/ipfs/{final['root']}/a/index.m3u8") or ""
            assert text.endswith("#EXT-X-ENDLIST\n")
            numbers |= {int(line[8:13]) for line in text.splitlines() if line.startswith("segment_")}
    assert numbers == set(range(50))
    assert daemon.stop() == 0


def _streams(site: Site) -> list[dict[str, str]]:
    return json.loads(site.hlspub("status", "--json").stdout)["streams"]


def test_a_flat_stream_that_was_left_without_an_end_is_a_stream_once_it_has_rested(site: Site) -> None:
    site.configure({"cams": {"layout": "flat", "idle": "1s"}})
    writer = Beside(site.root / "cams", ("",), name="cam1").step(4)
    daemon = site.daemon()
    daemon.ready()
    files = ended({f"cam1{n}.ts": writer.segment("cam1", n) for n in range(4)} | {"cam1.m3u8": writer.text("cam1", 4)})
    assert finals(daemon, "cams/cam1") == [root_of(files)]
    assert daemon.stop() == 0
