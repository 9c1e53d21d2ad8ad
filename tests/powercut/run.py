"""A run whose disk is on tape: lives of the daemon while a transcoder writes, and every power cut that they could have met.

Rule: what counts as reported is what stood in the log before the cut. A cut is looked at just before each sync takes effect:
between two of them what is durable stays the same, and what was reported only grows.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hlspub.errors import HlspubError
from hlspub.ipld.cid import Cid
from hlspub.journal.database import open_writer
from hlspub.journal.reader import JournalReader
from hlspub.spool.store import CarStore
from hlspub.spool.whole import read_whole
from tests.chaos.walk import Walker
from tests.powercut.disk import SYNCS, Disk, Loss
from tests.powercut.tape import Call, is_whole, moments, recording
from tests.support.daemon import Daemon, until
from tests.support.site import Site

JOURNAL = "data/journal.sqlite"


def always(_call: Call) -> bool:
    return True


@dataclass(slots=True, eq=False)
class Recorded:
    """A site whose daemon's lives are each on a tape, and with each what it left."""

    site: Site
    tapes: list[Path] = field(default_factory=list[Path])

    def life(self) -> Daemon:
        """A new life, recorded; the last one is over."""
        self._keep()
        self.tapes.append(self.site.root / f"tape-{len(self.tapes) + 1}")
        self.site.before = recording(self.tapes[-1])
        return self.site.daemon()

    def over(self) -> None:
        """The last life is over."""
        self._keep()
        self.site.before = ()

    def cuts(self, counts: Callable[[Call], bool] = always) -> "Iterator[Cut]":
        """Each instant just before something becomes durable, and the end of all. Only those syncs do that `counts`."""
        disk = Disk(self.site.root)
        for tape in self.tapes:
            with tape.open(encoding="ascii") as lines:
                for moment in moments(lines):
                    if moment.call.name in SYNCS and not counts(moment.call):
                        continue
                    if disk.is_sync(moment):
                        yield Cut(disk)
                    disk.play(moment)
            disk.ends_life(_left_by(tape))
        yield Cut(disk)

    def _keep(self) -> None:
        if self.tapes:
            until(lambda: is_whole(self.tapes[-1]), "the tape is whole")
            ignored = shutil.ignore_patterns("*.sock")
            shutil.copytree(self.site.data, _left_by(self.tapes[-1]) / self.site.data.name, ignore=ignored)


def _left_by(tape: Path) -> Path:
    return tape.with_suffix(".left")


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """An instant at which the power may go."""

    disk: Disk

    def reported(self) -> list[dict[str, Any]]:
        """The log's lines until here."""
        return [json.loads(line) for line in bytes(self.disk.said).splitlines() if line.startswith(b"{")]

    def faults(self, loss: Loss, copy: "Copy") -> list[str]:
        """Everything that was reported and is gone, or is wrong, when the power goes here."""
        copy.become(self.disk.after(loss))
        try:
            return list(faults_of(copy.place / "data", self.reported()))
        except HlspubError as why:
            return [f"{type(why).__name__}: {why}"]


@dataclass(slots=True, eq=False)
class Copy:
    """A folder that becomes what one cut after another leaves; what stays the same is not written again."""

    place: Path
    _has: dict[str, bytes | None] = field(default_factory=dict[str, bytes | None])

    def become(self, left: Mapping[str, bytes | None]) -> None:
        for path in self.place.glob(f"{JOURNAL}*"):
            path.unlink()  # whoever judged the last cut has written to it
        self._has = {path: data for path, data in self._has.items() if not path.startswith(JOURNAL)}
        for path in sorted(self._has.keys() - left.keys(), reverse=True):
            if self._has.pop(path) is None:
                (self.place / path).rmdir()
            else:
                (self.place / path).unlink()
        for path, data in left.items():
            if data is None:
                (self.place / path).mkdir(parents=True, exist_ok=True)
            elif self._has.get(path) is not data:
                (self.place / path).write_bytes(data)
        self._has = dict(left)


def faults_of(data: Path, events: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What a data directory lacks of what was reported."""
    taken = {(event["session"], event["path"], event["cid"]) for event in events if event["event"] == "file.taken"}
    published = {event["seq"]: event for event in events if event["event"] == "root.published"}
    if not data.is_dir():
        yield from (["there is no data directory"] if taken or published else [])
        return
    open_writer(data / "journal.sqlite").close()
    with JournalReader(data / "journal.sqlite") as journal:
        yield from (f"the journal: {fault}" for fault in journal.integrity())
        held = {
            (session.label, file.path, str(file.cid)): file.car_key
            for session in journal.sessions("main")
            for file in journal.versions(session.id)
        }
    stores = CarStore(data / "local"), CarStore(data / "spool")
    for one in sorted(taken):
        if one not in held:
            yield f"{one} was reported, and is not in the journal"
            continue
        place = next((store.path(held[one]) for store in stores if store.has(held[one])), None)
        if place is None:
            yield f"the CAR of {one} is gone"
        elif str(read_whole(place, held[one]).root) != one[2]:
            yield f"the CAR of {one} has another root"
    log = data / "publications.jsonl"
    lines = [json.loads(line) for line in log.read_bytes().splitlines()] if log.exists() else []
    told = {line["seq"]: line["root"] for line in lines}
    with Walker(data) as walker:
        for seq, event in published.items():
            if told.get(seq) != event["root"]:
                yield f"root {seq} was announced, and publications.jsonl does not know it"
            yield from (f"root {seq}: {fault}" for fault in walker.faults(Cid.parse(event["root"]), event["entry"]))
