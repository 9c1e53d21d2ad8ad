"""The life of a stream's session, as a table.

    WAITING ──file──► RUNNING ──endlist──► CLOSING ──quiet──► ENDING ──announced──► WAITING
                         │  ▲                 │ ▲ file          ▲
                         │  └──────file───────┘ └ (stays)       │
                         └──signal · command · idle · restart · rotate · publish ─┘

RUNNING: files are taken, roots follow on the interval. CLOSING: every media playlist has ENDLIST; a moment of quiet lets
the transcoder rewrite its multivariant playlist and initialization sections (some do, milliseconds later). ENDING: one
last scan, everything drains, the final root. A file that comes while a session is ENDING belongs to the next one.
"""

from enum import StrEnum
from types import MappingProxyType


class Life(StrEnum):
    """Where a stream's session stands."""

    WAITING = "waiting"
    RUNNING = "running"
    CLOSING = "closing"
    ENDING = "ending"


class Event(StrEnum):
    """What can happen to it. The value of an end is the reason that is logged."""

    FILE = "file"
    ENDLIST = "endlist"
    CONTINUED = "continued"  # a playlist came without ENDLIST after all
    QUIET = "quiet"
    SIGNAL = "signal"
    COMMAND = "command"
    IDLE = "idle"
    RESTART = "restart"
    ROTATE = "rotate"
    PUBLISH = "publish"
    ANNOUNCED = "announced"


_END = {Event.SIGNAL, Event.COMMAND, Event.IDLE, Event.RESTART, Event.ROTATE, Event.PUBLISH}

TRANSITIONS: MappingProxyType[Life, MappingProxyType[Event, Life]] = MappingProxyType(
    {
        Life.WAITING: MappingProxyType({Event.FILE: Life.RUNNING}),
        Life.RUNNING: MappingProxyType(
            {Event.FILE: Life.RUNNING, Event.ENDLIST: Life.CLOSING} | dict.fromkeys(_END, Life.ENDING)
        ),
        Life.CLOSING: MappingProxyType(
            {
                Event.FILE: Life.CLOSING,
                Event.CONTINUED: Life.RUNNING,
                Event.ENDLIST: Life.CLOSING,
                Event.QUIET: Life.ENDING,
            }
            | dict.fromkeys(_END, Life.ENDING)
        ),
        Life.ENDING: MappingProxyType({Event.ANNOUNCED: Life.WAITING}),
    }
)


def after(life: Life, event: Event) -> Life | None:
    """The state after `event`, or None when the event means nothing in this state."""
    return TRANSITIONS[life].get(event)
