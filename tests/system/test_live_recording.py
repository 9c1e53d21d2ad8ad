"""One live stream of a real ffmpeg, three renditions, ended by its own EXT-X-ENDLIST; several judges look at what came out."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.judges.kubo import Kubo
from tests.support.checker import Following
from tests.support.daemon import Event
from tests.support.judges import PROFILE, js_ipfs, root_of
from tests.support.site import Site, takes
from tests.support.transcoder import PICTURES, Ffmpeg

pytestmark = pytest.mark.ffmpeg

SECONDS = 13
RENDITIONS = len(PICTURES)


@dataclass(frozen=True, slots=True)
class Recording:
    """A stream that was published live from its first file to its end, and the daemon has stopped since."""

    site: Site
    roots: list[Event]
    checked: Following
    exit_code: int

    @property
    def final(self) -> str:
        return str(self.roots[-1]["root"])


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    site = Site(tmp_path_factory.mktemp("recording")).configure(publish_interval="2s", settle="2s")
    daemon = site.daemon()
    try:
        with (
            Ffmpeg(site.hls, SECONDS, PICTURES, segment_s=2) as ffmpeg,
            Following(daemon.ready(), "main", site.published, site.hls) as following,
        ):
            ffmpeg.finish()
            daemon.wait("root.published", final=True)
            following.finish()
        yield Recording(site, site.published(), following, daemon.stop())
    finally:
        site.close()


def test_every_announced_root_played(recording: Recording) -> None:
    segments = SECONDS // 2 * RENDITIONS
    assert recording.checked.roots.roots == len(recording.roots) >= SECONDS // 2 - 2
    assert recording.checked.roots.fetched > len(recording.roots) * (1 + RENDITIONS) + segments


def test_publications_were_numbered_without_holes_and_only_the_last_is_final(recording: Recording) -> None:
    assert [root["seq"] for root in recording.roots] == [*range(1, len(recording.roots) + 1)]
    assert [root["final"] for root in recording.roots] == [False] * (len(recording.roots) - 1) + [True]
    assert len({root["session"] for root in recording.roots}) == 1
    lines = recording.site.announced()
    assert [(one["seq"], one["root"], one["final"]) for one in lines] == [
        (one["seq"], one["root"], one["final"]) for one in recording.roots
    ]


def test_every_file_was_taken_once_and_nothing_is_left_over(recording: Recording) -> None:
    counts = takes(recording.site.daemons)
    media = {key: count for key, count in counts.items() if not key[0].endswith(".m3u8")}
    assert set(media.values()) == {1}
    assert {path for path, _ in counts} == recording.site.files().keys()
    assert recording.exit_code == 0
    assert recording.site.daemons[0].troubles() == []
    assert recording.site.spooled() == []
    assert recording.site.journal_faults() == []


def test_the_final_root_is_that_of_the_directory(recording: Recording) -> None:
    assert recording.final == root_of(recording.site.files())


def test_the_final_root_is_what_hlspub_cid_says(recording: Recording) -> None:
    said = recording.site.hlspub("cid", str(recording.site.hls), "--json")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["cid"] == recording.final


@pytest.mark.kubo
def test_the_final_root_is_what_kubo_computes(recording: Recording, tmp_path: Path) -> None:
    assert recording.final == Kubo(tmp_path / "kubo", PROFILE).root_of(recording.site.hls)


@pytest.mark.node
def test_the_final_root_is_what_js_ipfs_computes(recording: Recording) -> None:
    assert recording.final == js_ipfs(recording.site.hls)


def test_status_tells_the_session_after_the_daemon_is_gone(recording: Recording) -> None:
    said = recording.site.hlspub("status", "--json")
    assert said.returncode == 0, said.stderr
    stream = json.loads(said.stdout)["streams"][0]
    assert stream["name"] == "main"
    assert stream["root"] == recording.final
    assert [(one["reason"], one["root"], one["final"]) for one in stream["sessions"]] == [
        ("endlist", recording.final, True)
    ]


def test_publishing_the_directory_again_gives_the_same_root(recording: Recording, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('data_dir = "data"\n', encoding="utf-8")
    done: subprocess.CompletedProcess[str] = Site(tmp_path).hlspub("publish", str(recording.site.hls), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["root"] == recording.final
