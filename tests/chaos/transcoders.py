"""Transcoders without a codec: what real ones were seen to do to a directory, twenty times as fast, the same bytes each time.

Each does in one step what its model does in one segment's time, event by event: which file is created, written to, closed,
renamed, rewritten in place, deleted, and in which order. Bytes depend on the seed, the path and the number alone.

All wait for hlspub before something is gone for good (`frame`), but for `Hasty`.
"""

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from tests.chaos.frame import Files, Known, Transcoder


class Ffmpeg(Transcoder):
    """ffmpeg's hls muxer: segments in place, playlists renamed, the multivariant playlist in place, and again at the end."""

    def step(self) -> None:
        for name in self.renditions:
            self.put(f"{name}/{self.uri(self.number)}", self.media(f"{name}/{self.uri(self.number)}"))
            self.list(name, self.number + 1)
        self.number += 1
        if self.number == 1:
            self.put("master.m3u8", self.master(400))

    def end(self) -> None:
        for name in self.renditions:
            self.list(name, self.number, end=True)
        self.put("master.m3u8", self.master(752))

    def list(self, name: str, count: int, *, first: int = 0, end: bool = False) -> None:
        text = self.text(name, count, first=first, end=end)
        self.rename(f"{name}/index.m3u8.tmp", f"{name}/index.m3u8", text)


class Restarted(Ffmpeg):
    """ffmpeg, killed and started anew in the middle, without append_list: the same names from 0 on, in place."""

    half: Files | None = None
    at = 40  # steps of the first run

    def step(self) -> None:
        if self.number == self.at and self.half is None:
            for path, data in list(self.files.items()):
                self.known.wait(path, data)
            self.half, self.files, self.texts = self.tree(), {}, {}
            self.seed += 1_000_000
            self.number = 0
        super().step()

    def finals(self) -> list[Files]:
        assert self.half is not None
        return [self.half, self.tree()]


class Sliding(Ffmpeg):
    """ffmpeg with a window and delete_segments, and temporary names for its segments (`temp_file`)."""

    first: int = 0
    kept = 3  # segments that stay on disk when they are listed no more

    def step(self) -> None:
        for name in self.renditions:
            path = f"{name}/{self.uri(self.number)}"
            self.rename(f"{path}.tmp", path, self.media(path))
        first = self.slide(self.number + 1)
        for name in self.renditions:
            self.list(name, self.number + 1, first=first)
        self.number += 1
        self.delete()
        if self.number == 1:
            self.put("master.m3u8", self.master(400))

    def end(self) -> None:
        first = max(0, self.number - self.window)
        for name in self.renditions:
            self.known.wait(f"{name}/index.m3u8", self.texts[name][-1].data)
        for name in self.renditions:
            self.list(name, self.number, first=first, end=True)
        self.put("master.m3u8", self.master(752))

    def slide(self, count: int) -> int:
        """The window's first segment: none is dropped before a version that lists it was taken."""
        seen = min(self.seen_before(name) for name in self.renditions)
        self.first = max(self.first, min(count - self.window, seen))
        return self.first

    def delete(self) -> None:
        for path, data in list(self.files.items()):
            if path.endswith(".ts") and number_of(path) < self.first - self.kept and self.known.has(path, data):
                self.unlink(path)

    def finals(self) -> list[Files] | None:
        return None


class Window(Sliding):
    """The same, of which only the last window stays."""

    retention = "window"

    def finals(self) -> list[Files]:
        first = max(0, self.number - self.window)
        return [{path: data for path, data in self.files.items() if path.endswith(".m3u8") or number_of(path) >= first}]


class Hasty(Sliding):
    """The same, and it waits for nobody: what it deletes while no daemon runs is gone. `gone` is what it deleted."""

    def slide(self, count: int) -> int:
        self.first = max(0, count - self.window)
        return self.first

    def delete(self) -> None:
        for path in list(self.files):
            if path.endswith(".ts") and number_of(path) < self.first - self.kept:
                self.unlink(path)

    def end(self) -> None:
        for name in self.renditions:
            self.list(name, self.number, first=self.first, end=True)

    def seen_before(self, rendition: str) -> int:
        raise NotImplementedError


class Shaka(Transcoder):
    """Shaka Packager, live: fMP4, everything renamed into place, the multivariant playlist anew with every update.

    The initialization section is rewritten in place at the end, with other bytes; EXT-X-ENDLIST never comes.
    """

    endlist = False

    def uri(self, number: int) -> str:
        return f"{number + 1}.m4s"

    def step(self) -> None:
        for name in self.renditions:
            if self.number == 0:
                self.put(f"{name}/init.mp4", self.media(f"{name}/init.mp4"))
            path = f"{name}/{self.uri(self.number)}"
            self.rename(f"{name}/packager-tempfile-7f-{self.number}", path, self.media(path))
        self.number += 1
        for name in self.renditions:
            text = self.text(name, self.number, head='#EXT-X-MAP:URI="init.mp4"')
            self.rename(f"{name}/packager-tempfile-80-{self.number}", f"{name}/index.m3u8", text)
        self.rename("packager-tempfile-81-0", "master.m3u8", self.master(400 + self.number))

    def end(self) -> None:
        for name in self.renditions:
            self.put(f"{name}/init.mp4", self.media(f"{name}/init.mp4", version=1))


class Gstreamer(Transcoder):
    """GStreamer's hlssink2: a segment is written to as it grows, and listed while it is still open.

    It is closed when the next one was created; EXT-X-ENDLIST comes before the last one is closed.
    """

    opened: BinaryIO | None = None
    renditions = ("",)

    def step(self) -> None:
        before, self.opened = self.opened, self.create(self.uri(self.number))
        if before is not None:
            self.list(self.number)
            before.close()
        data = self.media(self.uri(self.number))
        for part in range(4):
            self.opened.write(data[part * len(data) // 4 : (part + 1) * len(data) // 4])
        self.files[self.uri(self.number)] = data
        self.number += 1

    def end(self) -> None:
        assert self.opened is not None
        self.list(self.number, end=True)
        self.opened.close()

    def list(self, count: int, *, end: bool = False) -> None:
        text = self.text("", count, end=end)
        if count == 1:
            self.put("index.m3u8", text)
        else:
            self.rename(f".goutputstream-{count:06d}", "index.m3u8", text)


class Dated(Transcoder):
    """ffmpeg with strftime names: new directories as it goes, and a segment gets its name after it was listed."""

    renditions = ("",)

    def uri(self, number: int) -> str:
        return f"20261124/{number // 15:02d}/seg_{number:05d}_02000000.ts"

    def step(self) -> None:
        path = self.uri(self.number)
        unnamed = path.replace("_02000000", "_00000000")
        data = self.media(path)
        self.put(unnamed, data)
        self.list(self.number + 1)
        (self.directory / unnamed).rename(self.directory / path)
        self.files[path] = self.files.pop(unnamed)
        self.number += 1

    def end(self) -> None:
        self.list(self.number, end=True)

    def list(self, count: int, *, end: bool = False) -> None:
        self.rename("index.m3u8.tmp", "index.m3u8", self.text("", count, end=end))


class Open(Transcoder):
    """A writer that keeps its playlist open and appends to it, and lists a segment before it writes it."""

    playlist: BinaryIO | None = None
    renditions = ("",)

    def step(self) -> None:
        text = self.text("", self.number + 1)
        if self.playlist is None:
            self.playlist = self.create("index.m3u8")
            self.playlist.write(text)
        else:
            self.playlist.write(text[len(self.files["index.m3u8"]) :])
        self.files["index.m3u8"] = text
        self.put(self.uri(self.number), self.media(self.uri(self.number)))
        self.number += 1

    def end(self) -> None:
        assert self.playlist is not None
        self.playlist.write(b"#EXT-X-ENDLIST\n")
        self.playlist.close()
        self.files["index.m3u8"] += b"#EXT-X-ENDLIST\n"


class Wrapped(Sliding):
    """ffmpeg's segment muxer with segment_wrap: few names, used again in place; listed before they are closed."""

    names = 12
    renditions = ("",)

    def uri(self, number: int) -> str:
        return f"seg{number % self.names:03d}.ts"

    def step(self) -> None:
        path = self.uri(self.number)
        if path in self.files:
            self.known.wait(path, self.files[path])
            while self.slide(self.number) <= self.number - self.names:  # what is listed is not overwritten
                self.known.wait("index.m3u8", self.texts[""][-1].data)
        data = self.media(f"{self.number}.ts")
        with self.create(path) as file:
            file.write(data)
            first = self.slide(self.number + 1)
            self.rename("index.m3u8.tmp", "index.m3u8", self.text("", self.number + 1, first=first))
        self.files[path] = data
        self.number += 1

    def end(self) -> None:
        self.known.wait("index.m3u8", self.texts[""][-1].data)
        first = max(0, self.number - self.window)
        self.rename("index.m3u8.tmp", "index.m3u8", self.text("", self.number, first=first, end=True))


def number_of(path: str) -> int:
    """The number in a segment's name."""
    return int("".join(filter(str.isdigit, path.rpartition("/")[2])))


# name -> (transcoder, its window)
TRANSCODERS: Mapping[str, tuple[Callable[..., Transcoder], int]] = {
    "ffmpeg": (Ffmpeg, 0),
    "restarted": (Restarted, 0),
    "sliding": (Sliding, 10),
    "window": (Window, 10),
    "shaka": (Shaka, 0),
    "gstreamer": (Gstreamer, 0),
    "dated": (Dated, 0),
    "open": (Open, 0),
    "wrapped": (Wrapped, 6),
    "hasty": (Hasty, 20),
}


def transcoder(name: str, directory: Path, known: Known, seed: int) -> Transcoder:
    """A new transcoder of that name."""
    make, window = TRANSCODERS[name]
    return make(directory, known, random.Random(f"{name}/{seed}").getrandbits(32), window=window)
