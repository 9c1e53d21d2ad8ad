"""The watcher's doors: what it asks, whom it tells, what it says aloud.

Rule: values and Protocols only. Paths are relative to the watched directory, in POSIX form; times are Unix seconds. Everything
here is called on the event loop; only `Names` is also called in the scan thread and must therefore be pure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from hlspub.model import FileIdentity, Settled


class Evidence(Protocol):
    """What the stream knows. Asked for every file of a scan, so each answer must be cheap."""

    def known(self, path: str) -> FileIdentity | None:
        """The identity under which `path` was last taken; None when it never was."""
        ...

    def wanted(self, path: str) -> bool:
        """Whether the stream takes `path` at all: by its class, because a playlist refers to it, or by `include`."""
        ...

    def listed(self, path: str) -> bool:
        """Whether a playlist that was taken refers to `path`."""
        ...


class Sink(Protocol):
    """Where finished files go."""

    async def settled(self, item: Settled) -> None:
        """Take a finished file; may wait.

        Called once for each state of a file, and again after `DirectoryWatch.release` or when `Evidence` ceases to know it.
        """
        ...

    def vanished(self, path: str) -> None:
        """A wanted file that was seen is gone from the directory. May be said more than once."""
        ...


@dataclass(frozen=True, slots=True)
class Names:
    """What names tell, as the HLS room classifies them.

    is_temporary: a file or directory name (no slash) that its writer will rename; such files are never looked at and such
                  directories never entered.
    is_playlist:  a path that is a playlist.
    rendition_of: a key that the numbered files of one rendition share.
    """

    is_temporary: Callable[[str], bool]
    is_playlist: Callable[[str], bool]
    rendition_of: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class WatchStarted:
    """The directory is watched from now on. `mode` is "inotify" or "poll"; `reason` says why it was chosen."""

    event: ClassVar[str] = "watch.started"
    root: str
    mode: str
    reason: str


@dataclass(frozen=True, slots=True)
class RootMissing:
    """There is no directory at `root` (any more); it is looked for each second."""

    event: ClassVar[str] = "watch.root_missing"
    root: str
    reason: str


@dataclass(frozen=True, slots=True)
class RootAppeared:
    """The directory that was missing is there."""

    event: ClassVar[str] = "watch.root_appeared"
    root: str


@dataclass(frozen=True, slots=True)
class RootReplaced:
    """Another directory stands at `root`: it was made again, or the link was pointed elsewhere."""

    event: ClassVar[str] = "watch.root_replaced"
    root: str


@dataclass(frozen=True, slots=True)
class Overflowed:
    """The kernel dropped inotify events; a whole scan follows. `hint` says how to make it rarer."""

    event: ClassVar[str] = "watch.overflowed"
    root: str
    hint: str


@dataclass(frozen=True, slots=True)
class ObserverRestarted:
    """The observer had died or hung and was built again; a whole scan follows."""

    event: ClassVar[str] = "watch.observer_restarted"
    root: str
    reason: str


@dataclass(frozen=True, slots=True)
class FellBackToPoll:
    """inotify is not to be had here; the directory is polled. `hint` says what to raise to get it back."""

    event: ClassVar[str] = "watch.fell_back_to_poll"
    root: str
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class PathSkipped:
    """A path that is there and is not taken. Said once for each path. `path` is printable."""

    event: ClassVar[str] = "watch.path_skipped"
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScanFinished:
    """A scan came to its end. `reported` files were new or changed (`depth` "whole": all of them)."""

    event: ClassVar[str] = "watch.scan_finished"
    path: str
    depth: str
    directories: int
    files: int
    reported: int
    vanished: int
    took_s: float


Notice = (
    WatchStarted
    | RootMissing
    | RootAppeared
    | RootReplaced
    | Overflowed
    | ObserverRestarted
    | FellBackToPoll
    | PathSkipped
    | ScanFinished
)
Notify = Callable[[Notice], None]
