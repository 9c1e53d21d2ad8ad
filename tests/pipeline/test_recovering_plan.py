"""A session that is rebuilt from its newest root goes on as if its journal had never been lost."""

import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hlspub.engine.course import Course
from hlspub.engine.files import Quorum
from hlspub.engine.life import Event, Life
from hlspub.engine.settings import Retention, TreeSettings
from hlspub.hls.classify import classify
from hlspub.hls.scan import scan
from hlspub.ipld.cid import Cid, Codec
from hlspub.journal import statements
from hlspub.journal.database import open_writer
from hlspub.journal.reader import JournalReader
from hlspub.model import FileKind
from hlspub.pipeline.reconcile import Remembered, remember
from hlspub.pipeline.recovering_plan import UNSEEN, TreeFile, pasts, records_of
from hlspub.records import Record, ReferenceClosed, StreamDeclared
from hlspub.spool.publications import PublishedLine
from tests.engine.stage import TARGET, Stage, broken, media, multivariant, pack

WINDOW = 3
RENDITIONS = ("hi", "lo")
SETTINGS = TreeSettings().to_json()


def line(
    seq: int, session: str = "20261124T100000Z-1", *, stream: str = "main", final: bool = False, root: str = ""
) -> PublishedLine:
    cid = Cid.of_data(Codec.DAG_PB, (root or f"{stream} {seq}").encode())
    return PublishedLine(stream, session, seq, cid, "master.m3u8", final, SETTINGS, 1000.0 + seq)


def reopened(streams: Sequence[str], records: Sequence[Record]) -> dict[str, Remembered]:
    """What the next start makes of these records, through a real journal."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.sqlite"
        with closing(open_writer(path)) as db:
            for record in (*(StreamDeclared(name, "", 0.0) for name in streams), *records):
                statements.write(db, record)
        with JournalReader(path) as reader:
            assert reader.integrity() == []
            quorum = Quorum(frozenset({TARGET}), 1)
            return {name: remember(reader, name, (TARGET,), quorum, entry="auto", now=1e9) for name in streams}


class Twin:
    """A transcoder of two renditions, what a stage took of it, and what a person saw of its roots."""

    def __init__(self, retention: Retention) -> None:
        self.stage = Stage(retention=retention)
        self.disk = dict[str, bytes]()
        self.made = dict.fromkeys(RENDITIONS, 0)
        self.lines = list[PublishedLine]()
        self.write("master.m3u8", multivariant(*(f"{rendition}/i.m3u8" for rendition in RENDITIONS)))

    def write(self, path: str, data: bytes) -> None:
        self.disk[path] = data
        self.stage.take(path, data)

    def segment(self, rendition: str) -> None:
        """One more segment; of a sliding window the file that left it is deleted."""
        number = self.made[rendition]
        self.made[rendition] = number + 1
        self.write(f"{rendition}/s{number}.m4s", f"{rendition} {number}".encode())
        first = max(0, number + 1 - WINDOW)
        names = [f"s{n}.m4s" for n in range(first, number + 1)]
        self.write(f"{rendition}/i.m3u8", media(first, names))
        self.disk.pop(f"{rendition}/s{first - 1}.m4s", None)

    def publish(self) -> None:
        root, session = self.stage.publish(), self.stage.session
        if root is not None and (not self.lines or self.lines[-1].root != root):
            at = len(self.lines) + 1
            shape = session.settings.to_json()
            self.lines.append(PublishedLine("main", session.label, at, root, "master.m3u8", False, shape, 1000.0))  # noqa: FBT003 -- final

    def lose_journal(self) -> None:
        """What was published, what is in the stores and what is on disk is all that is left."""
        files = [self._found(path, cid) for path, cid, _ in self.stage.course.tree.tree]
        (past,) = pasts(self.lines)
        (course,) = reopened(["main"], records_of(past, files, {}, whole=True))["main"].courses
        assert course.last_root == course.tree.tree.root().cid == self.lines[-1].root
        assert course.tree.tree.unpublished() == []
        self.stage.course = course
        for path in sorted(self.disk, key=lambda path: path.endswith("m3u8")):
            self.stage.take(path, self.disk[path])

    def _found(self, path: str, cid: Cid) -> TreeFile:
        data = self.stage.content[cid]
        said = scan(data, path) if classify(path) is FileKind.PLAYLIST else None
        return TreeFile(path, pack(data), UNSEEN, said)


steps = st.lists(st.sampled_from([*RENDITIONS, "publish"]), max_size=16)


@given(retention=st.sampled_from(Retention), before=steps, after=steps)
@settings(max_examples=40)
def test_what_follows_is_the_same_as_without_the_loss(
    retention: Retention, before: list[str], after: list[str]
) -> None:
    lucky, unlucky = Twin(retention), Twin(retention)
    for twin in (lucky, unlucky):
        for rendition in (*RENDITIONS, "publish", *before, "publish"):
            twin.publish() if rendition == "publish" else twin.segment(rendition)
    unlucky.lose_journal()
    for step in (*after, "publish"):
        for twin in (lucky, unlucky):
            twin.publish() if step == "publish" else twin.segment(step)
    assert unlucky.stage.tree() == lucky.stage.tree()
    assert unlucky.lines[-1].root == lucky.lines[-1].root
    assert broken(unlucky.stage.tree(), "master.m3u8") == []


def course_of(files: Sequence[TreeFile], *, whole: bool = True) -> Course:
    (past,) = pasts([line(1)])
    return reopened(["main"], records_of(past, files, {}, whole=whole))["main"].courses[0]


def tree_file(path: str, data: bytes) -> TreeFile:
    return TreeFile(path, pack(data), UNSEEN, scan(data, path) if path.endswith("m3u8") else None)


def test_a_file_that_is_gone_is_one_that_is_waited_for() -> None:
    text = media(0, ["s0.m4s", "s1.m4s"])
    files = [tree_file("i.m3u8", text), tree_file("s0.m4s", b"0"), TreeFile("s1.m4s", None)]
    course = course_of(files, whole=False)
    assert course.absent(course.session.tracks["i.m3u8"]) == ["s1.m4s"]
    assert course.tree.tree.get("s0.m4s") is None, "nothing that lacks something stands in the tree"
    assert course.roots == 1, "but its root was made, and the next one has the next number"


def test_what_is_listed_no_more_belongs_to_the_nearest_media_playlist() -> None:
    files = [
        tree_file("master.m3u8", multivariant("a/i.m3u8", "b/i.m3u8")),
        tree_file("a/i.m3u8", media(1, ["s1.m4s"])),
        tree_file("b/i.m3u8", media(1, ["s1.m4s"])),
        *(tree_file(f"{name}/s{number}.m4s", f"{name}{number}".encode()) for name in "ab" for number in (0, 1)),
        tree_file("top.m4s", b"top"),
    ]
    (past,) = pasts([line(1)])
    records = records_of(past, files, {}, whole=True)
    closed = [record for record in records if isinstance(record, ReferenceClosed)]
    assert [(record.playlist, record.path) for record in closed] == [
        ("a/i.m3u8", "a/s0.m4s"),
        ("b/i.m3u8", "b/s0.m4s"),
        ("b/i.m3u8", "top.m4s"),
    ]


def test_sessions_keep_their_numbers_and_labels() -> None:
    told = pasts(
        [
            line(1, "20261124T100000Z-2"),
            line(2, "20261124T100000Z-2", final=True),
            line(2, "20261124T100000Z-2", root="another"),  # said twice; the first counts
            line(1, "20261124T100500Z-3", stream="other"),
            line(3, "20261124T101000Z-5"),
        ]
    )
    assert [(past.stream, past.number, past.newest, past.final) for past in told] == [
        ("main", 2, False, True),
        ("main", 5, True, False),
        ("other", 3, True, False),
    ]
    assert [one.seq for one in told[0].lines] == [1, 2]
    assert told[0].lines[1].root == line(2).root
    assert told[0].started_at == 1_795_514_400.0


def test_labels_that_say_no_number_or_contradict_themselves_are_counted() -> None:
    for labels in (["first", "second"], ["20261124T100000Z-7", "20261124T100000Z-6"], ["20261124T100000Z-0", "x"]):
        told = pasts([line(seq, label) for seq, label in enumerate(labels, start=1)])
        assert [(past.number, past.label) for past in told] == list(enumerate(labels, start=1))


def test_a_session_whose_final_root_another_overtook_is_ended_first() -> None:
    first, second = "20261124T100000Z-1", "20261124T100500Z-2"
    told = pasts([line(1, first), line(2, second), line(3, second)])
    records = [record for past in told for record in records_of(past, (), {}, whole=False)]
    older, newer = reopened(["main"], records)["main"].courses
    assert (older.session.label, older.life, older.reason) == (first, Life.ENDING, Event.RESTART.value)
    assert (newer.session.label, newer.life, newer.roots) == (second, Life.RUNNING, 2)


def test_an_ended_session_stays_ended_and_remembers_its_files() -> None:
    (past,) = pasts([line(1, final=True)])
    files = [tree_file("i.m3u8", media(0, ["s0.m4s"], end=True)), tree_file("s0.m4s", b"0")]
    remembered = reopened(["main"], records_of(past, files, {}, whole=True))["main"]
    assert remembered.courses == ()
    assert remembered.last is not None
    assert set(remembered.last.files) == {"i.m3u8", "s0.m4s"}
