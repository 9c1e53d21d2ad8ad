"""A stream under random order, with crashes: what the pipeline promises holds after every step.

The writer behaves as transcoders do, and worse: playlists ahead of their segments, windows that slide past what was never
taken, initialization sections rewritten in place, confirmations in any order. A crash throws the memory away and rebuilds
it from a real journal, which holds exactly the records that were handed over.
"""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hlspub.engine.files import Quorum
from hlspub.engine.settings import Retention
from hlspub.engine.track import Track
from hlspub.ipld.dagpb import decode
from hlspub.journal import statements
from hlspub.journal.database import open_writer
from hlspub.journal.reader import JournalReader
from hlspub.pipeline.reconcile import remember
from hlspub.records import Record, SessionStarted, ShardConfirmed, StreamDeclared
from tests.engine.stage import TARGET, Stage, broken, media, multivariant

RENDITIONS = ("hi", "lo")
WINDOW = 4


class Streams(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "journal.sqlite"
        self.db, self.reader = open_writer(path), None
        self.reader = JournalReader(path)
        self.written = 0
        self.made = dict[str, int]()  # segments that exist, by rendition
        self.listed = dict[str, int]()  # segments that the newest playlist lists up to
        self.inits = 0
        self.blocks = dict[bytes, bytes]()  # all node blocks ever handed out for node CARs

    @initialize(retention=st.sampled_from(Retention), master_first=st.booleans())
    def begin(self, retention: Retention, master_first: bool) -> None:
        self.stage = Stage(retention=retention, slow=True)
        session = self.stage.session
        self.journal(
            StreamDeclared("main", "/x", 1.0),
            SessionStarted(session.number, "main", session.label, session.settings.to_json(), 1.0),
        )
        for rendition in RENDITIONS:
            self.made[rendition] = self.listed[rendition] = 0
        if master_first:
            self.master()

    def teardown(self) -> None:
        self.reader.close()
        self.db.close()
        self.folder.cleanup()

    def journal(self, *records: Record) -> None:
        self.db.execute("BEGIN")
        for record in records:
            statements.write(self.db, record)
        self.db.execute("COMMIT")

    def take(self, path: str, data: bytes, **how: bool) -> None:
        self.stage.take(path, data, **how)
        self.flush()

    def flush(self) -> None:
        self.journal(*self.stage.records[self.written :])
        self.written = len(self.stage.records)

    @rule()
    def master(self) -> None:
        self.take("master.m3u8", multivariant(*(f"{r}/i.m3u8" for r in RENDITIONS)))

    @rule(rendition=st.sampled_from(RENDITIONS))
    def segment(self, rendition: str) -> None:
        number = self.made[rendition]
        self.take(f"{rendition}/s{number}.m4s", f"{rendition} {number}".encode())
        self.made[rendition] += 1

    @rule(rendition=st.sampled_from(RENDITIONS))
    def late_segment(self, rendition: str) -> None:
        """One that a playlist listed before it was there."""
        if self.listed[rendition] > self.made[rendition]:
            self.segment(rendition)

    @rule(rendition=st.sampled_from(RENDITIONS), ahead=st.integers(0, 2))
    def playlist(self, rendition: str, ahead: int) -> None:
        upto = max(self.listed[rendition], self.made[rendition]) + ahead
        start = 0 if self.stage.session.settings.retention is Retention.ARCHIVE else max(0, upto - WINDOW)
        names = [f"s{n}.m4s" for n in range(start, upto)]
        if names:
            self.listed[rendition] = upto
            self.take(f"{rendition}/i.m3u8", media(start, names, init="init.mp4"))

    @rule(rendition=st.sampled_from(RENDITIONS))
    def init(self, rendition: str) -> None:
        self.inits += 1
        self.take(f"{rendition}/init.mp4", b"init %d" % self.inits)

    @rule(share=st.floats(0, 1))
    def confirm(self, share: float) -> None:
        """The target confirms some of what it was sent, the newest first: order does not matter."""
        for _ in range(round(len(self.stage.pending) * share)):
            self.confirmed(self.stage.pending.pop())

    def confirmed(self, key: str) -> None:
        for shard in self.reader.pending_shards(TARGET, 1e12, 10_000):
            if any(car.key == key for car in shard.cars):
                self.journal(ShardConfirmed(shard.id, 2.0))
        self.stage.session.confirm(key, TARGET)

    @rule()
    def publish(self) -> None:
        snapshot = self.stage.course.snapshot()
        if snapshot is not None:
            for block in self.stage.course.tree.make(snapshot).blocks:
                self.blocks[block.cid.raw] = block.data
        self.stage.publish()
        self.flush()

    @rule()
    def crash(self) -> None:
        """The memory is gone; what the journal gives back is what was lost."""
        old = self.stage
        entry = old.course.entry if old.course.roots else None  # before the first root it is found anew
        before = (old.course.last_root, picture(old))
        held = {path for path, file in old.session.files.items() if file.held}
        quorum = Quorum(frozenset({TARGET}), 1)
        remembered = remember(self.reader, "main", (TARGET,), quorum, entry="auto", now=1e9)
        (old.course,) = remembered.courses
        assert (old.course.last_root, picture(old)) == before
        assert entry in (None, old.course.entry)
        assert held <= {path for path, file in old.session.files.items() if file.held}
        if old.course.last_root is not None:
            assert old.course.tree.tree.root().cid == old.course.last_root
            assert not old.course.tree.tree.unpublished()

    @invariant()
    def every_root_plays(self) -> None:
        if self.written and self.stage.course.last_root is not None:
            assert broken(self.stage.tree(), self.stage.opens) == []

    @invariant()
    def a_window_holds_no_more_than_it_lists(self) -> None:
        if self.written and self.stage.session.settings.retention is Retention.WINDOW:
            files = [path for path in self.stage.tree() if path.endswith(".m4s")]
            assert len(files) <= len(RENDITIONS) * (WINDOW + 2)

    @precondition(lambda self: self.written)
    @rule()
    def every_block_of_the_root_was_handed_out(self) -> None:
        root = self.stage.course.last_root
        waiting = [] if root is None else [root.raw]
        while waiting:
            raw = waiting.pop()
            if raw[1] == 0x70:  # dag-pb
                waiting += [link.cid.raw for link in decode(self.blocks[raw]).links]


def picture(stage: Stage) -> object:
    """What the next decision depends on."""
    tracks = stage.session.tracks
    return (
        {path: (file.version, file.cid, file.identity) for path, file in stage.session.files.items()},
        {path: listings(track) for path, track in tracks.items()},
        sorted(stage.session.waiting),
    )


def listings(track: Track) -> object:
    return (
        track.applied,
        track.newest.number,
        {path: (i.sequence, i.since, i.bound and i.bound.version) for path, i in track.listed.items()},
    )


TestStreams = Streams.TestCase
TestStreams.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
