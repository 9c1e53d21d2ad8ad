"""The journal against a model of it: any order of decisions, and every answer equals what plain dictionaries give."""

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hlspub.journal.values import SavedInterval
from hlspub.model import FileIdentity, FileKind
from hlspub.records import (
    FileCarried,
    FileSeen,
    FileTaken,
    PlaylistTaken,
    ReferenceBound,
    ReferenceClosed,
    ReferenceOpened,
    RootBound,
    ShardConfirmed,
    ShardDelayed,
)
from tests.journal import acts
from tests.journal.conftest import Book

SIGNED_64 = st.integers(-(2**63), 2**63 - 1)
SIZES = st.integers(0, 2**63 - 1)
TIMES = st.floats(0, 4e9)
PATHS = st.sampled_from(["a.ts", "sub/b.m4s", "ünïcode 文.ts", "init.mp4"])
TARGETS = st.lists(st.sampled_from(["local", "kubo", "s3"]), unique=True).map(tuple)
IDENTITIES = st.builds(FileIdentity, SIZES, SIZES, SIZES, SIGNED_64, SIGNED_64)
NOW = 5e9


@dataclass
class Shard:
    target: str
    key: str
    urgent: bool
    attempts: int = 0
    next_try_at: float | None = None
    confirmed: bool = False

    def due(self, now: float) -> bool:
        waits = self.attempts and (self.next_try_at is None or self.next_try_at > now)
        return not self.confirmed and not waits


@dataclass
class Model:
    """One stream's sessions, as dictionaries by session."""

    files: dict[int, dict[tuple[str, int], FileTaken]] = field(
        default_factory=dict[int, dict[tuple[str, int], FileTaken]]
    )
    intervals: dict[int, dict[tuple[str, int], SavedInterval]] = field(
        default_factory=dict[int, dict[tuple[str, int], SavedInterval]]
    )
    shards: list[Shard] = field(default_factory=list[Shard])
    roots: dict[tuple[int, int], tuple[tuple[tuple[str, int], ...], str, set[str], int | None]] = field(
        default_factory=dict[tuple[int, int], tuple[tuple[tuple[str, int], ...], str, set[str], int | None]]
    )

    def newest(self, session: int, path: str) -> int:
        return max((version for name, version in self.files[session] if name == path), default=0)

    def bound(self, session: int, path: str) -> int | None:
        return self.newest(session, path) or None

    def queue(self, key: str, targets: tuple[str, ...], *, urgent: bool) -> None:
        self.shards += [Shard(target, key, urgent) for target in targets]


class JournalMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.book = Book(Path(self.folder.name) / "journal.db")
        self.book.db.execute("PRAGMA synchronous = OFF")  # nothing is cut off here
        self.model = Model()
        self.session = 0

    @initialize()
    def first(self) -> None:
        self.start()

    @rule()
    def start(self) -> None:
        self.session += 1
        self.book.write(acts.started(self.session))
        self.model.files[self.session], self.model.intervals[self.session] = {}, {}

    @rule(path=PATHS, content=st.integers(0, 5), facts=st.tuples(IDENTITIES, TIMES, TARGETS, st.booleans()))
    def take(self, path: str, content: int, facts: tuple[FileIdentity, float, tuple[str, ...], bool]) -> None:
        identity, at, targets, urgent = facts
        version = self.model.newest(self.session, path) + 1
        packed = acts.packed(f"content {content}")
        record = FileTaken(self.session, path, version, FileKind.MEDIA, packed, identity, at, targets, urgent)
        self.book.write(record)
        self.model.files[self.session][path, version] = record
        self.model.queue(packed.car.key, targets, urgent=urgent)
        self._bind_waiting(path)

    @precondition(lambda self: self.session > 1)
    @rule(data=st.data())
    def carry(self, data: st.DataObject) -> None:
        earlier = data.draw(st.integers(1, self.session - 1))
        if not (held := sorted(self.model.files[earlier])):
            return
        path, version = data.draw(st.sampled_from(held))
        new = self.model.newest(self.session, path) + 1
        self.book.write(FileCarried(self.session, path, new, earlier, version))
        self.model.files[self.session][path, new] = self.model.files[earlier][path, version]
        self._bind_waiting(path)

    @precondition(lambda self: self.model.files[self.session])
    @rule(data=st.data(), identity=IDENTITIES)
    def see(self, data: st.DataObject, identity: FileIdentity) -> None:
        key = data.draw(st.sampled_from(sorted(self.model.files[self.session])))
        self.book.write(FileSeen(self.session, *key, identity))
        old = self.model.files[self.session][key]
        self.model.files[self.session][key] = replace(old, identity=identity)

    @rule(listed=st.sets(PATHS), sequence=SIGNED_64, duration=st.floats(0, 1e6), endlist=st.booleans())
    def take_playlist(self, listed: set[str], sequence: int, duration: float, endlist: bool) -> None:
        name, intervals = "live.m3u8", self.model.intervals[self.session]
        version = self.model.newest(self.session, name) + 1
        record = acts.taken(
            name, version, self.session, content=f"list {len(self.model.shards)}", kind=FileKind.PLAYLIST
        )
        facts = PlaylistTaken(
            self.session, name, version, not endlist, sequence, sequence, target_duration_s=duration, endlist=endlist
        )
        self.book.write(record, facts)
        self.model.files[self.session][name, version] = record
        self.model.queue(record.packed.car.key, record.targets, urgent=False)
        open_now = {path: (path, start) for (path, start), i in intervals.items() if i.to_version is None}
        for path in open_now.keys() - listed:
            key = open_now[path]
            self.book.write(ReferenceClosed(self.session, name, path, key[1], version))
            intervals[key] = intervals[key]._replace(to_version=version)
        for path in listed - open_now.keys():
            bound = self.model.bound(self.session, path)
            self.book.write(ReferenceOpened(self.session, name, path, "segment", sequence, version, bound))
            intervals[path, version] = SavedInterval(name, path, "segment", sequence, version, None, bound)

    @rule(sent_to=TARGETS, final=st.booleans())
    def make_root(self, sent_to: tuple[str, ...], final: bool) -> None:
        number = 1 + max((number for session, number in self.model.roots if session == self.session), default=0)
        version = self.model.newest(self.session, "live.m3u8")
        playlists = (("live.m3u8", version),) if version else ()
        made = replace(acts.root_made(number, *playlists, session=self.session, final=final), targets=sent_to)
        assert made.car is not None
        self.book.write(made)
        self.model.roots[self.session, number] = (playlists, made.car.key, set(), None)
        self.model.queue(made.car.key, sent_to, urgent=True)

    @precondition(lambda self: self.model.roots)
    @rule(data=st.data(), name=st.sampled_from(["local", "kubo", "new"]))
    def bind_root(self, data: st.DataObject, name: str) -> None:
        session, number = data.draw(st.sampled_from(sorted(self.model.roots)))
        self.book.write(RootBound(session, number, name, 1.0))
        self.model.roots[session, number][2].add(name)

    @precondition(lambda self: any(seq is None for *_, seq in self.model.roots.values()))
    @rule(data=st.data())
    def announce(self, data: st.DataObject) -> None:
        waiting = sorted(key for key, (*_, seq) in self.model.roots.items() if seq is None)
        session, number = data.draw(st.sampled_from(waiting))
        seq = 1 + max((seq or 0 for *_, seq in self.model.roots.values()), default=0)
        self.book.write(acts.announced(number, seq, session))
        *rest, _ = self.model.roots[session, number]
        self.model.roots[session, number] = (*rest, seq)

    @precondition(lambda self: self.model.shards)
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, len(self.model.shards)))
        self.book.write(ShardConfirmed(number, 1.0))
        self.model.shards[number - 1].confirmed = True

    @precondition(lambda self: self.model.shards)
    @rule(data=st.data(), next_try_at=st.none() | st.floats(0, 1e10), attempts=st.integers(1, 1000))
    def delay(self, data: st.DataObject, next_try_at: float | None, attempts: int) -> None:
        number = data.draw(st.integers(1, len(self.model.shards)))
        self.book.write(ShardDelayed(number, attempts, next_try_at, "no"))
        shard = self.model.shards[number - 1]
        shard.attempts, shard.next_try_at = attempts, next_try_at

    @invariant()
    def files_are_the_same(self) -> None:
        for session, files in self.model.files.items():
            saved = {(file.path, file.version): file for file in self.book.reader.versions(session)}
            assert saved.keys() == files.keys()
            for key, record in files.items():
                file = saved[key]
                assert (file.cid, file.car_key, file.identity) == (
                    record.packed.cid,
                    record.packed.car.key,
                    record.identity,
                )
                assert (file.kind, file.tsize, file.taken_at) == (record.kind, record.packed.tsize, record.at)
            newest = {path: self.model.newest(session, path) for path, _ in files}
            assert {file.path: file.version for file in self.book.reader.files(session)} == newest

    @invariant()
    def intervals_are_the_same(self) -> None:
        for session, intervals in self.model.intervals.items():
            saved = {
                (interval.path, interval.from_version): interval for interval in self.book.reader.intervals(session)
            }
            assert saved == intervals

    @invariant()
    def queues_are_the_same(self) -> None:
        reader = self.book.reader
        numbered = list(enumerate(self.model.shards, start=1))
        for target in ("local", "kubo", "s3"):
            own = [(number, shard) for number, shard in numbered if shard.target == target]
            due = sorted((not shard.urgent, number) for number, shard in own if shard.due(NOW))
            assert [shard.id for shard in reader.pending_shards(target, NOW, 999)] == [number for _, number in due]
            times = [s.next_try_at for _, s in own if not s.confirmed and s.attempts and s.next_try_at is not None]
            assert reader.next_try_at(target) == min(times, default=None)
            assert reader.backlog(target).cars == sum(not shard.confirmed for _, shard in own)
        keys = {shard.key for shard in self.model.shards}
        waiting = {shard.key for shard in self.model.shards if not shard.confirmed}
        assert reader.delivered(keys) == keys - waiting

    @invariant()
    def roots_are_the_same(self) -> None:
        for session in self.model.files:
            saved = {
                (session, r.number): (r.playlists, r.car_key, set(r.bound), r.seq)
                for r in self.book.reader.roots(session)
            }
            assert saved == {key: root for key, root in self.model.roots.items() if key[0] == session}
        seqs = sorted((seq for *_, seq in self.model.roots.values() if seq is not None), reverse=True)
        assert [root.seq for root in self.book.reader.announced("main")] == seqs
        assert self.book.reader.last_seq("main") == max(seqs, default=0)

    @invariant()
    def unconfirmed_is_the_same(self) -> None:
        session = self.session
        own = {record.packed.car.key for record in self.model.files[session].values()}
        own |= {key for (of, _), (_, key, *_) in self.model.roots.items() if of == session}
        expected: dict[str, set[str]] = {}
        kept = {(shard.target, shard.key) for shard in self.model.shards if shard.confirmed}
        for shard in self.model.shards:
            if shard.key in own and (shard.target, shard.key) not in kept:
                expected.setdefault(shard.target, set()).add(shard.key)
        assert self.book.reader.unconfirmed(session) == expected

    def teardown(self) -> None:
        assert self.book.reader.integrity() == []
        self.book.close()
        self.folder.cleanup()

    def _bind_waiting(self, path: str) -> None:
        intervals = self.model.intervals[self.session]
        for (name, start), interval in list(intervals.items()):
            if name == path and interval.bound is None:
                bound = self.model.bound(self.session, path)
                assert bound is not None
                self.book.write(ReferenceBound(self.session, "live.m3u8", path, start, bound))
                intervals[name, start] = interval._replace(bound=bound)


JournalMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestJournal = JournalMachine.TestCase
