"""The start: how soon a daemon is ready whose journal remembers a long session, and what it reads for that.

    python bench/bench_start.py [--json]

The journal is made by the records that a daemon writes: one running `archive` session of one media playlist with 100,000
segments, all of them delivered, the newest root announced. Assumed: the CARs are not on disk, since a start opens none.
Measured from the process's beginning to `daemon.ready`, which comes after the first scan: once in an empty directory, once
beside the segments (of one byte, in the state in which they were taken). And, in processor time, the tree alone: from the
journal's rows to its root, against a from-scratch builder in plain Python (`tests/ipld/plain.py`) whose entries are in memory
already. Exit status 1 when a figure misses what it must reach.
"""

import gc
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from rows import Row, main

from hlspub.engine.course import Course
from hlspub.engine.files import Quorum
from hlspub.engine.session import Session, Taken
from hlspub.engine.settings import TreeSettings
from hlspub.engine.snapshot import SnapshotTree
from hlspub.hls.classify import classify
from hlspub.hls.scan import scan
from hlspub.ipld.block import BlockAt
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.profile import PROFILES
from hlspub.ipld.tree import Tree
from hlspub.journal import statements
from hlspub.journal.database import open_writer
from hlspub.journal.reader import JournalReader
from hlspub.model import Car, CarKind, FileIdentity, FileKind, Packed
from hlspub.pipeline.entries import choose_entry
from hlspub.records import CarFound, FileTaken, Record, RootAnnounced, RootMade, SessionStarted, StreamDeclared
from tests.ipld import plain
from tests.support.daemon import Daemon
from tests.support.site import Site

FILES = 100_000
TARGET = "local"
READY_S = 300.0
ROUNDS = 3


def made(data_dir: Path, directory: Path, *, present: bool) -> None:
    """A journal that remembers the session; `present`: its files are in the directory."""
    names = [f"segment_{number:06d}.ts" for number in range(FILES)]
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", *(f"#EXTINF:2.0,\n{name}" for name in names), ""]
    texts = {"v/index.m3u8": "\n".join(lines), "master.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv/index.m3u8\n"}
    session = Session(
        1, "main", "20261124T100000Z-1", TreeSettings(), (TARGET,), Quorum(frozenset({TARGET}), 1), 1.0, 1.0
    )
    course = Course(session, SnapshotTree(session, Tree(PROFILES[session.settings.profile])))
    records: list[Record] = [
        StreamDeclared("main", str(directory), 1.0),
        SessionStarted(1, "main", session.label, session.settings.to_json(), 1.0),
    ]
    now = time.time()
    for path in (*(f"v/{name}" for name in names), *texts):
        data = texts[path].encode() if path in texts else b"x"
        identity = _written(directory / path, data) if present else FileIdentity(1, 1, len(data), 1, 1)
        said = scan(data, path) if classify(path) is FileKind.PLAYLIST else None
        packed = _packed(path, len(data))
        records.append(CarFound(packed.car, now, confirmed=(TARGET,)))
        told = session.take(Taken(path, classify(path), packed, identity, now, playlist=said))
        records += (replace(record, targets=()) if isinstance(record, FileTaken) else record for record in told)
        session.confirm(packed.car.key, TARGET)
    choose_entry(course, "auto")
    snapshot = course.snapshot()
    assert snapshot is not None
    root = course.tree.make(snapshot)
    records.append(RootMade(1, 1, root.root, root.tsize, snapshot.entry, False, snapshot.playlists, None, now, ()))  # noqa: FBT003 -- final
    records.append(RootAnnounced(1, 1, 1, now, 0.1))
    with closing(open_writer(data_dir / "journal.sqlite")) as db:
        db.execute("BEGIN")
        for record in records:
            statements.write(db, record)
        db.execute("COMMIT")


def _packed(path: str, size: int) -> Packed:
    cid = Cid.of_data(Codec.RAW, path.encode())
    return Packed(cid, size, size, Car(str(cid), CarKind.FILE, cid, size + 97, (BlockAt(cid, 97, size),)))


def _written(path: Path, data: bytes) -> FileIdentity:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return FileIdentity.of(path.stat())


def started(site: Site) -> tuple[float, int, Daemon]:
    """Seconds to ready, and how many files the daemon read for it."""
    begun = time.monotonic()
    daemon = site.daemon()
    took = daemon.wait("daemon.ready", READY_S)["_at"] - begun
    daemon.wait("watch.scan_finished", READY_S)
    read = len(daemon.of("file.taken"))
    daemon.kill()
    return took, read, daemon


def rebuilt(journal: Path) -> Row:
    """The directory from the journal."""
    profile = PROFILES[TreeSettings().profile]

    def from_journal() -> Cid:
        with JournalReader(journal) as reader:
            return (
                Tree.build(profile, ((row.path, Cid(row.raw_cid), row.tsize) for row in reader.versions(1))).root().cid
            )

    with JournalReader(journal) as reader:
        files = {row.path: (row.raw_cid, row.tsize) for row in reader.versions(1)}
    assert len(files) == FILES + 2

    def from_scratch() -> Cid:
        return Cid(plain.tree(files, version=profile.cid_version)[0])

    took: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(ROUNDS):
        roots: set[Cid] = set()
        for name, work in (("ours", from_journal), ("plain", from_scratch)):
            gc.collect()
            begun = time.process_time()
            roots.add(work())
            took[name].append(time.process_time() - begun)
        assert len(roots) == 1
    ours, theirs = min(took["ours"]), min(took["plain"])
    note = f"{ours * 1e3:.0f} against {theirs * 1e3:.0f} ms"
    return Row(f"rebuild of {FILES:,} entries from the journal, against plain", ours / theirs, "x", 1.5, 1.0, note=note)


def measure(*, present: bool) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bench-start-") as folder:
        site = Site(Path(folder)).configure(publish_interval="off", end_on=[])
        site.data.mkdir()
        made(site.data, site.hls, present=present)
        directory = [] if present else [rebuilt(site.data / "journal.sqlite")]
        lives = [started(site) for _ in range(ROUNDS)]
        troubles = [event for *_, daemon in lives for event in (*daemon.troubles(), *daemon.of("tree.rebuilt"))]
        assert troubles == [], troubles
    return [
        Row(f"a start that remembers {FILES:,} files, until ready", min(took for took, *_ in lives), "s", 5, 3),
        Row("files that it read for that", max(read for _, read, _ in lives), "files", 0, 0),
        *directory,
    ]


if __name__ == "__main__":
    sys.exit(
        main(
            "measure a start",
            lambda: {"in an empty directory": measure(present=False), "beside its files": measure(present=True)},
        )
    )
