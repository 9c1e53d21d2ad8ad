"""A lost or damaged journal, rebuilt beside the old one from what is on this disk, and put in its place when it is whole.

Sources: `publications.jsonl`, the CARs of the local store and of the spool, the streams' directories. Order: every CAR is read
and held to its name and its blocks; then each session that may go on is read back from its newest root whose directories and
playlists are here; then the new journal is checked, the old one moved aside, the new one renamed. Until that last step nothing
that was there is changed, but that a CAR which is not what its name says gets the ending `.damaged`: it must not be taken for
the good one when its file is read again. It is never deleted.

What was confirmed? The spool lets a CAR go when every target has confirmed it, and a root is announced when the targets that
count have confirmed all of it. So a CAR that lies in the local store alone was confirmed by all, and one that lies in the spool
is queued anew at every target; if an announced root holds it, it counts as confirmed meanwhile.

On a new machine there is nothing of that: then all but the media is brought from a target first (`recovering_far`).

What is lost: the names of files that were taken after the last root and are in the directory no more, and the earlier bytes
of a name that was used again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path

import anyio
import anyio.to_thread

from hlspub.config.kinds.local import LOCAL
from hlspub.config.model import Config
from hlspub.config.places import JOURNAL_NAME
from hlspub.errors import CarError, JournalError, StorageError
from hlspub.ipld.cid import Cid
from hlspub.journal.journal import Journal
from hlspub.journal.reader import JournalReader
from hlspub.model import Car, CarKind, Clock
from hlspub.pipeline.notices import journal_said
from hlspub.pipeline.once import Progress
from hlspub.pipeline.recovering_plan import NodeCar, Past, pasts, records_of
from hlspub.pipeline.recovering_tree import Far, Recollection, Shelves, recollect
from hlspub.records import CarFound, Record, StreamDeclared
from hlspub.spool.disk import DISK, explained
from hlspub.spool.publications import FILE_NAME, PublicationLog
from hlspub.spool.store import CarStore
from hlspub.spool.whole import read_whole

DAMAGED = ".damaged"
_BATCH = 64  # CARs that are read before their rows are written
_RECORDS = 2000  # written in one transaction
_BESIDE = ("", "-wal", "-shm")  # what SQLite keeps of one journal; moved in this order

Tell = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came back.

    `broken`: CARs that were left out, and why. `torn`: numbers of the lines of `publications.jsonl` that are none.
    `incomplete`: sessions that go on without something that their newest root has, and what that is. `kept_as`: where the old
    journal is, None when there was none.
    """

    streams: int
    sessions: int
    files: int
    cars: int
    broken: tuple[tuple[Path, str], ...]
    torn: tuple[int, ...]
    incomplete: tuple[tuple[str, str], ...]
    kept_as: Path | None


@dataclass(slots=True, eq=False)
class _Stock:
    """The good CARs: how many, those of the spool by key, and the node CARs by their root; none with its blocks."""

    cars: int = 0
    spooled: dict[str, Car] = field(default_factory=dict[str, Car])
    nodes: dict[Cid, Car] = field(default_factory=dict[Cid, Car])
    broken: list[tuple[Path, str]] = field(default_factory=list[tuple[Path, str]])


@dataclass(frozen=True, slots=True)
class _Work:
    """What a recovery works with. `journal` is the new one."""

    config: Config
    clock: Clock
    tell: Tell
    journal: Journal
    store: CarStore
    spool: CarStore
    far: Far | None


async def recover(config: Config, clock: Clock, tell: Tell, far: Far | None = None) -> Recovered:
    """Rebuild the journal of `config.data_dir`; the caller holds its lock. `far`: what a target has, on a new machine.

    Raises:
        PermissionRefused, StorageError: a store, a directory or the disk refuses; the old journal is in its place.
        JournalError: the new journal does not hold together: a bug, or a failing disk. The old one is in its place.
    """
    data_dir = config.data_dir
    journal_path = data_dir / JOURNAL_NAME
    new = journal_path.with_name(f"{JOURNAL_NAME}.new")
    _drop(new)
    store, spool = CarStore(data_dir / "local"), CarStore(data_dir / "spool")
    for one in (store, spool):
        await anyio.to_thread.run_sync(one.prepare)
    lines, torn = await anyio.to_thread.run_sync(PublicationLog(data_dir / FILE_NAME).read)
    journal = await Journal.open(new, on_event=journal_said)
    try:
        work = _Work(config, clock, tell, journal, store, spool, far)
        stock = await _take_stock(work)
        await _write(journal, _far(work))
        told = pasts(lines)
        found = await anyio.to_thread.run_sync(_recollect_all, work, new, told)
        await _write(journal, _streams(config, told, clock.now()))
        for past in told:
            await _write(journal, _session(past, stock, found.get(past.number)))
        await _write(journal, _waiting(work, stock, told, found))
    finally:
        await journal.close()
    await anyio.to_thread.run_sync(_check, new)
    kept_as = await anyio.to_thread.run_sync(_put_in_place, journal_path, new, clock.now())
    return Recovered(
        streams=len({past.stream for past in told} | config.stream.keys()),
        sessions=len(told),
        files=sum(file.packed is not None for tree in found.values() for file in tree.files),
        cars=stock.cars,
        broken=tuple(stock.broken),
        torn=tuple(torn),
        incomplete=tuple((past.label, why) for past in told for why in _lacks(found.get(past.number))),
        kept_as=kept_as,
    )


# the stores


async def _take_stock(work: _Work) -> _Stock:
    """Read every CAR and write down what it holds; and, when it lies in the local store alone, that every target has it."""
    stock, limiter = _Stock(), anyio.CapacityLimiter(work.config.limits.hash_threads)
    shelves = (work.spool, work.store)
    totals = [await anyio.to_thread.run_sync(one.usage) for one in shelves]
    total_cars, total_size = (sum(each) for each in zip(*totals, strict=True))
    done_cars = done_size = 0
    waiting: set[str] = set()  # keys in the spool, whether or not their CARs are good
    for shelf in shelves:
        keys = shelf.keys()
        while batch := await anyio.to_thread.run_sync(_some, keys):
            found = await _read(shelf, batch, limiter, stock)
            waiting.update(batch if shelf is work.spool else ())
            targets, at = tuple(work.config.target), work.clock.now()
            await work.journal.write([CarFound(car, at, () if car.key in waiting else targets) for car in found])
            for car in found:
                bare = replace(car, blocks=())
                stock.cars += car.key not in stock.spooled
                if car.key in waiting:
                    stock.spooled[car.key] = bare
                if car.kind is CarKind.NODES:
                    stock.nodes[car.root] = bare
            done_cars, done_size = done_cars + len(batch), done_size + sum(car.size_bytes for car in found)
            work.tell(Progress(done_cars, total_cars, done_size, total_size, "reading"))
    return stock


async def _read(shelf: CarStore, keys: Iterable[str], limiter: anyio.CapacityLimiter, stock: _Stock) -> list[Car]:
    """The good ones of these CARs, read side by side."""
    found: list[Car] = []

    async def read(path: Path, key: str) -> None:
        car = await anyio.to_thread.run_sync(_look, path, key, limiter=limiter)
        if isinstance(car, Car):
            found.append(car)
        else:
            stock.broken.append((path, car))

    async with anyio.create_task_group() as tasks:
        for key in keys:
            tasks.start_soon(read, shelf.path(key), key)
    return found


def _some(keys: Iterator[str]) -> list[str]:
    return list(islice(keys, _BATCH))


def _look(path: Path, key: str) -> Car | str:
    """A CAR, or why it is none."""
    try:
        return read_whole(path, key)
    except (CarError, StorageError) as why:
        with explained(f"moving {path} aside"):
            path.rename(path.with_name(path.name + DAMAGED))
        return str(why)


def _far(work: _Work) -> list[Record]:
    """The CARs that lie at a target alone; the others are sent them when the streams are followed again."""
    if work.far is None:
        return []
    at = work.clock.now()
    return [CarFound(car, at, (work.far.place,)) for car in work.far.cars.values()]


# the sessions


def _recollect_all(work: _Work, journal: Path, told: Iterable[Past]) -> dict[int, Recollection]:
    """By number: the trees of the sessions that go on, and of each stream's last, whose files its directory still shows."""
    found: dict[int, Recollection] = {}
    with JournalReader(journal) as reader:
        for past in told:
            if past.newest or not past.final:
                stream = work.config.stream.get(past.stream)
                shelves = Shelves(reader, (work.store, work.spool), work.far)
                found[past.number] = recollect(past, shelves, stream.path if stream else None, work.tell)
    return found


def _lacks(tree: Recollection | None) -> Iterator[str]:
    if tree is not None and tree.lacks:
        yield tree.lacks


def _streams(config: Config, told: Iterable[Past], at: float) -> list[Record]:
    known = {past.stream: "" for past in told}  # one that `hlspub publish` made says again where it lies
    known |= {name: str(stream.path) for name, stream in config.stream.items()}
    return [StreamDeclared(name, directory, at) for name, directory in known.items()]


def _session(past: Past, stock: _Stock, tree: Recollection | None) -> list[Record]:
    nodes = {line.seq: NodeCar(stock.nodes.get(line.root)) for line in past.lines}
    if tree is None:
        return records_of(past, (), nodes, whole=False)
    newest = past.lines[-1]
    nodes[newest.seq] = NodeCar(stock.nodes.get(newest.root), tree.tsize)
    return records_of(past, tree.files, nodes, whole=tree.whole)


def _waiting(work: _Work, stock: _Stock, told: Iterable[Past], trees: Mapping[int, Recollection]) -> list[Record]:
    """What the spool holds is sent again; what an announced root holds was confirmed nevertheless.

    A CAR goes to the targets of the streams whose trees hold it; one that no tree holds, to those that all streams have.
    """
    announced: set[str] = set()
    whose: dict[str, set[str]] = {}
    again: list[Car] = []
    for past in told:
        tree = trees.get(past.number)
        files = [file.packed.car for file in tree.files if file.packed is not None] if tree else []
        nodes = [car for line in past.lines if (car := stock.nodes.get(line.root))]
        read_again = list(tree.read_again) if tree else []
        announced.update(car.key for car in (*files, *nodes))
        again += read_again
        for car in (*files, *nodes, *read_again):
            whose.setdefault(car.key, set()).update(work.config.targets_of(past.stream))
    everywhere = {
        name for name in work.config.target if all(map(partial(_gets, work.config, name), work.config.stream))
    }
    at = work.clock.now()
    records: list[Record] = []
    for car in (*stock.spooled.values(), *again):
        targets = tuple(name for name in work.config.target if name in whose.get(car.key, everywhere))
        kept = tuple(name for name in targets if name == LOCAL and work.store.has(car.key))
        queued = tuple(name for name in targets if name not in kept)
        records.append(CarFound(car, at, targets if car.key in announced else kept, queued))
    return records


def _gets(config: Config, target: str, stream: str) -> bool:
    return target in config.targets_of(stream)


async def _write(journal: Journal, records: list[Record]) -> None:
    for start in range(0, len(records), _RECORDS):
        await journal.write(records[start : start + _RECORDS])


# the new journal


def _drop(journal: Path) -> None:
    with explained(f"removing {journal}"):
        for suffix in _BESIDE:
            journal.with_name(journal.name + suffix).unlink(missing_ok=True)


def _check(journal: Path) -> None:
    with JournalReader(journal) as reader:
        faults = reader.integrity()
    if faults:
        raise JournalError(
            f"the journal that was rebuilt does not hold together: {faults[0]}",
            hint="The old one is still in its place. Please report this with the line above.",
        )


def _put_in_place(journal: Path, new: Path, now: float) -> Path | None:
    """Move the old journal aside and the new one to its place; where the old one is now.

    The database goes first: what a crash leaves then is no journal, which nothing starts on. Its log must be gone before the
    new journal comes, since SQLite would take it for the new one's.
    """
    when = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}"
    aside = journal.with_name(f"{journal.name}.damaged-{when}")
    kept = journal.exists()
    with explained(f"putting {journal} in place"):
        for suffix in _BESIDE:
            old = journal.with_name(journal.name + suffix)
            if old.exists():
                old.rename(aside.with_name(aside.name + suffix))
                DISK.sync_folder(journal.parent)
        new.rename(journal)
        DISK.sync_folder(journal.parent)
    return aside if kept else None
