"""Random streams and random passes: every kept root is whole, the next one builds on what is there, nothing else remains."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from hlspub.engine.keeping import Keep
from hlspub.errors import StorageError
from hlspub.ipld.block import Block
from hlspub.ipld.car import car_cid, node_car
from hlspub.ipld.cid import Cid
from hlspub.ipld.dag import walk_dag
from hlspub.ipld.profile import PROFILES
from hlspub.ipld.tree import Tree
from hlspub.ipld.walk import stream
from hlspub.journal import statements
from hlspub.journal.database import open_writer
from hlspub.journal.reader import JournalReader, JournalReads
from hlspub.model import Car, CarKind, FileIdentity, FileKind
from hlspub.pipeline.reclaim import Freed, Reclaimer
from hlspub.pipeline.shelf import LocalBlocks
from hlspub.records import (
    FileTaken,
    PlaylistTaken,
    Record,
    ReferenceClosed,
    ReferenceOpened,
    RootAnnounced,
    RootMade,
    SessionEnded,
    SessionEnding,
    SessionStarted,
    ShardConfirmed,
    StreamDeclared,
)
from hlspub.spool.store import CarStore

PROFILE = PROFILES["unixfs-v1-2025"]
LIST = "v/i.m3u8"
NAMES = st.sampled_from(["v/0.ts", "v/1.ts", "a/0.ts", "a/1.ts", "a/b/0.ts"])


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


@dataclass
class Made:
    """A root as the model remembers it."""

    session: int
    number: int
    root: Cid
    final: bool
    playlist: int
    announced_at: float | None = None


@dataclass
class Life:
    """A session as the model remembers it: versions of paths, and what its tree holds."""

    number: int
    window: bool
    tree: Tree = field(default_factory=lambda: Tree(PROFILE))
    versions: dict[str, list[Cid]] = field(default_factory=dict[str, list[Cid]])
    open_at: dict[str, int] = field(
        default_factory=dict[str, int]
    )  # by path, the playlist version that listed it first
    made: list[Made] = field(default_factory=list[Made])


class Keeping(RuleBasedStateMachine):
    """One stream that takes, publishes, ends and reclaims."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        data = Path(self.folder.name)
        self.spool, self.store = CarStore(data / "spool"), CarStore(data / "local")
        self.spool.prepare()
        self.store.prepare()
        self.path = data / "journal.sqlite"
        self.db = open_writer(self.path)
        self.reader = JournalReader(self.path)
        self.clock = Clock()
        self.keep = Keep(0.0)
        self.lives: list[Life] = []
        self.is_open = False
        self.seq = 0
        self.put(StreamDeclared("main", "/hls", 0.0))

    def teardown(self) -> None:
        self.confirm()
        self.reclaim_and_look()
        assert not self.reader.integrity()
        self.reader.close()
        self.db.close()
        self.folder.cleanup()

    def put(self, *records: Record) -> None:
        self.db.execute("BEGIN")
        for record in records:
            statements.write(self.db, record)
        self.db.execute("COMMIT")

    async def write(self, records: Sequence[Record]) -> None:
        """The reclaimer's journal."""
        self.put(*records)

    def next_session(self) -> int:
        raise AssertionError("a reclaimer begins no session")

    # the stream

    @precondition(lambda self: not self.is_open)
    @rule(window=st.booleans())
    def begin(self, *, window: bool) -> None:
        life = Life(len(self.lives) + 1, window)
        self.lives.append(life)
        self.put(SessionStarted(life.number, "main", f"s{life.number}", "{}", self.clock.now()))
        self.is_open = True

    @precondition(lambda self: self.is_open)
    @rule(path=NAMES, content=st.integers(0, 3))
    def take(self, path: str, content: int) -> None:
        self.take_bytes(path, b"media %d" % content, FileKind.MEDIA)

    def take_bytes(self, path: str, data: bytes, kind: FileKind) -> bool:
        life = self.lives[-1]
        packed = self.spool.put_data(data, PROFILE)
        versions = life.versions.setdefault(path, [])
        is_new = not versions or versions[-1] != packed.cid
        if is_new:
            versions.append(packed.cid)
            identity = FileIdentity(1, 1, len(data), 1, 1)
            self.put(FileTaken(life.number, path, len(versions), kind, packed, identity, self.clock.now(), ("local",)))
        self.spool.disclaim(packed.car.key)
        return is_new

    @precondition(lambda self: self.is_open and self.lives[-1].versions)
    @rule(salt=st.integers(0, 2), listed=st.sets(NAMES, min_size=1))
    def publish(self, salt: int, listed: set[str]) -> None:
        """A playlist version that lists some paths, and the root of it."""
        life = self.lives[-1]
        paths = sorted(path for path in listed if path in life.versions)
        self.take_bytes(LIST, f"#EXTM3U {salt} {paths}".encode(), FileKind.PLAYLIST)
        version = len(life.versions[LIST])
        if not life.made or life.made[-1].playlist != version:
            self.put(PlaylistTaken(life.number, LIST, version, False, 0, 1, 2.0, False))  # noqa: FBT003 -- as fields
            self._list(life, paths, version)
        for path in paths:
            life.tree.put(path, life.versions[path][-1], 10)
        life.tree.put(LIST, life.versions[LIST][-1], 10)
        if life.window:
            for path, _, _ in list(life.tree):
                if path not in paths and path != LIST:
                    life.tree.remove(path)
        self._make(life, version, final=False)

    def _list(self, life: Life, paths: list[str], version: int) -> None:
        for path in [path for path in life.open_at if path not in paths]:
            self.put(ReferenceClosed(life.number, LIST, path, life.open_at.pop(path), version))
        for path in paths:
            if path not in life.open_at:
                life.open_at[path] = version
                bound = len(life.versions[path])
                self.put(ReferenceOpened(life.number, LIST, path, "segment", 0, version, bound))

    def _make(self, life: Life, version: int, *, final: bool) -> None:
        root, blocks = life.tree.root(), life.tree.unpublished()
        if life.made and life.made[-1].root == root.cid and not final:
            return
        car = None
        if blocks:
            data, spots = node_car(root.cid, blocks)
            car = Car(str(car_cid(data)), CarKind.NODES, root.cid, len(data), spots)
            self.spool.put_car(data, car)
        number, at = len(life.made) + 1, self.clock.now()
        pictures = ((LIST, version),)
        self.put(RootMade(life.number, number, root.cid, root.tsize, LIST, final, pictures, car, at, ("local",)))
        if car is not None:
            self.spool.disclaim(car.key)
        life.tree.mark_published()
        life.made.append(Made(life.number, number, root.cid, final, version))

    @rule()
    def confirm(self) -> None:
        """Everything that waits is delivered."""
        while shards := self.reader.pending_shards("local", self.clock.now(), 50):
            for shard in shards:
                for car in shard.cars:
                    self.store.adopt(car.key, self.spool)
                self.put(ShardConfirmed(shard.id, self.clock.now()))
                for car in shard.cars:
                    self.spool.release(car.key, lambda key=car.key: key in self.reader.delivered([key]))

    @rule()
    def announce(self) -> None:
        self.confirm()
        for made in [one for life in self.lives for one in life.made if one.announced_at is None]:
            self.seq += 1
            made.announced_at = self.clock.now()
            self.put(RootAnnounced(made.session, made.number, self.seq, made.announced_at, 0.1))

    @precondition(lambda self: self.is_open and self.lives[-1].made)
    @rule()
    def end(self) -> None:
        life = self.lives[-1]
        self.put(SessionEnding(life.number, "command", self.clock.now()))
        self._make(life, life.made[-1].playlist, final=True)
        self.announce()
        self.put(SessionEnded(life.number, self.clock.now()))
        self.is_open = False

    @rule(seconds=st.sampled_from([1.0, 60.0, 4000.0]))
    def wait(self, seconds: float) -> None:
        self.clock.time += seconds

    # reclaiming

    @rule(keep=st.sampled_from([Keep(0.0), Keep(0.0, count=1), Keep(0.0, age_s=100.0), Keep(100.0, count=2)]))
    def reclaim(self, keep: Keep) -> None:
        self.keep = keep
        self.reclaim_and_look()

    def reclaim_and_look(self) -> None:
        told, done = anyio.run(self._reclaim)
        assert told == done, "a dry run tells what would go"
        held = self.look()
        if not self.reader.pending_shards("local", self.clock.now(), 1):
            assert set(self.store.keys()) <= held | self._may_come()
            assert not self.reader.gone(1)

    async def _reclaim(self) -> tuple[Freed, Freed]:
        reads = JournalReads(self.path)
        stores = (self.store, self.spool)
        blocks = LocalBlocks(reads, stores)
        try:
            reclaimer = Reclaimer(reads, self, stores, blocks.block, self.clock, lambda: self.keep)
            return await reclaimer.reclaim(dry_run=True), await reclaimer.reclaim()
        finally:
            reads.close()

    def look(self) -> set[str]:
        """Read every kept root whole; returns the CARs that hold a block of one."""
        keys: set[str] = set()

        def get(cid: Cid) -> bytes:
            spots = self.reader.find_block(cid)
            keys.update(spot.car_key for spot in spots)
            for spot in spots:
                for store in (self.store, self.spool):
                    if store.has(spot.car_key):
                        return store.read(spot.car_key, spot.offset, spot.length)
            raise AssertionError(f"{cid} of a kept root is gone")

        for made in self._kept():
            for block in stream(walk_dag(made.root), get):
                assert isinstance(block, Block)
                assert Cid.of_data(block.cid.codec, bytes(block.data)) == block.cid
        return keys

    def _kept(self) -> list[Made]:
        """The model's own opinion."""
        now, made = self.clock.now(), [one for life in self.lives for one in life.made]
        told = [one for one in made if one.announced_at is not None]
        finals = [one for one in told if one.final]
        if self.keep.count is not None:
            finals = finals[-self.keep.count :]
        if self.keep.age_s is not None:
            finals = [one for one in finals if now - (one.announced_at or 0) <= self.keep.age_s]
        recent = [one for one in told if now - (one.announced_at or 0) <= self.keep.roots_s]
        untold = [one for one in made if one.announced_at is None]
        building = self.lives[-1].made[-1:] if self.is_open else []
        return [*finals, *recent, *told[-1:], *untold, *building]

    def _may_come(self) -> set[str]:
        """File CARs of the newest two sessions, but superseded playlists."""
        keys: set[str] = set()
        for life in self.lives[-2:]:
            for path, versions in life.versions.items():
                applied = life.made[-1].playlist if life.made else 0
                since = min(applied, len(versions)) if path == LIST and applied else 1
                keys |= {str(cid) for cid in versions[since - 1 :]}
        return keys


TestKeeping = Keeping.TestCase
TestKeeping.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


def test_nothing_goes_while_a_node_of_a_kept_root_is_damaged() -> None:
    kept = Keeping()
    try:
        kept.begin(window=True)
        kept.take("a.ts", 1)
        kept.publish(0, {"a.ts"})
        kept.announce()
        there = set(kept.store.keys())

        def damaged(_reader: JournalReader, _cid: Cid) -> bytes:
            return b"zeroed"

        async def reclaim() -> None:
            reads = JournalReads(kept.path)
            try:
                stores = (kept.store, kept.spool)
                await Reclaimer(reads, kept, stores, damaged, kept.clock, lambda: Keep(0.0)).reclaim()
            finally:
                reads.close()

        with pytest.raises(StorageError, match="has a damaged block"):
            anyio.run(reclaim)
        assert set(kept.store.keys()) == there
    finally:
        kept.teardown()
