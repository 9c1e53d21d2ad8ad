import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from hlspub.cli.demo import PORT, event_of, first_of, free_port, lines
from hlspub.cli.demo_source import RENDITIONS, arguments, find_ffmpeg
from hlspub.errors import InputError
from tests.cli.conftest import Hlspub

DEADLINE_S = 120.0


def test_the_source_writes_each_rendition_into_a_folder_of_its_own() -> None:
    command = arguments("ffmpeg", Path("/d"), clock=False)
    assert command[-1] == "/d/%v/index.m3u8"
    assert command.count("-map") == 2 * len(RENDITIONS)
    assert not any("drawtext" in word for word in command)
    assert any("drawtext" in word for word in arguments("ffmpeg", Path("/d"), clock=True))


def test_without_ffmpeg_the_demo_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(InputError, match="needs ffmpeg") as why:
        find_ffmpeg()
    assert "apt-get install ffmpeg" in why.value.hint


def test_a_port_that_is_taken_is_left_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert free_port(server.getsockname()[1]) == 0
    assert free_port(PORT) in {PORT, 0}


def test_a_log_line_that_is_no_event_is_told_as_it_is() -> None:
    assert event_of('{"event": "a.b", "x": 1}') == {"event": "a.b", "x": 1}
    assert event_of("Traceback") == {"event": "Traceback"}
    assert event_of("[1]") == {"event": "[1]"}


@pytest.mark.anyio
async def test_lines_are_put_together_from_what_arrives() -> None:
    send, receive = anyio.create_memory_object_stream[bytes](10)
    for part in (b"one\ntw", b"o\n", b"\nth\xc3", b"\xbcree"):
        await send.send(part)
    send.close()
    async with receive:
        assert [line async for line in lines(receive)] == ["one", "two", "", "thüree"]


def test_the_first_error_of_nested_groups_is_told() -> None:
    error = InputError("inner")
    assert first_of(ExceptionGroup("a", [ExceptionGroup("b", [error]), ValueError("later")])) is error


def test_an_encoder_that_fails_is_quoted(hlspub: Hlspub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\necho no such codec >&2\nexit 1\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    result = hlspub("demo", "--directory", tmp_path / "d")
    assert result.code == 70
    assert result.err == "hlspub: ffmpeg ended by itself: no such codec\n"
    assert not running_below(tmp_path)


@pytest.mark.ffmpeg
def test_the_demo_goes_the_whole_way(hlspub: Hlspub, tmp_path: Path) -> None:
    result = hlspub("demo", "--directory", tmp_path / "d", "--seconds", "5")
    assert (result.code, result.err) == (0, "")
    published = [json.loads(line) for line in (tmp_path / "d/hlspub.log").read_text().splitlines()]
    roots = [event for event in published if event["event"] == "root.published"]
    assert len(roots) >= 2
    assert [event["final"] for event in roots] == [False] * (len(roots) - 1) + [True]
    assert all(event["root"] in result.out for event in roots)
    assert f"ipfs://{roots[-1]['root']}/master.m3u8" in result.out
    playlists = list((tmp_path / "d/hls").glob("*/index.m3u8"))
    assert len(playlists) == len(RENDITIONS)
    assert all(playlist.read_text().endswith("#EXT-X-ENDLIST\n") for playlist in playlists)
    assert hlspub("cid", tmp_path / "d/hls", "--json").json["cid"] == roots[-1]["root"]


@pytest.mark.ffmpeg
@pytest.mark.parametrize(("interrupts", "code"), [(1, 0), (2, 130)])
def test_ctrl_c_ends_the_stream_and_a_second_one_leaves_at_once(tmp_path: Path, interrupts: int, code: int) -> None:
    command = [sys.executable, "-u", "-m", "hlspub", "demo", "--directory", str(tmp_path / "d")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as demo:
        assert demo.stdout
        told = iter(demo.stdout)
        assert any(line.strip().startswith("1  bafy") for line in told)
        demo.send_signal(signal.SIGINT)
        assert any(line.startswith("Ending") for line in told)
        if interrupts == 2:
            demo.send_signal(signal.SIGINT)
        rest = "".join(told)
        assert demo.wait(DEADLINE_S) == code
    assert ("ipfs://" in rest) == (code == 0)
    assert not running_below(tmp_path)


def running_below(place: Path) -> list[str]:
    """Processes whose command line names `place`: what was started must not be left behind."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            found += [command] if str(place) in command else []
    return found
