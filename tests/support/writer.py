"""A transcoder without a codec: the event patterns of ffmpeg's hls muxer, as fast as a test wants.

What ffmpeg does on a local file system, measured: a segment is created, written and closed under its own name; then the media
playlist is written to `NAME.tmp` and renamed; the multivariant playlist is written in place, once, when every rendition has a
segment. The bytes depend on the seed, the rendition and the number alone, so that two runs write the same.
"""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

MASTER = "master.m3u8"


@dataclass(slots=True, eq=False)
class Writer:
    """Writes into `directory`. `window` segments stay listed (0: all); `keep` unlisted ones stay on disk (None: all)."""

    directory: Path
    renditions: tuple[str, ...] = ("a", "b", "c")
    seed: str = "one"
    size: int = 40_000  # bytes of a segment, about
    window: int = 0
    keep: int | None = None
    target_s: int = 2
    number: int = 0  # of the next segment
    first: int = 0  # where this run began

    def step(self, count: int = 1) -> Self:
        """Write `count` more segments of every rendition, and what lists them."""
        for _ in range(count):
            for rendition in self.renditions:
                self.write(rendition)
            self.number += 1
            if self.number == self.first + 1 and self.renditions != ("",):
                (self.directory / MASTER).write_bytes(self.master())
        return self

    def write(self, rendition: str) -> None:
        """One rendition's part of a step: its segment, and the playlist that lists it."""
        self._folder(rendition).mkdir(parents=True, exist_ok=True)
        path = self._folder(rendition) / self.segment_name(self.number)
        path.write_bytes(self.segment(rendition, self.number))
        replace(self._folder(rendition) / "index.m3u8", self.playlist(self.number + 1, endlist=False))
        self._expire(rendition)

    def end(self) -> Self:
        """Close the playlists with EXT-X-ENDLIST."""
        for rendition in self.renditions:
            replace(self._folder(rendition) / "index.m3u8", self.playlist(self.number, endlist=True))
        return self

    def restarted(self, seed: str) -> "Writer":
        """The transcoder starts anew with the same names: numbers begin at 0 again, files are overwritten in place."""
        return Writer(self.directory, self.renditions, seed, self.size, self.window, self.keep, self.target_s)

    # the bytes

    @staticmethod
    def segment_name(number: int) -> str:
        return f"segment_{number:05d}.ts"

    def segment(self, rendition: str, number: int) -> bytes:
        """A segment's bytes; their length varies."""
        digest = hashlib.sha256(f"{self.seed}/{rendition}/{number}".encode())
        pattern = digest.digest()
        size = self.size + pattern[0] * 8
        return (pattern * (size // len(pattern) + 1))[:size]

    def playlist(self, count: int, *, endlist: bool) -> bytes:
        """A media playlist after `count` segments."""
        first = max(self.first, count - self.window) if self.window else self.first
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:6",
            f"#EXT-X-TARGETDURATION:{self.target_s}",
            f"#EXT-X-MEDIA-SEQUENCE:{first}",
        ]
        for number in range(first, count):
            lines += [f"#EXTINF:{self.target_s}.000000,", self.segment_name(number)]
        return ("\n".join([*lines, *(["#EXT-X-ENDLIST"] if endlist else [])]) + "\n").encode()

    def master(self) -> bytes:
        """The multivariant playlist."""
        lines = ["#EXTM3U", "#EXT-X-VERSION:6"]
        for place, rendition in enumerate(self.renditions):
            lines += [f"#EXT-X-STREAM-INF:BANDWIDTH={(place + 1) * 400000}", f"{rendition}/index.m3u8"]
        return ("\n".join(lines) + "\n").encode()

    def files(self, *, endlist: bool) -> dict[str, bytes]:
        """Everything that an undisturbed run without a window has written, by path."""
        files = {} if self.renditions == ("",) else {MASTER: self.master()}
        for rendition in self.renditions:
            prefix = f"{rendition}/" if rendition else ""
            files[f"{prefix}index.m3u8"] = self.playlist(self.number, endlist=endlist)
            for number in range(self.first, self.number):
                files[prefix + self.segment_name(number)] = self.segment(rendition, number)
        return files

    # inside

    def _folder(self, rendition: str) -> Path:
        return self.directory / rendition if rendition else self.directory

    def _expire(self, rendition: str) -> None:
        if self.window and self.keep is not None:
            number = self.number - self.window - self.keep
            if number >= self.first:
                (self._folder(rendition) / self.segment_name(number)).unlink()


def replace(path: Path, text: bytes) -> None:
    """Write a playlist as most transcoders do: under a temporary name, then renamed."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(text)
    temporary.replace(path)


@dataclass(slots=True, eq=False)
class Running:
    """A writer in a thread of its own, one step every `every_s` seconds, until it has made `steps` or is told to stop."""

    writer: Writer
    every_s: float
    steps: int
    then: Callable[[Writer], object] = field(default=lambda _writer: None)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="writer")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join()

    @property
    def over(self) -> bool:
        return self._thread is not None and not self._thread.is_alive()

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until it has written everything."""
        assert self._thread is not None
        self._thread.join(timeout_s)

    def _run(self) -> None:
        for _ in range(self.steps):
            if self._stopped.wait(self.every_s):
                return
            self.writer.step()
        self.then(self.writer)
