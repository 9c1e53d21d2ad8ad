"""What to scan next: the regular scan, the whole one, a directory that has just appeared.

Rule: no I/O and no clock; times are monotonic seconds, passed in. Between two regular scans, and between two whole ones, there
is a pause of at least `REST` times as long as the last one took: neither takes more than a fifth of one core, however large the
directory grows.
"""

from typing import NamedTuple

from hlspub.watch.scan import Depth

WHOLE_S = 60.0  # every so often nothing is taken for granted
AGAIN_S = 0.5  # a new directory is read at once, and again when its first files are there
REST = 4.0


class Order(NamedTuple):
    """A scan to make: everything under `start` ("" for all)."""

    start: str
    depth: Depth


WHOLE = Order("", Depth.WHOLE)


class Agenda:
    """Orders, most urgent first: whole, new directories, regular."""

    def __init__(self, *, every_s: float, depth: Depth) -> None:
        self._every_s = every_s
        self._depth = depth
        self._is_whole_wanted = False
        self._directories: dict[str, float] = {}
        self._scanned_once: set[str] = set()
        self._regular_at = 0.0
        self._whole_at = 0.0

    def regular(self, *, every_s: float, depth: Depth) -> None:
        """From now on, make the regular scan every `every_s` seconds, in this depth."""
        self._every_s = every_s
        self._depth = depth

    def want_whole(self) -> None:
        """Scan everything, now."""
        self._is_whole_wanted = True

    def want_directory(self, path: str, mono: float) -> None:
        """A directory appeared: scan it now, and again after a moment."""
        self._directories[path] = mono
        self._scanned_once.discard(path)

    def take(self, mono: float) -> Order | None:
        """The scan to make now, if any."""
        if self._is_whole_wanted or self._whole_at <= mono:
            self._is_whole_wanted = False
            return WHOLE
        for path, due in self._directories.items():
            if due <= mono:
                return Order(path, Depth.WHOLE)
        return Order("", self._depth) if self._regular_at <= mono else None

    def done(self, order: Order, *, began: float, mono: float) -> None:
        """`order` was carried out."""
        if order.start:
            self._directories.pop(order.start, None)
            if order.start in self._scanned_once:
                self._scanned_once.discard(order.start)
            else:
                self._scanned_once.add(order.start)
                self._directories[order.start] = mono + AGAIN_S
            return
        rest_s = REST * (mono - began)
        if order == WHOLE:
            self._whole_at = mono + max(WHOLE_S, rest_s)
            rest_s = 0.0
        self._regular_at = mono + max(self._every_s, rest_s)

    def wait_s(self, mono: float) -> float:
        """Seconds until there is something to do."""
        if self._is_whole_wanted:
            return 0.0
        return max(0.0, min(self._regular_at, self._whole_at, *self._directories.values()) - mono)
