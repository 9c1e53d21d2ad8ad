"""The frame of a transcoder without a codec: its files, how it writes them, and what it knows of hlspub.

Rule: a transcoder may wait for `Known` (what hlspub has taken) before it deletes, overwrites or ceases to list something, so
that every file outlives each downtime and one final root is right.
"""

import hashlib
import threading
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import BinaryIO

from hlspub.ipld.profile import PROFILES
from hlspub.spool.pack import pack_bytes
from tests.support.judges import PROFILE, ended

SEGMENT_S = 2
PATIENCE_S = 120.0  # for hlspub to take something; it is killed again and again meanwhile
LARGE = 1_200_000  # bytes: more than one leaf

Files = dict[str, bytes]


@cache
def cid_of(data: bytes) -> str:
    """The CID of a file."""
    return str(pack_bytes(data, PROFILES[PROFILE])[1].cid)


@dataclass
class Known:
    """What hlspub has taken, by path and CID."""

    taken: set[tuple[str, str]] = field(default_factory=set)
    news: threading.Condition = field(default_factory=threading.Condition)
    is_over: bool = False  # nobody will ever take anything more

    def add(self, *taken: tuple[str, str]) -> None:
        with self.news:
            self.taken.update(taken)
            self.news.notify_all()

    def has(self, path: str, data: bytes) -> bool:
        return (path, cid_of(data)) in self.taken

    def wait(self, path: str, data: bytes) -> None:
        """Until hlspub has taken these bytes."""
        with self.news:
            assert self.news.wait_for(lambda: self.is_over or self.has(path, data), PATIENCE_S), (
                f"{path} is never taken"
            )


@dataclass
class Text:
    """One version of a media playlist: it lists the numbers from `first` to before `count`."""

    first: int
    count: int
    data: bytes


@dataclass
class Transcoder:
    """The frame. `step` writes the next segment of each rendition, `end` the rest; `finals` are the trees to come."""

    directory: Path
    known: Known
    seed: int
    number: int = 0
    window: int = 0  # 0: everything stays listed
    files: Files = field(default_factory=dict)  # what is there now, by path
    texts: dict[str, list[Text]] = field(default_factory=dict)

    renditions = ("a", "b")
    retention = "archive"
    endlist = True  # else the session is ended from outside

    def step(self) -> None:
        raise NotImplementedError

    def end(self) -> None:
        raise NotImplementedError

    def finals(self) -> list[Files] | None:
        """The files of each session's final root, in order; None where only an undisturbed run can tell."""
        return [self.tree()]

    def tree(self) -> Files:
        return ended(self.files)

    # what they are made of

    def media(self, path: str, *, version: int = 0) -> bytes:
        """A file's bytes: thousands of them, one in forty more than a million."""
        pattern = hashlib.sha256(f"{self.seed}/{path}/{version}".encode()).digest()
        size = LARGE if pattern[1] < 256 // 40 else 4000 + 8 * int.from_bytes(pattern[2:4], "big") % 30_000
        return (pattern * (size // len(pattern) + 1))[:size]

    def uri(self, number: int) -> str:
        return f"segment_{number:05d}.ts"

    def put(self, path: str, data: bytes) -> None:
        """Created, written in two parts, closed: under its own name."""
        with self.create(path) as file:
            file.write(data[: len(data) // 2])
            file.write(data[len(data) // 2 :])
        self.files[path] = data

    def rename(self, temporary: str, path: str, data: bytes) -> None:
        """Written elsewhere in the directory and renamed into place."""
        with self.create(temporary) as file:
            file.write(data)
        (self.directory / temporary).rename(self.directory / path)
        self.files[path] = data

    def create(self, path: str) -> BinaryIO:
        (self.directory / path).parent.mkdir(parents=True, exist_ok=True)
        return (self.directory / path).open("wb", buffering=0)

    def unlink(self, path: str) -> None:
        (self.directory / path).unlink()
        del self.files[path]

    def text(self, rendition: str, count: int, *, first: int = 0, end: bool = False, head: str = "") -> bytes:
        """A media playlist's bytes."""
        lines = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{SEGMENT_S}", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        lines += [head] if head else []
        for number in range(first, count):
            lines += [f"#EXTINF:{SEGMENT_S}.000000,", self.uri(number)]
        data = ("\n".join([*lines, *(["#EXT-X-ENDLIST"] if end else []), ""])).encode()
        self.texts.setdefault(rendition, []).append(Text(first, count, data))
        return data

    def master(self, kbits: int) -> bytes:
        lines = ["#EXTM3U", "#EXT-X-VERSION:7"]
        for place, name in enumerate(self.renditions, 1):
            lines += [f"#EXT-X-STREAM-INF:BANDWIDTH={place * kbits}000", f"{name}/index.m3u8"]
        return ("\n".join([*lines, ""])).encode()

    def seen_before(self, rendition: str) -> int:
        """Every number before this one was in a version that hlspub has taken."""
        path = f"{rendition}/index.m3u8" if rendition else "index.m3u8"
        texts = self.texts.get(rendition, [])
        for at in range(len(texts) - 1, -1, -1):
            if self.known.has(path, texts[at].data):
                del texts[:at]
                return texts[0].count
        return 0
