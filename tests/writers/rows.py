"""What came of a case, and the table of all."""

from collections.abc import Iterable
from dataclasses import dataclass, field

COLUMNS = (
    "writer",
    "mode",
    "retention",
    "roots announced",
    "broken roots",
    "files missed",
    "sent, s",
    "ffprobe, s",
    "frames",
    "Chromium, s",
)


@dataclass(slots=True)
class Row:
    """One case. `faults`: what is not as it should be, in words; `unplayed`: what Chromium did not do.

    A list has one value a session of each stream.
    """

    writer: str
    mode: str
    retention: str
    roots: int = 0
    broken: int = 0
    missed: int = 0
    sent_s: list[float] = field(default_factory=list[float])
    probed_s: list[float] = field(default_factory=list[float])
    frames: list[float] = field(default_factory=list[float])
    chromium_s: list[float] = field(default_factory=list[float])
    not_tried: str = ""  # why Chromium was not asked
    faults: list[str] = field(default_factory=list[str])
    unplayed: list[str] = field(default_factory=list[str])

    def check(self, is_right: object, fault: str) -> None:
        """Note a fault unless it is right."""
        if not is_right:
            self.faults.append(fault)


def table(rows: Iterable[Row]) -> str:
    """The rows as Markdown."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *map(_cells, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    counts = (str(row.roots), str(row.broken), str(row.missed))
    measured = (_sum(row.sent_s), _sum(row.probed_s), _sum(row.frames))
    chromium = _sum(row.chromium_s) or (f"({row.not_tried})" if row.not_tried else "no")
    return (row.writer, row.mode, row.retention, *counts, *measured, chromium)


def _sum(values: Iterable[float]) -> str:
    return " + ".join(f"{value:.4g}" for value in values)
