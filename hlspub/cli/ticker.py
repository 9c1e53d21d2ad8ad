"""A line that counts, for a person at a terminal, where the end is not known; silence everywhere else.

Rule: as for the bar (`progress`): one line on stderr, redrawn at most ten times a second, taken away at the end.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self, TextIO

from hlspub.cli.common import size_text

_REDRAW_S = 0.1
_ERASE = "\r\x1b[K"  # to the line's start, and clear it (ECMA-48 EL)


class Ticker:
    """Draws on `stream` when that is a terminal; a context that leaves a clean line behind."""

    def __init__(self, stream: TextIO, env: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._drawn = stream.isatty() and env.get("TERM") != "dumb"
        self._clock = clock
        self._last = float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn and self._last > float("-inf"):
            self._stream.write(_ERASE)
            self._stream.flush()

    def show(self, doing: str, count: int, what: str, size: int) -> None:
        """Draw "doing: count what, size", unless that was done a moment ago."""
        now = self._clock()
        if not self._drawn or now - self._last < _REDRAW_S:
            return
        self._last = now
        width = max(shutil.get_terminal_size().columns - 1, 0)
        self._stream.write(_ERASE + f"{doing}: {count} {what}, {size_text(size)}"[:width])
        self._stream.flush()
