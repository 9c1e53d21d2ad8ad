"""The tree of one stream: nested UnixFS directories, changed in place.

Rule: a tree holds files, and directories that hold a file; the root depends on these alone, never on the order of the
calls. A change marks the directories on its way as stale; `root` computes those, the deepest first, and no others. A
directory that is stale stands in its parent with the value it had last, a new one with that of the empty directory.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hlspub.errors import DataError
from hlspub.ipld import paths
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid
from hlspub.ipld.dagpb import Value, encode_data
from hlspub.ipld.directory import Directory
from hlspub.ipld.profile import Profile
from hlspub.ipld.unixfs import DIRECTORY_DATA

MAX_TSIZE = (1 << 53) - 1  # bytes; JavaScript's readers hold no larger integer
_EMPTY = encode_data(DIRECTORY_DATA)


class Root(NamedTuple):
    """The top of a DAG; `tsize` is the size of all its blocks in bytes, one that is linked twice counted twice."""

    cid: Cid
    tsize: int


class _Folder:
    """A directory, the directories in it, and the names of those that are stale."""

    __slots__ = ("directory", "folders", "stale")

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.folders: dict[str, _Folder] = {}
        self.stale: set[str] = set()


class Tree:
    """The files of one stream; see the module's text."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._empty: Value = (profile.node_cid(_EMPTY).raw, len(_EMPTY))
        self._top = _Folder(Directory(profile))
        self._files = 0

    @classmethod
    def build(cls, profile: Profile, entries: Iterable[tuple[str, Cid, int]]) -> "Tree":
        """The tree of these (path, cid, tsize), in one pass; of a path that comes twice the last counts.

        Raises:
            DataError: as `put`.
        """
        tree = cls(profile)
        files: dict[str, dict[bytes, Value]] = {"": {}}
        for path, cid, tsize in entries:
            where, slash, name = path.rpartition("/")
            if where not in files or (slash and not where):
                paths.split(path)
                files[where] = {}
            files[where][paths.utf8(name, path)] = _value(cid, tsize, path)
        tree._files = sum(map(len, files.values()))
        tree._top = tree._assemble(files)
        return tree

    def put(self, path: str, cid: Cid, tsize: int) -> None:
        """Add a file or replace it, and make the directories it needs. `tsize` is its cumulative size in bytes.

        Raises:
            DataError: the path is not one of a file in a tree, one of its names is a file where a directory is needed
                or the reverse, or a name has the 64-bit hash of another one beside it; nothing was changed.
        """
        names = paths.split(path)
        value = _value(cid, tsize, path)
        way = self._way(names)
        folder, last = way[-1], len(names) - 1
        name = names[len(way) - 1]
        key = paths.utf8(name, path)
        if len(way) <= last:
            if folder.directory.get(key) is not None:
                raise paths.clash(path, "/".join(names[: len(way)]), "a file, not a directory")
            branch = _Folder(Directory(self._profile, {paths.utf8(names[last], path): value}))
            for inner in reversed(names[len(way) : last]):
                branch = self._around(inner, branch)
            folder.directory.put(key, self._empty)
            folder.folders[name] = branch
            self._files += 1
        else:
            if name in folder.folders:
                raise paths.clash(path, path, "a directory")
            before = len(folder.directory)
            folder.directory.put(key, value)
            self._files += len(folder.directory) - before
        _touch(way, names[:last])

    def remove(self, path: str) -> None:
        """Take a file out, and the directories that this empties.

        Raises:
            DataError: the tree has no file there.
        """
        names = paths.split(path)
        way = self._way(names)
        name = names[-1]
        folder = way[-1]
        if len(way) < len(names) or name in folder.folders or folder.directory.remove(paths.utf8(name, path)) is None:
            raise DataError(f"the tree has no file {path!r}", hint="Only a file that was put can be removed.")
        self._files -= 1
        _touch(way, names[:-1])
        while len(way) > 1 and not len(way[-1].directory):
            way.pop()
            name = names[len(way) - 1]
            del way[-1].folders[name]
            way[-1].stale.discard(name)
            way[-1].directory.remove(name.encode())

    def get(self, path: str) -> tuple[Cid, int] | None:
        """The CID and the tsize of a file, None when the tree has none there."""
        names = path.split("/")
        way = self._way(names)
        if len(way) < len(names) or names[-1] in way[-1].folders:
            return None
        value = way[-1].directory.get(names[-1].encode(errors="surrogatepass"))
        return None if value is None else (Cid(value[0]), value[1])

    def __len__(self) -> int:
        """The number of files."""
        return self._files

    def __iter__(self) -> Iterator[tuple[str, Cid, int]]:
        """Every file as (path, cid, tsize), in no order that means anything."""
        waiting = [("", self._top)]
        while waiting:
            prefix, folder = waiting.pop()
            for key, (cid, tsize) in folder.directory:
                name = key.decode()
                if name not in folder.folders:
                    yield prefix + name, Cid(cid), tsize
            waiting += ((f"{prefix}{name}/", inner) for name, inner in folder.folders.items())

    def root(self) -> Root:
        """The root; encodes and hashes only what changed since the last call."""
        stale: list[tuple[_Folder, str, _Folder]] = []
        waiting = [self._top]
        while waiting:
            folder = waiting.pop()
            inside = [(folder, name, folder.folders[name]) for name in folder.stale]
            stale += inside
            waiting += (inner for _, _, inner in inside)
        for folder, name, inner in reversed(stale):
            folder.directory.put(name.encode(), inner.directory.root())
            folder.stale.discard(name)
        cid, tsize = self._top.directory.root()
        return Root(Cid(cid), tsize)

    def unpublished(self) -> list[Block]:
        """The blocks that `root()` needs and the root at the last `mark_published` did not have.

        Children come before parents, the root last, each block once. Now and then a block of that root is among
        them, where a shard or a directory went and came back; one that is missing there never is left out.
        """
        self.root()
        blocks: dict[Cid, Block] = {}
        for folder in reversed(self._unmarked()):
            for block in folder.directory.unpublished():
                blocks.setdefault(block.cid, block)
        return list(blocks.values())

    def mark_published(self) -> None:
        """Declare the root that `root()` or `unpublished()` computed last published; later changes are not in it."""
        for folder in self._unmarked():
            folder.directory.mark_published()

    def _unmarked(self) -> list[_Folder]:
        """The directories whose last root is not the one last marked, parents before children.

        A marked directory ends the walk: its CID names everything below it.
        """
        found: list[_Folder] = []
        waiting = [self._top]
        while waiting:
            folder = waiting.pop()
            if not folder.directory.is_published:
                found.append(folder)
                waiting += (folder.folders[name] for name in sorted(folder.folders))
        return found

    def _way(self, names: list[str]) -> list[_Folder]:
        """The directories on the way to the last of `names`, as far as they exist; the top is always there."""
        way = [self._top]
        for name in names[:-1]:
            inner = way[-1].folders.get(name)
            if inner is None:
                break
            way.append(inner)
        return way

    def _around(self, name: str, inner: _Folder) -> _Folder:
        """A new directory that holds `inner` alone."""
        folder = _Folder(Directory(self._profile, {name.encode(): self._empty}))
        folder.folders[name] = inner
        folder.stale.add(name)
        return folder

    def _assemble(self, files: dict[str, dict[bytes, Value]]) -> _Folder:
        """The folders of `files`, which are listed by directory."""
        for where in list(files):
            for end, letter in enumerate(where):
                if letter == "/":
                    files.setdefault(where[:end], {})
        inside: dict[str, dict[str, _Folder]] = {where: {} for where in files}
        *inner, _ = sorted(files, key=len, reverse=True)  # a directory before the one it is in, the top last
        for where in inner:
            parent, _, name = where.rpartition("/")
            inside[parent][name] = self._folder(where, files[where], inside[where])
        return self._folder("", files[""], inside[""])

    def _folder(self, where: str, entries: dict[bytes, Value], folders: dict[str, _Folder]) -> _Folder:
        """The directory `where` of these files and these directories."""
        for name in folders:
            if entries.setdefault(name.encode(), self._empty) is not self._empty:
                at = f"{where}/{name}".lstrip("/")
                raise paths.clash(f"{at}/…", at, "a file, not a directory")
        folder = _Folder(Directory(self._profile, entries))
        folder.folders, folder.stale = folders, set(folders)
        return folder


def _touch(way: list[_Folder], names: list[str]) -> None:
    """Mark the directories on the way as stale in those that hold them."""
    for folder, name in zip(way, names, strict=False):
        folder.stale.add(name)


def _value(cid: Cid, tsize: int, path: str) -> Value:
    if not 0 <= tsize <= MAX_TSIZE:
        raise DataError(f"a size of {tsize} bytes for {path!r}", hint="No file has that size; where did it come from?")
    return cid.raw, tsize
