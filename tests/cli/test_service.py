"""The commands that speak with a daemon, and those that do its work: run, publish, status, end, on real processes."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pytest

from hlspub.cli.publish import PROFILES, stream_name
from hlspub.cli.status import text
from hlspub.config.model import Publish
from hlspub.config.places import JOURNAL_NAME
from tests.cli.conftest import PLAYLIST, Hlspub

DEADLINE_S = 30.0
CONFIG = (
    'data_dir = "data"\n[stream.main]\npath = "hls"\npublish_interval = "200ms"\n[gateway]\nlisten = "127.0.0.1:0"\n'
)


def until(there: Callable[[], Any]) -> Any:
    """What `there` answers, as soon as that is true."""
    deadline = time.monotonic() + DEADLINE_S
    while not (answer := there()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return answer


@contextmanager
def daemon(config: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A running `hlspub run` and its daemon.ready event; it is stopped in the end."""
    command = [sys.executable, "-m", "hlspub", "run", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            events = (json.loads(line) for line in process.stderr)
            yield process, next(event for event in events if event["event"] == "daemon.ready")
        finally:
            process.terminate()
            process.communicate(timeout=DEADLINE_S)


def written(directory: Path, segments: int) -> None:
    """A live media playlist and its segments, as a transcoder leaves them."""
    directory.mkdir(exist_ok=True)
    lines = [PLAYLIST]
    for number in range(segments):
        (directory / f"s{number}.ts").write_bytes(bytes([number]) * 188)
        lines.append(f"#EXTINF:2.0,\ns{number}.ts\n")
    temporary = directory / "index.m3u8.tmp"
    temporary.write_text("".join(lines))
    temporary.rename(directory / "index.m3u8")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(CONFIG)
    return file


def test_status_and_end_reach_the_daemon_and_see_when_it_is_gone(hlspub: Hlspub, tmp_path: Path, config: Path) -> None:
    written(tmp_path / "hls", 3)
    with daemon(config) as (process, ready):
        second = hlspub("run", "--config", config)
        assert second.code == 75
        assert str(tmp_path / "data") in second.err

        counter = itertools.count(4)

        def published() -> dict[str, Any] | None:
            written(tmp_path / "hls", next(counter))
            (stream,) = hlspub("status", "--config", config, "--json").json["streams"]
            return stream if stream["root"] else None

        stream = until(published)
        assert (stream["name"], stream["state"], stream["entry"]) == ("main", "running", "index.m3u8")
        assert stream["entry_url"] == f"{ready['gateway']}/live/main/index.m3u8"
        shown = hlspub("status", "--config", config)
        assert shown.out.startswith(f"hlspub runs; its data is in {tmp_path}/data\n\nmain  running\n")
        assert f"ipfs://{stream['root']}/index.m3u8" in shown.out
        assert "gateway.listen" in hlspub("check", "--config", config).out

        unknown = hlspub("end", "--config", config, "other")
        assert unknown.code == 66
        assert "'other'" in unknown.err

        ended = hlspub("end", "--config", config, "main", "--wait", "30s", "--json")
        assert ended.code == 0
        assert ended.json["state"] == "ended"
        assert hlspub("end", "--config", config, "main").code == 66  # nothing to end any more
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0

    after = hlspub("status", "--config", config, "--json").json
    assert after["daemon"] == "stopped"
    (stream,) = after["streams"]
    assert (stream["root"], stream["final"], stream["entry_url"]) == (ended.json["root"], True, None)
    assert hlspub("status", "--config", config).out.startswith("no hlspub runs")

    late = hlspub("end", "--config", config, "main")
    assert (late.code, late.out) == (69, "")
    assert "no hlspub runs" in late.err


def test_run_refuses_a_configuration_without_streams(hlspub: Hlspub, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('data_dir = "data"')
    result = hlspub("run", "--config", config)
    assert result.code == 78
    assert "no stream is configured" in result.err
    assert not (tmp_path / "data").exists()


def test_status_without_a_journal_names_the_path(hlspub: Hlspub, tmp_path: Path, config: Path) -> None:
    result = hlspub("status", "--config", config)
    assert (result.code, result.out) == (66, "")
    assert f"{tmp_path}/data/{JOURNAL_NAME}" in result.err


def test_status_of_another_users_data_is_refused(hlspub: Hlspub) -> None:
    me = os.geteuid()
    with TemporaryDirectory() as place:  # a place that everyone may enter, unlike pytest's
        config, data = Path(place, "config.toml"), Path(place, "data")
        Path(place).chmod(0o755)
        config.write_text(CONFIG)
        data.mkdir(mode=0o700 if me == 0 else 0)
        os.seteuid(65534 if me == 0 else me)  # root may read everything, so be nobody for a moment
        try:
            result = hlspub("status", "--config", config)
        finally:
            os.seteuid(me)
            data.chmod(0o700)
    assert (result.code, result.out) == (77, "")
    assert str(data) in result.err


def test_publishing_a_finished_directory_answers_with_its_root(hlspub: Hlspub, tmp_path: Path, show: Path) -> None:
    result = hlspub("publish", show, "--data-dir", tmp_path / "data", "--json")
    assert result.code == 0
    assert result.err == ""  # no terminal, no talk
    answer = result.json
    assert (answer["stream"], answer["entry"], answer["files"]) == ("my-show", "index.m3u8", 4)
    assert answer["bytes"] == sum(file.stat().st_size for file in show.iterdir())
    assert answer["targets"] == {"local": {"state": "confirmed"}}
    assert answer["root"] == hlspub("cid", show, "--json").json["cid"]
    again = hlspub("publish", show, "--data-dir", tmp_path / "other")
    assert again.code == 0
    assert f"ipfs://{answer['root']}/index.m3u8" in again.out


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_can_be_chosen(hlspub: Hlspub, tmp_path: Path, show: Path, profile: str) -> None:
    options = ("--profile", profile, "--json")
    root = hlspub("publish", show, "--data-dir", tmp_path / "data", *options).json["root"]
    assert root == hlspub("cid", show, *options).json["cid"]


def test_the_profiles_are_those_of_the_configuration() -> None:
    assert get_args(Publish.model_fields["profile"].annotation) == PROFILES


@pytest.mark.parametrize(
    ("directory", "name"),
    [("/a/My Show", "my-show"), ("/a/x_1", "x_1"), ("/", "stream"), ("/a/__", "stream"), ("/a/Größe 2", "gr-e-2")],
)
def test_a_streams_name_is_made_from_its_directory(directory: str, name: str) -> None:
    assert stream_name(Path(directory)) == name


@pytest.mark.parametrize("missing", ["absent", "show/index.m3u8"])
def test_publishing_needs_a_directory(hlspub: Hlspub, tmp_path: Path, missing: str) -> None:
    result = hlspub("publish", tmp_path / missing, "--data-dir", tmp_path / "data")
    assert (result.code, result.out) == (66, "")
    assert "there is no such directory" in result.err


STREAM: dict[str, Any] = {
    "name": "main",
    "state": "running",
    "directory": "/hls",
    "sessions": [{"id": "S-1", "started": 900.0, "ended": None, "reason": None}],
    "root": "bafyroot",
    "entry": "master.m3u8",
    "seq": 7,
    "published_at": 996.0,
    "final": False,
    "segments": 12,
    "pending": 2,
}
TARGET: dict[str, Any] = {
    "name": "node",
    "state": "degraded",
    "backlog_cars": 3,
    "backlog_bytes": 2048,
    "oldest_pending_seconds": 200.0,
    "error": "connection refused",
    "next_try_in_seconds": 5.0,
}


def told(stream: dict[str, Any] | None = None, **more: Any) -> str:
    answer = {"daemon": "running", "data_dir": "/d", "streams": [STREAM | (stream or {})], "targets": [TARGET]} | more
    return text(answer, 1000.0)


def test_status_tells_a_stream_in_a_block_and_targets_in_lines() -> None:
    assert told() == (
        "hlspub runs; its data is in /d\n\n"
        "main  running\n"
        "  directory  /hls\n"
        "  session    S-1, began 1 min 40 s ago\n"
        "  root       bafyroot  #7, 4 s ago\n"
        "  entry      ipfs://bafyroot/master.m3u8\n"
        "  segments   12, 2 pending\n\n"
        "targets\n"
        "  node  degraded  3 CARs (2.0 KiB) wait, the oldest for 3 min 20 s; connection refused; next try in 5 s"
    )


def test_status_tells_what_a_stream_waits_for_and_what_was_refused() -> None:
    shown = told(
        {
            "state": "needs_entry",
            "candidates": ["a.m3u8", "b.m3u8"],
            "waiting_for": [{"playlist": "v/index.m3u8", "absent": ["s1.ts", "s2.ts", "s3.ts", "s4.ts"]}],
            "refused": [{"path": "x.m3u8", "reason": "it is HTML"}],
        }
    )
    assert '  entry?     name one as entry = "…": a.m3u8, b.m3u8\n' in shown
    assert "  waits      v/index.m3u8 for s1.ts, s2.ts, s3.ts\n" in shown
    assert "  refused    x.m3u8: it is HTML\n" in shown


def test_status_tells_of_an_ended_session_and_of_none() -> None:
    ended = {"id": "S-1", "started": 0.0, "ended": 940.0, "reason": "idle"}
    assert "S-1, ended 1 min ago (idle)" in told({"sessions": [ended]})
    waiting = told({"state": "waiting", "sessions": [], "root": None, "segments": 0, "pending": 0})
    assert "main  waiting\n  directory  /hls\n  segments   0, 0 pending" in waiting
    assert "no stream has been followed yet" in told(streams=[], targets=[])
