"""Run the command line in this process, as the console entry point does, and look at all three of its answers."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hlspub.cli import run


@dataclass(frozen=True, slots=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Hlspub = Callable[..., Result]


@pytest.fixture
def hlspub(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hlspub:
    """The command line, with a home of its own."""
    for name in ("HLSPUB_CONFIG", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def call(*arguments: object) -> Result:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return call


PLAYLIST = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n"


@pytest.fixture
def show(tmp_path: Path) -> Path:
    """A finished HLS directory: one media playlist and its three segments."""
    directory = tmp_path / "My Show"
    directory.mkdir()
    lines = [PLAYLIST]
    for number in range(3):
        (directory / f"s{number}.ts").write_bytes(bytes([number]) * 1880)
        lines.append(f"#EXTINF:2.0,\ns{number}.ts\n")
    (directory / "index.m3u8").write_text("".join([*lines, "#EXT-X-ENDLIST\n"]))
    return directory
