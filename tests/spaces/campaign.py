"""One campaign: a live stream of a real ffmpeg goes into a real w3up service while troubles happen, until each has happened.

Rule: the stream runs as long as the troubles take, and is then ended as a person ends it. Afterwards the service's own
libraries read the space back from the final root: every file of the directory is there, byte for byte, and nothing else.
CARs go one by one where troubles need many blobs, and together where they need many roots.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.spaces.troubles import BLOBS, IMPATIENT_S, REFUSED_BLOBS, REFUSED_ROOTS, ROOTS, WOES, Play
from tests.support.daemon import Event
from tests.support.site import Site
from tests.support.space import into, rebuilt
from tests.support.transcoder import Ffmpeg
from tests.targets.w3up_service import serving

LONGEST_S = 900.0  # of one stream
SETTLED_S = 240.0
STOP_S = 90.0  # more than `drain_timeout`


@dataclass(frozen=True)
class Outcome:
    """What came of it. `hits`: how often each trouble happened; `again`: requests that a lost reply repeated byte for byte."""

    hits: Mapping[str, int]
    faults: Sequence[str]  # what is wrong; empty: all is well
    took_s: float
    files: int
    size_bytes: int
    roots: int
    again: int
    read: Mapping[str, Any] = field(repr=False)


PARTS: Mapping[str, Callable[[Play, int], None]] = MappingProxyType(
    {
        "blobs": lambda play, times: play.faults(BLOBS, times),
        "roots": lambda play, times: play.faults(ROOTS, times),
        "refused blobs": lambda play, times: play.faults(REFUSED_BLOBS, times, reload=True),
        "refused roots": lambda play, times: play.faults(REFUSED_ROOTS, times, reload=True),
        **{name: lambda play, times, name=name: play.woe(name, times) for name in WOES},
    }
)
ALONE = ("blobs", "refused blobs")


def fought(parts: Sequence[str], times: int, place: Path, *, seconds: float = 0.0) -> Outcome:
    """Have each trouble of these parts happen so often, in one stream that lasts `seconds` at least."""
    began = time.monotonic()
    with serving() as service:
        space, site = service.space(), Site(place)
        site.configure(publish_interval="500ms")
        table = {"shard_cars": 1} if set(parts) & set(ALONE) else {"shard_age": "200ms"}
        into(site, service, space, concurrency=4, **table)
        daemon = site.daemon()
        try:
            daemon.ready()
            with Ffmpeg(site.hls, LONGEST_S, segment_s=1) as ffmpeg:
                started = time.monotonic()
                play = Play(site, service, daemon, space, started + LONGEST_S)
                for part in parts:
                    PARTS[part](play, times)
                play.until(lambda: time.monotonic() > started + seconds, "the stream is long enough")
                ffmpeg.stop()
            root = str(_last(play)["root"])
            read = rebuilt(service, space, root, site)
            listed = service.uploads(space["did"])
            tasks = [one["task"] for one in service.log() if one["kind"] == "ucan" and "task" in one]
            wrong = [str(one) for one in read["wrong"]]
            wrong += [f"{one} is still listed" for one in listed.keys() - {root}]
            wrong += [f"exit code {code}" for code in [daemon.stop(STOP_S)] if code]
            wrong += [*site.journal_faults(), *(f"{key} is left in the spool" for key in site.spooled())]
        finally:
            site.close()
        return Outcome(
            play.hits,
            wrong,
            time.monotonic() - began,
            read["files"],
            read["bytes"],
            len(site.published()),
            len(tasks) - len(set(tasks)),
            read,
        )


def _last(play: Play) -> Event:
    """The final root's event, once all is delivered. What was refused for good is offered again at a reload alone."""
    play.deadline = time.monotonic() + SETTLED_S

    def settled() -> list[Event]:
        return [] if play.site.spooled() else play.daemon.of("root.published", final=True)

    what = "the final root is published, and nothing is left to be delivered"
    play.until(settled, what, every_s=IMPATIENT_S, reload=True)
    return settled()[0]
