"""Scanning: what stands in the directory, compared with the scan before.

Rule: this runs in a thread, reads directories and `stat`s files, opens none (P7), and decides nothing. A scan is an iterator of
batches, so that the loop hears of the first files while the last are still being read, and memory is bounded by a batch plus
a place in a table a file: its path is the very string that everybody else knows it by, told by the scan or noted.

How much is looked at is the `Depth`. In a watched directory a name that was seen before, has been still for a while and is no
playlist is not `stat`ed by the regular scan: only a rewrite in place whose event was lost would show there, and the whole scan
finds that. Directories are always read, since their own mtime does not move when a file in them is rewritten.

Links are followed to regular files under the root, never to directories; temporary names are neither taken nor entered.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from hlspub.model import FileIdentity
from hlspub.watch.ports import Names, PathSkipped

BATCH = 1000  # files a step: about 10 ms in the thread, 3 ms on the loop
_UNKNOWN = 0  # the fingerprint of a file that need not be compared, or was not looked at yet
HOT_S = 60.0  # a file that changed within this time is looked at in every scan


class Depth(Enum):
    """How much a scan looks at."""

    NAMES = "names"  # stat what is new, hot or a playlist; report what changed
    STATS = "stats"  # stat everything; report what changed
    WHOLE = "whole"  # stat everything; report everything


class State(Enum):
    """What a look at one path found."""

    FILE = "file"
    LINK = "link"  # a link to a regular file under the root
    GONE = "gone"
    REFUSED = "refused"  # a directory, device, link that leads out, or unreadable


class Look(NamedTuple):
    """One path, looked at. `identity` is there for FILE and LINK."""

    path: str
    state: State
    identity: FileIdentity | None = None


@dataclass(slots=True)
class Batch:
    """What one step of a scan found."""

    found: list[tuple[str, FileIdentity]] = field(default_factory=list[tuple[str, FileIdentity]])
    vanished: list[str] = field(default_factory=list[str])
    skipped: list[PathSkipped] = field(default_factory=list[PathSkipped])
    directories: int = 0
    files: int = 0


@dataclass(slots=True)
class _Directory:
    """A directory as it was: its files' fingerprints by path, and the paths that every scan looks at."""

    files: dict[str, int] = field(default_factory=dict[str, int])
    hot: set[str] = field(default_factory=set[str])


class _Walk(NamedTuple):
    """One scan under way: `stack` holds the directories still to be read."""

    root: str
    depth: Depth
    hot_since_ns: int
    stack: list[str]


def is_decodable(name: str) -> bool:
    """Whether a name can stand in a playlist and a UnixFS directory, which are UTF-8."""
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def look(root: str, paths: list[str]) -> list[Look]:
    """Look at `paths` under the resolved directory `root`.

    A path that leads through a linked directory is refused, since scans do not enter those.
    """
    return [_look(root, path) for path in paths]


def _look(root: str, path: str) -> Look:
    full = f"{root}/{path}"
    parent = os.path.dirname(full)  # noqa: PTH120 -- pathlib costs more than the stat
    try:
        status = os.lstat(full)
        if parent != root and os.path.realpath(parent) != parent:
            return Look(path, State.REFUSED)
        if stat.S_ISREG(status.st_mode):
            return Look(path, State.FILE, FileIdentity.of(status))
        linked = follow(root, full) if stat.S_ISLNK(status.st_mode) else None
    except (FileNotFoundError, NotADirectoryError):
        return Look(path, State.GONE)
    except OSError:
        return Look(path, State.REFUSED)
    return Look(path, State.REFUSED) if linked is None else Look(path, State.LINK, FileIdentity.of(linked))


def follow(root: str, link: str) -> os.stat_result | None:
    """The status of the regular file under `root` that `link` leads to; None when it leads elsewhere. Raises OSError."""
    target = os.path.realpath(link, strict=True)
    if not target.startswith(root.rstrip("/") + "/"):
        return None
    status = os.lstat(target)
    return status if stat.S_ISREG(status.st_mode) else None


class Scanner:
    """Scans one root again and again. One scan at a time; `scan` may be stepped by different threads, never by two at once."""

    def __init__(self, names: Names) -> None:
        self._rules = names
        self._directories: dict[str, _Directory] = {}
        self._noted = set[str]()  # bounded by the files, however often a playlist is seen
        self._complained: set[str] = set()
        self._complaints: set[str] = set()
        self._batch = Batch()

    def note(self, path: str) -> None:
        """A file was seen between two scans: the next one tells of it, also when it is gone by then. From any thread."""
        self._noted.add(path)

    def scan(self, root: str, start: str, depth: Depth, *, now: float) -> Iterator[Batch]:
        """Scan everything under `start` ("" for all) of the resolved directory `root`. A missing one counts as empty.

        Files of a directory that cannot be read are not reported as vanished: they may well be there.
        """
        self._batch = Batch()
        self._complaints = set()
        self._absorb()
        walk = _Walk(root, depth, int((now - HOT_S) * 1e9), [start])
        visited: set[str] = set()
        unreadable: list[str] = []
        while walk.stack:
            directory = walk.stack.pop()
            try:
                names = os.listdir(f"{root}/{directory}")  # noqa: PTH208 -- iterdir makes an object of each name
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                unreadable.append(directory)
                self._complain(directory, f"the directory cannot be read: {error.strerror}")
                continue
            visited.add(directory)
            yield from self._scan_directory(walk, directory, names)
        self._drop_unvisited(start, visited, unreadable)
        if not start:
            self._complained &= self._complaints  # what was put right may be said again
        yield self._batch

    def _absorb(self) -> None:
        while self._noted:
            path = self._noted.pop()
            record = self._directories.setdefault(path.rpartition("/")[0], _Directory())
            if path not in record.files:
                record.files[path] = _UNKNOWN
                record.hot.add(path)

    def _scan_directory(self, walk: _Walk, directory: str, names: list[str]) -> Iterator[Batch]:
        record = self._directories.setdefault(directory, _Directory())
        paths = [f"{directory}/{name}" for name in names] if directory else names
        gone = record.files.keys() - set(paths)
        if walk.depth is Depth.NAMES:
            paths = [path for path in paths if path not in record.files or path in record.hot]
        for count, path in enumerate(paths, 1):
            if count % BATCH == 0:
                yield self._take()
            if not self._scan_path(walk, path, record) and path in record.files:
                gone.add(path)
        for path in gone:
            del record.files[path]
            record.hot.discard(path)
        self._batch.vanished += gone
        self._batch.directories += 1
        self._batch.files += len(record.files)

    def _scan_path(self, walk: _Walk, path: str, record: _Directory) -> bool:
        """Look at one path. Returns whether it is a file to remember, or may be one."""
        is_new = path not in record.files
        if is_new and self._rules.is_temporary(path.rpartition("/")[2]):
            return False
        if is_new and not is_decodable(path):
            self._complain(path, "the name is not UTF-8")
            return False
        try:
            status, is_link = os.lstat(f"{walk.root}/{path}"), False
            if stat.S_ISLNK(status.st_mode):
                status, is_link = self._follow(walk.root, path), True
        except FileNotFoundError:
            return False
        except OSError as error:
            self._complain(path, f"the file cannot be looked at: {error.strerror}")
            return not is_new
        if status is None or not stat.S_ISREG(status.st_mode):
            if status is not None and stat.S_ISDIR(status.st_mode):
                walk.stack.append(path)
            return False
        changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)
        fingerprint = hash((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
        if walk.depth is Depth.WHOLE or record.files.get(path) != fingerprint:
            self._batch.found.append((path, FileIdentity.of(status)))
        if changed_ns > walk.hot_since_ns or is_link or self._rules.is_playlist(path):
            record.hot.add(path)
            record.files[path] = fingerprint
        else:
            record.hot.discard(path)
            # Only a scan that looks at everything compares those that are still: elsewhere the number is not worth its memory.
            record.files[path] = fingerprint if walk.depth is Depth.STATS else _UNKNOWN
        return True

    def _follow(self, root: str, path: str) -> os.stat_result | None:
        status = follow(root, f"{root}/{path}")
        if status is None:
            self._complain(path, "the link does not lead to a regular file in the watched directory")
        return status

    def _drop_unvisited(self, start: str, visited: set[str], unreadable: list[str]) -> None:
        """Directories under `start` that are no more: all their files vanished."""
        for directory in list(self._directories):
            if not _is_under(directory, start) or directory in visited:
                continue
            if any(_is_under(directory, other) for other in unreadable):
                continue
            self._batch.vanished += self._directories.pop(directory).files

    def _complain(self, path: str, reason: str) -> None:
        self._complaints.add(path)
        if path not in self._complained:
            self._complained.add(path)
            printable = path.encode(errors="backslashreplace").decode() or "."
            self._batch.skipped.append(PathSkipped(printable, reason))

    def _take(self) -> Batch:
        batch, self._batch = self._batch, Batch()
        return batch


def _is_under(directory: str, other: str) -> bool:
    return other in {"", directory} or directory.startswith(f"{other}/")
