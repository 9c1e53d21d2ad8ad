"""Hints: what inotify says through watchdog, made safe to listen to.

Rule: a hint says where to look, never what is there; the directory is the truth. The observer's threads only put hints into an
`Inbox`, which holds one per path, so a busy loop costs memory by files and not by events, and ring the loop's bell. They do no
work and raise nothing: an exception in a handler would end watchdog's thread without a word.

What watchdog does not say by itself is taken from its reader, one layer below:
- a queue overflow, told *after* watchdog has put its watches up again, since events are lost until then;
- a subdirectory that could not be watched because a limit is reached;
- a file renamed into place, at once: watchdog holds every rename half a second back, and all events behind it, when its other
  half lies outside of the tree. The half that leaves is dropped here, so that the half that arrives is never waited with.

The event filter keeps the kernel's queue short: creations (for hard links and new directories), closes and renames, three
events a file at most, none for reading, writing or deleting.
"""

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyFullEmitter
from watchdog.observers.inotify_c import CallbackId, InotifyEvent, InotifyFD, Mask, WatchCallback, WatchDescriptor

from hlspub.model import Clock

LIMITS = frozenset({errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSYS})
PROOF_S = 10.0  # the dispatch thread must have answered within this time
_EVENTS: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileMovedEvent,
    FileCreatedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]


class Hint(Enum):
    """What may have happened at a path."""

    CLOSED = "closed"
    MOVED = "moved"  # renamed into place
    CREATED = "created"  # appeared: still open, or linked
    DIRECTORY = "directory"  # a directory appeared
    MISSED = "missed"  # a scan did not find it any more
    LOOK = "look"  # somebody asks


_HINTS: dict[type[FileSystemEvent], Hint] = {
    FileClosedEvent: Hint.CLOSED,
    FileMovedEvent: Hint.MOVED,
    FileCreatedEvent: Hint.CREATED,
    DirCreatedEvent: Hint.DIRECTORY,
    DirMovedEvent: Hint.DIRECTORY,
}


class Hinted(NamedTuple):
    """A hint and the Unix time at which it came."""

    hint: Hint
    at: float


_ASKED = frozenset({Hint.LOOK, Hint.MISSED})


class Inbox:
    """Hints on their way from any thread to the loop: one a path, the latest that the kernel gave."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._lock = threading.Lock()
        self._hints: dict[str, Hinted] = {}
        self._overflowed = False
        self._limit: OSError | None = None

    def put(self, path: str, hint: Hint, at: float) -> None:
        """Leave a hint. What somebody here asks does not replace what the kernel said."""
        with self._lock:
            is_first = not self._hints
            if hint not in _ASKED or path not in self._hints or self._hints[path].hint is Hint.LOOK:
                self._hints[path] = Hinted(hint, at)
        if is_first:
            self._ring()

    def overflow(self) -> None:
        """Events were lost."""
        with self._lock:
            self._overflowed = True

    def limit(self, error: OSError) -> None:
        """A directory could not be watched."""
        with self._lock:
            self._limit = error

    def take(self) -> dict[str, Hinted]:
        """All hints so far."""
        with self._lock:
            hints, self._hints = self._hints, {}
        return hints

    def take_overflow(self) -> bool:
        """Whether events were lost since the last time this was asked."""
        with self._lock:
            overflowed, self._overflowed = self._overflowed, False
        return overflowed

    def take_limit(self) -> OSError | None:
        """The limit that was hit since the last time this was asked."""
        with self._lock:
            limit, self._limit = self._limit, None
        return limit


@dataclass(unsafe_hash=True)
class _Probe(FileSystemEvent):
    """Goes through the dispatch thread to prove that it lives; nothing happened."""


class _Handler(FileSystemEventHandler):
    """Turns events into hints. Runs in watchdog's dispatch thread."""

    def __init__(self, root: str, inbox: Inbox, clock: Clock) -> None:
        self._prefix = root.rstrip("/") + "/"
        self._inbox = inbox
        self._clock = clock
        self.proved_at = clock.monotonic()

    def dispatch(self, event: FileSystemEvent) -> None:
        hint = _HINTS.get(type(event))
        if hint is None:
            self.proved_at = self._clock.monotonic()
            return
        path = os.fsdecode(event.dest_path if hint is Hint.MOVED or type(event) is DirMovedEvent else event.src_path)
        if not path.startswith(self._prefix):
            return
        if hint is Hint.MOVED and event.is_synthetic:
            hint = Hint.CREATED  # a directory above was renamed, which says nothing about the files in it
        self._inbox.put(path[len(self._prefix) :], hint, self._clock.now())


class _Reader(InotifyFD):
    """Reads the kernel's queue, and tells what the layers above keep to themselves. Runs in its own thread."""

    def __init__(self, inbox: Inbox) -> None:
        super().__init__()
        self._inbox = inbox

    def handle_event(self, event: InotifyEvent) -> None:
        if event.is_moved_from and not event.is_directory:
            return
        super().handle_event(event)
        if event.is_queue_overflow:
            self._inbox.overflow()

    def _add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        try:
            watch = self._get_or_create_watch(path, mask)
        except OSError as error:
            if error.errno in LIMITS:
                self._inbox.limit(error)
            raise
        # A new directory is often met twice, by its event and by the walk of its parent; watchdog would warn each time.
        watch.callbacks[id_] = callback
        return watch.wd

    def run(self) -> None:
        try:
            super().run()
        finally:
            with self._lock:
                self._is_reading = (
                    False  # so that `close` releases the descriptors also when an exception ended the thread
                )


class _Emitter(InotifyFullEmitter):
    """Turns what the reader read into events. Runs in its own thread.

    watchdog's own logs an error when an event of the kernel's comes in while it is being stopped: on a busy directory that
    is how it always ends.
    """

    def queue_events(self, timeout: float, *, full_events: bool = False) -> None:
        del timeout, full_events  # of other platforms; an event comes or `stop` ends the waiting
        group = self._inotify
        event = group.read_event() if group is not None else None
        if event is not None and self.should_keep_running():
            self.build_and_queue_event(event)


class Observation:
    """One directory under inotify, recursively, from construction to `close`. Both block for some milliseconds.

    Raises OSError: ENOENT when the root is gone, one of LIMITS when inotify is not to be had.
    """

    def __init__(self, root: str, inbox: Inbox, clock: Clock) -> None:
        self._clock = clock
        self._handler = _Handler(root, inbox, clock)
        self._reader = _Reader(inbox)
        self._reader.start()
        self._observer = BaseObserver(_Emitter, inotify_fd=self._reader)
        try:
            self._watch = self._observer.schedule(self._handler, root, recursive=True, event_filter=_EVENTS)
            self._observer.start()
        except BaseException:
            self.close()
            raise

    def prove(self) -> None:
        """Ask the dispatch thread for a sign of life."""
        self._observer.event_queue.put((_Probe(""), self._watch))

    def fault(self) -> str | None:
        """Why nothing is to be heard any more; None when all threads are well."""
        if not self._reader.is_alive():
            return "the inotify reader ended"
        if not all(emitter.is_alive() for emitter in self._observer.emitters):
            return "the directory's emitter ended"
        if not self._observer.is_alive():
            return "the dispatch thread ended"
        if self._clock.monotonic() - self._handler.proved_at > PROOF_S:
            return f"the dispatch thread gave no sign of life for {PROOF_S:.0f} s"
        return None

    def close(self) -> None:
        """End all threads and release inotify."""
        self._observer.stop()
        if self._observer.is_alive():
            self._observer.join()
        self._reader.stop()
        self._reader.join()
