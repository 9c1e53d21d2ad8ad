"""A progress bar for a person at a terminal, and silence everywhere else.

Rule: one line on stderr, never wider than the terminal, redrawn at most ten times a second and taken away at the end.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol, Self, TextIO

from hlspub.cli.common import size_text, time_text

_REDRAW_S = 0.1
_ERASE = "\r\x1b[K"  # to the line's start, and clear it (ECMA-48 EL)
_WIDEST = 100  # columns; a longer bar says no more
_NARROWEST_BAR = 8
_CYAN, _PLAIN = "\x1b[36m", "\x1b[0m"
_KNOWN_AFTER_S = 1.0  # a rate measured over less is a guess


class Steps(Protocol):
    """How far a publication is; `phase` is one word for people."""

    @property
    def done_files(self) -> int: ...  # noqa: D102 -- a field
    @property
    def total_files(self) -> int: ...  # noqa: D102 -- a field
    @property
    def done_bytes(self) -> int: ...  # noqa: D102 -- a field
    @property
    def total_bytes(self) -> int: ...  # noqa: D102 -- a field
    @property
    def phase(self) -> str: ...  # noqa: D102 -- a field


class Bar:
    """Draws on `stream` when that is a terminal; a context that leaves a clean line behind."""

    def __init__(self, stream: TextIO, env: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._drawn = stream.isatty() and env.get("TERM") != "dumb"
        self._color = "NO_COLOR" not in env
        self._blocks = "█░" if (stream.encoding or "").lower().replace("-", "") == "utf8" else "#."
        self._clock = clock
        self._started = clock()
        self._last: tuple[float, str] = (float("-inf"), "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn and self._last[1]:
            self._stream.write(_ERASE)
            self._stream.flush()

    def show(self, steps: Steps) -> None:
        """Draw, unless that was done a moment ago in the same phase."""
        now = self._clock()
        if not self._drawn or (now - self._last[0] < _REDRAW_S and steps.phase == self._last[1]):
            return
        self._last = (now, steps.phase)
        width = min(_WIDEST, shutil.get_terminal_size().columns - 1)
        phase, bar, facts = render(steps, now - self._started, width, self._blocks)
        self._stream.write(
            f"{_ERASE}{phase}{_CYAN}{bar}{_PLAIN}{facts}" if self._color else _ERASE + phase + bar + facts
        )
        self._stream.flush()


def render(steps: Steps, elapsed_s: float, width: int, blocks: str) -> tuple[str, str, str]:
    """Phase, bar and facts, `width` columns together; the facts that do not fit are left out, the last ones first."""
    total = max(steps.total_bytes, steps.done_bytes)
    share = steps.done_bytes / total if total else 0.0
    phase = f"{steps.phase} "
    facts = [f" {share:4.0%}", f"  {steps.done_files}/{steps.total_files} files"]
    facts.append(f"  {size_text(steps.done_bytes)} of {size_text(total)}")
    if elapsed_s >= _KNOWN_AFTER_S and 0 < steps.done_bytes < total:
        facts.append(f"  {time_text((total - steps.done_bytes) * elapsed_s / steps.done_bytes)} left")
    while facts and len(phase) + sum(map(len, facts)) + _NARROWEST_BAR > width:
        facts.pop()
    room = width - len(phase) - sum(map(len, facts))
    if room < _NARROWEST_BAR:
        return phase[: max(width, 0)], "", ""
    filled = round(share * room)
    return phase, blocks[0] * filled + blocks[1] * (room - filled), "".join(facts)
