"""What a session's newest root still says: its tree, read back from the local stores, held against the directory.

Rule: the newest announced root counts whose directories and playlists are all here. A media file of it may be missing: then it
is looked for at the target that was named, if one was (`Far`), and in the stream's directory, by its CID; and if it is in
neither, it stays a name that a playlist lists, and the daemon deals with it as with any other that was listed and did not come.
Of a playlist that slid, the earlier roots that are still there say what it listed before.

A file on disk counts as taken when it has the bytes of the tree's, or, for a playlist, when the tree's text is what hlspub
makes of it (EXT-X-GAP, EXT-X-ENDLIST). Every other file is left to the next start, which reads what it does not know.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from hlspub.engine.settings import Retention, TreeSettings
from hlspub.errors import BlockError, DataError, FileChanged, FileGone, HlspubError, PermissionRefused, PlaylistError
from hlspub.hls.classify import classify
from hlspub.hls.edit import add_endlist, mark_gaps
from hlspub.hls.learning import Kept, Learner
from hlspub.hls.playlist import Playlist, PlaylistKind, ReferenceKind
from hlspub.hls.scan import scan
from hlspub.ipld import dagpb, node
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.node import Kind
from hlspub.ipld.profile import PROFILES, Profile
from hlspub.ipld.walk import list_directory, read_file, resolve, run, stream
from hlspub.journal.reader import JournalReader
from hlspub.model import Car, CarKind, FileIdentity, FileKind, Packed
from hlspub.pipeline.once import Progress
from hlspub.pipeline.recovering_plan import UNSEEN, Earlier, Past, TreeFile, is_playlist, listed_no_more
from hlspub.spool.pack import measure_file
from hlspub.spool.source import settled
from hlspub.spool.store import CarStore

_LONGEST = 1 << 40  # bytes of a playlist: it was within the configured limit when it was taken


class Absent(Exception):  # noqa: N818 -- read as a sentence where it is caught
    """A block is in none of the stores."""


@dataclass(frozen=True, slots=True)
class Far:
    """What a target has of a machine that is gone: the CARs of media, by their files' CIDs. `get` reads a block there.

    `get` blocks, in a worker's thread.
    """

    place: str
    cars: dict[Cid, Car]
    get: Callable[[Cid], bytes | None]


@dataclass(frozen=True, slots=True)
class Shelves:
    """The blocks of the stores, as the new journal's index knows them. `stores`: the local store, the spool."""

    reader: JournalReader
    stores: tuple[CarStore, ...]
    far: Far | None = None

    def get(self, cid: Cid) -> bytes:
        """A block.

        Raises:
            Absent: it is not here.
        """
        for spot in self.reader.find_block(cid):
            for store in self.stores:
                if store.has(spot.car_key):
                    return store.read(spot.car_key, spot.offset, spot.length)
        data = self.far.get(cid) if self.far is not None else None
        if data is None:
            raise Absent(str(cid))
        return data

    def file_car(self, cid: Cid) -> Car | None:
        """The CAR of the file that `cid` names, without its blocks."""
        key = str(cid)
        for store in self.stores:
            if store.has(key):
                return Car(key, CarKind.FILE, cid, store.path(key).stat().st_size, ())
        there = self.far.cars.get(cid) if self.far is not None else None
        return there and replace(there, blocks=())


@dataclass(frozen=True, slots=True)
class Recollection:
    """`files`: the tree. `tsize`: of the newest root, 0 when it is not here. `lacks`: what of it is missing, in words.

    `read_again`: CARs that were lost and made anew from the directory; they lie in the spool.
    """

    files: tuple[TreeFile, ...]
    whole: bool
    tsize: int
    lacks: str
    read_again: tuple[Car, ...] = ()


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A file as the tree has it; `size` is None when its blocks are not here."""

    path: str
    cid: Cid
    tsize: int
    size: int | None


def recollect(past: Past, shelves: Shelves, directory: Path | None, tell: Callable[[Progress], None]) -> Recollection:
    """The tree from which a session goes on; blocking."""
    newest = past.lines[-1]
    for line in reversed(past.lines):
        try:
            leaves = list(_leaves(line.root, shelves))
            texts = {leaf.path: _text(leaf.cid, shelves) for leaf in leaves if is_playlist(leaf.path)}
        except (Absent, BlockError):
            continue
        said = _scan_all(texts, line.entry)
        settings = TreeSettings.from_json(past.settings)
        before = [one.root for one in past.lines if one.seq <= line.seq]
        slid = settings.retention is Retention.ARCHIVE
        earlier = {path: _earlier(path, said[path], before, shelves) for path in said} if slid else {}
        reading = _Reading(PROFILES[settings.profile], shelves, directory, texts, said, earlier)
        files: list[TreeFile] = []
        total = sum(leaf.tsize for leaf in leaves)
        done = 0
        for count, leaf in enumerate(leaves):
            tell(Progress(count, len(leaves), done, total, "comparing"))
            files.append(reading.file(leaf))
            done += leaf.tsize
        missing = [file.path for file in files if file.packed is None]
        lacks = f"{len(missing)} files, the first is {missing[0]}" if missing else ""
        if line is not newest:
            lacks = f"all after publication {line.seq}; {lacks}".rstrip("; ")
        tsize = _tsize(newest.root, shelves) if line is newest else 0
        whole = not lacks
        known = {path for one in earlier.values() for path in one.sequences}
        if slid and (silent := [path for gone in listed_no_more(files).values() for path in gone if path not in known]):
            lacks = "; ".join(filter(None, (lacks, f"the listings of {len(silent)} files, the first is {silent[0]}")))
        return Recollection(tuple(files), whole, tsize, lacks, tuple(reading.read_again))
    return Recollection((), whole=False, tsize=0, lacks="every root")


def _leaves(root: Cid, shelves: Shelves) -> Iterator[_Leaf]:
    """The files of a tree.

    Raises:
        Absent: a directory, or what may be one, is not here.
        BlockError: it is no tree.
    """
    todo = [("", root)]
    while todo:
        prefix, cid = todo.pop()
        for link in run(list_directory(cid), shelves.get):
            path, here = prefix + link.name, shelves.file_car(link.cid) is not None
            if link.cid.codec is Codec.RAW:
                yield _Leaf(path, link.cid, link.tsize, link.tsize if here else None)
            elif not here and classify(path) is FileKind.MEDIA:
                yield _Leaf(path, link.cid, link.tsize, None)
            else:
                found = node.read(link.cid, shelves.get(link.cid))
                if found.kind is Kind.DIRECTORY:
                    todo.append((f"{path}/", link.cid))
                else:
                    yield _Leaf(path, link.cid, link.tsize, found.size if here else None)


def _text(cid: Cid, shelves: Shelves) -> bytes:
    return b"".join(bytes(part) for part in stream(read_file(cid), shelves.get))


def _tsize(root: Cid, shelves: Shelves) -> int:
    block = shelves.get(root)
    return len(block) + sum(link.tsize for link in dagpb.decode(block).links)


def _scan_all(texts: dict[str, bytes], entry: str) -> dict[str, Playlist]:
    """What the playlists say; the entry first, whose variables the others may import."""
    said: dict[str, Playlist] = {}
    for path in sorted(texts, key=lambda path: path != entry):
        variables = said[entry].variables if entry in said else dict[str, str]()
        with suppress(
            PlaylistError
        ):  # taken because the configuration names it: it stays in the tree as any other file
            said[path] = scan(texts[path], path, variables=variables)
    return said


def _earlier(path: str, newest: Playlist, roots: Sequence[Cid], shelves: Shelves) -> Earlier:
    """What the versions of a playlist under these roots, oldest first, taught; nothing when it never slid."""
    if newest.kind is not PlaylistKind.MEDIA or not newest.media_sequence:
        return Earlier()
    learner, kept, sequences = Learner(), list[Kept](), dict[str, int]()
    last: Cid | None = None
    for root in roots:
        try:
            found = run(resolve(root, path.split("/")), shelves.get)
            if found.remaining or found.cid == last:
                continue
            text = _text(found.cid, shelves)
            playlist = scan(text, path, variables=newest.variables)
        except (Absent, DataError):
            continue
        if last is None and playlist.media_sequence == newest.media_sequence:
            return Earlier()
        last = found.cid
        kept += learner.feed(text, playlist)
        sequences |= {one.path: one.sequence for one in playlist.references.of_kind(ReferenceKind.SEGMENT)}
    return Earlier(tuple(kept), sequences)


@dataclass(slots=True, eq=False)
class _Reading:
    """Makes the tree's files one by one."""

    profile: Profile
    shelves: Shelves
    directory: Path | None
    texts: dict[str, bytes]
    said: dict[str, Playlist]
    earlier: Mapping[str, Earlier]
    read_again: list[Car] = field(default_factory=list[Car])

    def file(self, leaf: _Leaf) -> TreeFile:
        """The file, as it was taken and as the directory shows it."""
        identity, again = UNSEEN, None
        if self.directory is not None:
            # Whatever is there that cannot be read, it is not what was taken.
            with suppress(OSError, DataError, FileGone, FileChanged, PermissionRefused):
                identity, again = self._on_disk(self.directory / leaf.path, leaf)
        car = again or self.shelves.file_car(leaf.cid)
        if car is None or (leaf.size is None and again is None):
            return TreeFile(leaf.path, None)
        size = identity.size if leaf.size is None else leaf.size
        packed = Packed(leaf.cid, size, leaf.tsize, car)
        return TreeFile(leaf.path, packed, identity, self.said.get(leaf.path), self.earlier.get(leaf.path, Earlier()))

    def _on_disk(self, source: Path, leaf: _Leaf) -> tuple[FileIdentity, Car | None]:
        """The identity of the file on disk, if it was taken; and its CAR, if that had to be made anew."""
        identity = FileIdentity.of(source.stat())
        store, profile = self.shelves.stores[-1], self.profile
        if leaf.path in self.texts:
            written = store.read_settled(source, identity, _LONGEST)
            return (identity, None) if is_made_of(self.texts[leaf.path], written, leaf.path) else (UNSEEN, None)
        if leaf.size not in (None, identity.size):
            return UNSEEN, None
        with settled(source, identity) as handle:
            if measure_file(handle, profile).cid != leaf.cid:
                return UNSEEN, None
        if leaf.size is not None:
            return identity, None
        car = store.put_file(source, identity, profile).car
        self.read_again.append(car)
        return identity, car


def is_made_of(text: bytes, written: bytes, path: str) -> bool:
    """Whether a published playlist is the one that was written, as it stands or with the lines that hlspub adds."""
    if text == written:
        return True
    try:
        required = {one.path for one in scan(written, path).references if one.required}
        lost = required.difference(one.path for one in scan(text, path).references if one.required)
        marked = mark_gaps(written, path, frozenset(lost))
        return text in (marked, add_endlist(marked))
    except HlspubError:
        return False
