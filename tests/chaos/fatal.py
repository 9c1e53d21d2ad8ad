"""A daemon that dies at a declared step: `python -m tests.chaos.fatal STEP COUNT run --config FILE`.

Rule: the step is a call in the running daemon; around it a hook sends SIGKILL to its own process when it is passed for the
COUNT-th time. Nothing of this ships, and the daemon knows nothing of it: a step whose function is renamed is an error here,
at once. STEP may be "-": then nothing is fatal, and COUNT is a file, into which the life writes at its end how often it passed
each step. In either case reclaim, which looks every five minutes, looks every second.

A journal record has two steps: written into a transaction that is not committed, and committed with nobody told of it.
"""

import inspect
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from hlspub import records
from hlspub.cli import run
from hlspub.journal.writer import Job, Writer
from hlspub.model import CarKind
from hlspub.pipeline import reclaim
from hlspub.spool import publications
from hlspub.spool.disk import Disk
from hlspub.spool.store import CarStore
from hlspub.targets.local import LocalTarget

HURRIED_S = 1.0
Matches = Callable[..., bool]


@dataclass
class Fuse:
    """Burns down by one at each passage; one that begins at 0 only counts them."""

    left: int = 0

    def burn(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Step:
    """`arm` lays the fuse. `most`: at which passage at the latest to die. `late`: it comes only when a session ends."""

    arm: Callable[[Fuse], None]
    most: int = 12
    late: bool = False


def before(owner: type, name: str, when: Matches = lambda *_: True) -> Callable[[Fuse], None]:
    """Dies when the function is called."""
    return lambda fuse: _wrap(owner, name, when, fuse, None)


def after(owner: type, name: str, when: Matches = lambda *_: True) -> Callable[[Fuse], None]:
    """Dies when the function has returned."""
    return lambda fuse: _wrap(owner, name, when, None, fuse)


def _wrap(owner: type, name: str, when: Matches, first: Fuse | None, last: Fuse | None) -> None:
    function = inspect.getattr_static(owner, name)

    def pass_by(fuse: Fuse | None, arguments: Sequence[Any]) -> None:
        if fuse is not None and when(*arguments):
            fuse.burn()

    @wraps(function)
    def plain(*arguments: Any, **named: Any) -> Any:
        pass_by(first, arguments)
        result = function(*arguments, **named)
        pass_by(last, arguments)
        return result

    @wraps(function)
    async def slow(*arguments: Any, **named: Any) -> Any:
        pass_by(first, arguments)
        result = await function(*arguments, **named)
        pass_by(last, arguments)
        return result

    setattr(owner, name, slow if inspect.iscoroutinefunction(function) else plain)


def _torn(fuse: Fuse) -> None:
    """Half of a publication's line is in the file."""
    write_all = publications.write_all

    def write_half(handle: int, data: bytes) -> None:
        write_all(handle, data[: len(data) // 2] if fuse.left == 1 else data)
        fuse.burn()

    publications.write_all = write_half  # type: ignore[assignment]


def _holds(name: str) -> Callable[[Sequence[Any]], bool]:
    kind = getattr(records, name)
    return lambda items: any(isinstance(item, kind) for item in items)


def _written(name: str) -> Callable[[Fuse], None]:
    holds = _holds(name)
    return after(Writer, "_apply", lambda _writer, job: holds(job.records))


def _committed(name: str) -> Callable[[Fuse], None]:
    holds = _holds(name)

    def in_one(_writer: Writer, batch: Sequence[Job]) -> bool:
        return any(holds(job.records) for job in batch)

    return after(Writer, "_commit", in_one)


def _is_nodes(_store: CarStore, _data: bytes, car: Any) -> bool:
    return car.kind is CarKind.NODES


def _is_spool(store: CarStore, *_: object) -> bool:
    return store.root.name == "spool"


def _is_local(store: CarStore, *_: object) -> bool:
    return store.root.name == "local"


# record -> (at which passage at the latest to die, whether it comes only when a session ends)
RECORDS: dict[str, tuple[int, bool]] = {
    "StreamDeclared": (1, False),
    "SessionStarted": (1, False),
    "FileTaken": (12, False),
    "PlaylistTaken": (6, False),
    "ReferenceOpened": (6, False),
    "SegmentLearned": (4, False),
    "ShardConfirmed": (12, False),
    "RootMade": (3, False),
    "RootBound": (3, False),
    "RootAnnounced": (3, False),
    "PicturesForgotten": (2, False),
    "RootsForgotten": (2, False),
    "CarsForgotten": (2, False),
    "CarsRemoved": (2, False),
    "SessionEnding": (1, True),
    "SessionEnded": (1, True),
}

STEPS: dict[str, Step] = {
    "before a CAR is synced": Step(before(Disk, "sync_file")),
    "before a CAR is in its place": Step(before(CarStore, "_place")),
    "before a folder is synced": Step(before(Disk, "sync_folder")),
    "after a file is packed": Step(after(CarStore, "put_file")),
    "after a playlist is packed": Step(after(CarStore, "put_data"), most=6),
    "after a node CAR is packed": Step(after(CarStore, "put_car", _is_nodes), most=3),
    "before a CAR is linked": Step(before(CarStore, "adopt")),
    "after a CAR is linked": Step(after(CarStore, "adopt")),
    "before a CAR leaves the spool": Step(before(CarStore, "remove", _is_spool)),
    "after a CAR left the spool": Step(after(CarStore, "remove", _is_spool)),
    "before a CAR is reclaimed": Step(before(CarStore, "remove", _is_local), most=2),
    "before a root is bound": Step(before(LocalTarget, "bind"), most=3),
    "after a root is bound": Step(after(LocalTarget, "bind"), most=3),
    "before a publication's line": Step(before(publications.PublicationLog, "append"), most=3),
    "amid a publication's line": Step(_torn, most=3),
    "after a publication's line": Step(after(publications.PublicationLog, "append"), most=3),
    **{f"{name} is written": Step(_written(name), most, late) for name, (most, late) in RECORDS.items()},
    **{f"{name} is committed": Step(_committed(name), most, late) for name, (most, late) in RECORDS.items()},
}

# Of what only some configurations have; the campaign has none of it.
ASIDE_STEPS: dict[str, Step] = {
    "HookTold is written": Step(_written("HookTold")),
    "HookTold is committed": Step(_committed("HookTold")),
}


def main(arguments: Sequence[str]) -> int:
    """Arm one step, or count at all of them, and run hlspub."""
    name, count, *command = arguments
    reclaim.EVERY_S, reclaim._EASE = HURRIED_S, 1
    if name != "-":
        (STEPS | ASIDE_STEPS)[name].arm(Fuse(int(count)))
        return run(command)
    fuses = {name: Fuse() for name in STEPS}
    for name, fuse in fuses.items():
        STEPS[name].arm(fuse)
    try:
        return run(command)
    finally:
        Path(count).write_text(json.dumps({name: -fuse.left for name, fuse in fuses.items()}), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
