"""A stage for engine tests: files with content, a session, and an independent reading of what a tree promises."""

from dataclasses import dataclass, field

from hlspub.engine.course import Course
from hlspub.engine.files import Quorum
from hlspub.engine.session import Session, Taken
from hlspub.engine.settings import Retention, TreeSettings
from hlspub.engine.snapshot import SnapshotTree
from hlspub.hls.classify import classify
from hlspub.hls.scan import scan
from hlspub.ipld.block import BlockAt
from hlspub.ipld.car import section_head
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.profile import PROFILES
from hlspub.ipld.tree import Tree
from hlspub.model import Car, CarKind, FileIdentity, FileKind, Packed
from hlspub.pipeline.entries import choose_entry
from hlspub.records import FileTaken, Record, RootMade

TARGET = "local"


def pack(data: bytes) -> Packed:
    """A file of one raw leaf, and its CAR's facts."""
    cid = Cid.of_data(Codec.RAW, data)
    head = 59 + len(section_head(cid, len(data)))
    car = Car(str(cid), CarKind.FILE, cid, head + len(data), (BlockAt(cid, head, len(data)),))
    return Packed(cid, len(data), len(data), car)


def media(start: int, names: list[str], *, init: str = "", end: bool = False) -> bytes:
    """A media playlist that lists `names` from media sequence number `start` on."""
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", f"#EXT-X-MEDIA-SEQUENCE:{start}"]
    lines += [f'#EXT-X-MAP:URI="{init}"'] if init else []
    for name in names:
        lines += ["#EXTINF:2.0,", name]
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if end else []), ""]).encode()


def multivariant(*paths: str) -> bytes:
    """A multivariant playlist."""
    lines = ["#EXTM3U"]
    for path in paths:
        lines += ["#EXT-X-STREAM-INF:BANDWIDTH=1000", path]
    return "\n".join([*lines, ""]).encode()


@dataclass
class Stage:
    """A session with content; `held` CARs are confirmed at once unless `slow`."""

    retention: Retention = Retention.ARCHIVE
    slow: bool = False
    publish_keys: bool = False
    number: int = 1
    content: dict[Cid, bytes] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    clock: float = 1000.0
    opens: str = ""  # the entry of the newest root

    def __post_init__(self) -> None:
        settings = TreeSettings(retention=self.retention, publish_keys=self.publish_keys)
        quorum = Quorum(frozenset({TARGET}), 1)
        session = Session(self.number, "main", f"label-{self.number}", settings, (TARGET,), quorum, 1000.0, 1000.0)
        self.course = Course(session, SnapshotTree(session, Tree(PROFILES[settings.profile])))

    @property
    def session(self) -> Session:
        return self.course.session

    def take(
        self,
        path: str,
        data: bytes,
        *,
        quiet: bool = False,
        unchanged: bool = False,
        found: dict[str, FileIdentity | None] | None = None,
        again: bool = False,
    ) -> list[Record]:
        packed = pack(data)
        self.content[packed.cid] = data
        self.clock += 1
        kind = classify(path)
        playlist = scan(data, path) if kind is FileKind.PLAYLIST else None
        suspects = self.session.suspects(path, playlist) if playlist else []
        taken = Taken(
            path,
            kind,
            packed,
            FileIdentity(1, int(self.clock), len(data), int(self.clock), int(self.clock)),
            self.clock,
            quiet=quiet,
            playlist=playlist,
            found={path: self.session.identity(path) for path in suspects} if unchanged else found or {},
            again=again,
        )
        records = self.session.take(taken)
        choose_entry(self.course, "auto")
        self.records += records
        for record in records:
            if isinstance(record, FileTaken):
                self.pending.append(record.packed.car.key)
        if not self.slow:
            self.confirm_all()
        return records

    def confirm_all(self) -> None:
        while self.pending:
            self.session.confirm(self.pending.pop(0), TARGET)

    def publish(self) -> Cid | None:
        """Make the root of the newest snapshot as the publisher does."""
        snapshot = self.course.snapshot()
        if snapshot is None:
            return None
        made = self.course.tree.make(snapshot)
        if made.root != self.course.last_root:
            self.course.roots += 1
            self.records.append(
                RootMade(
                    self.session.number,
                    self.course.roots,
                    made.root,
                    made.tsize,
                    snapshot.entry,
                    final=False,
                    playlists=snapshot.playlists,
                    car=None,
                    at=self.clock,
                    targets=(TARGET,),
                )
            )
            self.course.tree.published()
            self.course.last_root = made.root
        self.opens = snapshot.entry
        return made.root

    def tree(self) -> dict[str, bytes]:
        """The published tree: path to content."""
        return {path: self.content[cid] for path, cid, _ in self.course.tree.tree}


def broken(tree: dict[str, bytes], entry: str) -> list[str]:
    """What a player that opens `entry` would miss: an own reading of the playlists, not the scanner's."""
    missing: list[str] = []
    waiting, seen = [entry], set[str]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if path not in tree:
            missing.append(path)
            continue
        if not path.endswith(".m3u8"):
            continue
        folder = path.rpartition("/")[0]
        for line in tree[path].decode().splitlines():
            uri = line.split('URI="')[1].split('"')[0] if line.startswith("#EXT-X-MAP") else line
            if uri and not uri.startswith("#"):
                waiting.append(f"{folder}/{uri}" if folder else uri)
    return missing
