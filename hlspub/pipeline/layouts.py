"""Layouts `nested` and `flat`: one table of the configuration, many streams, found as they come.

Rule: a discovery only looks, each second, and names what it found; who follows a stream is the daemon's matter. A stream
TABLE/NAME once found stays followed, but for a `nested` one whose directory is gone and that has nothing left to do. What the
journal has open, or not bound at every target, is followed from the start, whatever lies in the directory.

`nested`: each subdirectory whose name does not begin with a dot, from its first playlist on, at any depth; links to directories
are not followed. `flat`: each playlist in the directory itself that no other lists (`hls.tops`).
"""

import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread
import structlog

from hlspub.errors import DataError
from hlspub.hls.classify import classify, is_temporary
from hlspub.hls.playlist import PlaylistKind
from hlspub.hls.scan import scan
from hlspub.hls.tops import FLAT_SUFFIX, Side, tops
from hlspub.journal.reader import JournalReader
from hlspub.model import Clock, FileKind
from hlspub.records import SessionState

LOOK_S = 1.0

log = structlog.get_logger()


class Finder(Protocol):
    """Looks at one directory; blocking, run in a thread, never two at a time."""

    def look(self, known: frozenset[str], now: float) -> set[str]:
        """The names of the streams that are there.

        `known` names need not be proven again. `now`: Unix seconds.

        Raises:
            OSError: the directory cannot be read.
        """
        ...


@dataclass(slots=True)
class Nested:
    """The subdirectories of `directory`."""

    directory: Path

    def look(self, known: frozenset[str], now: float) -> set[str]:  # noqa: ARG002 -- as the Protocol says
        """Those that have a playlist."""
        with os.scandir(self.directory) as entries:
            names = [one.name for one in entries if not is_temporary(one.name) and one.is_dir(follow_symlinks=False)]
        return {name for name in names if _is_text(name) and (name in known or self._has_playlist(name))}

    def _has_playlist(self, name: str) -> bool:
        for _, folders, files in os.walk(self.directory / name):
            folders[:] = [folder for folder in folders if not is_temporary(folder)]
            if any(_is_playlist(file) for file in files):
                return True
        return False


@dataclass(frozen=True, slots=True)
class _Seen:
    identity: tuple[int, int, int]
    versions: int
    side: Side


@dataclass(slots=True)
class Flat:
    """The playlists in `directory`. One that rested for `rest_s` need not prove itself; none is longer than `longest`."""

    directory: Path
    rest_s: float
    longest: int
    _seen: dict[str, _Seen] = field(default_factory=dict[str, _Seen])

    def look(self, known: frozenset[str], now: float) -> set[str]:
        """Those that no other lists."""
        with os.scandir(self.directory) as entries:
            files = [
                one for one in entries if _is_playlist(one.name) and one.name.endswith(FLAT_SUFFIX) and one.is_file()
            ]
            found = dict(filter(None, (self._read(file, now) for file in files if _is_text(file.name))))
        self._seen = found
        proven = {path.removesuffix(FLAT_SUFFIX) for path in tops({path: seen.side for path, seen in found.items()})}
        return proven | {name for name in known if f"{name}{FLAT_SUFFIX}" in found}

    def _read(self, file: "os.DirEntry[str]", now: float) -> tuple[str, _Seen] | None:
        before = self._seen.get(file.name)
        try:
            stat = file.stat()
            identity = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            rests = now - stat.st_mtime >= self.rest_s
            if before is not None and before.identity == identity and before.side.rests == rests:
                return file.name, before
            if stat.st_size > self.longest:
                return None
            playlist = scan(Path(file.path).read_bytes(), file.name)
        except (FileNotFoundError, PermissionError, DataError):
            return None if before is None else (file.name, before)  # its stream says what is wrong with it
        versions = (before.versions + (before.identity != identity)) if before else 1
        is_multivariant = playlist.kind is PlaylistKind.MULTIVARIANT
        lists = frozenset(path for path in playlist.references.paths if _is_playlist(path))
        return file.name, _Seen(identity, versions, Side(is_multivariant, lists, playlist.endlist, versions, rests))


@dataclass(slots=True, eq=False)
class Discovery:
    """Finds the streams of one table. `start` and `stop` are told a stream's whole name; `is_over` says whether it may go."""

    table: str
    finder: Finder
    clock: Clock
    start: Callable[[str], Awaitable[None]]
    stop: Callable[[str], None]
    is_over: Callable[[str], bool]
    streams: set[str] = field(default_factory=set[str])  # followed; without the table's name
    _unread: str = ""  # why the directory could not be read the last time

    async def begin(self, unfinished: Iterable[str]) -> None:
        """Follow what the journal has open and what is there; `unfinished` are whole names of this table's streams."""
        for name in unfinished:
            await self._follow(name.partition("/")[2])
        await self.look()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await anyio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Follow what came; leave what went."""
        try:
            found = await anyio.to_thread.run_sync(self.finder.look, frozenset(self.streams), self.clock.now())
        except OSError as why:
            reason = why.strerror or str(why)
            if reason != self._unread:
                log.warning("layout.unreadable", table=self.table, reason=reason, hint="It is looked at each second.")
            self._unread = reason
            return
        self._unread = ""
        for name in sorted(found - self.streams):
            await self._follow(name)
        for name in sorted(self.streams - found):
            if self.is_over(whole := f"{self.table}/{name}"):
                self.streams.discard(name)
                self.stop(whole)

    async def _follow(self, name: str) -> None:
        if name not in self.streams:
            self.streams.add(name)
            await self.start(f"{self.table}/{name}")


def _is_playlist(name: str) -> bool:
    return classify(name) is FileKind.PLAYLIST and not is_temporary(name)


def _is_text(name: str) -> bool:
    """Whether the name can stand in a tree, a log and an address."""
    return name.isprintable()


def unfinished(reader: JournalReader, table: str, targets: Iterable[str]) -> list[str]:
    """The whole names of the table's streams whose newest session is not over, or whose newest root some target lacks."""
    names = (stream.name for stream in reader.streams() if stream.name.startswith(f"{table}/"))
    return [name for name in names if _is_open(reader, name) or _is_unbound(reader, name, targets)]


def _is_open(reader: JournalReader, name: str) -> bool:
    session = reader.newest_session(name)
    return session is not None and session.state is not SessionState.ENDED


def _is_unbound(reader: JournalReader, name: str, targets: Iterable[str]) -> bool:
    newest = next(reader.announced(name), None)
    return newest is not None and not newest.bound.issuperset(targets)
