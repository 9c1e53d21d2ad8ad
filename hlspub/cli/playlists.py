"""Does every playlist in a published tree find its required references in it (P4)?

Rule: a file is a playlist when its name says so. A multivariant playlist's variables reach the media playlists that it
lists and that import them, as they would a viewer's. What lies outside the tree (remote URIs) is not looked for.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from hlspub.errors import PlaylistError
from hlspub.hls.classify import classify
from hlspub.hls.playlist import Playlist, PlaylistKind, ReferenceKind
from hlspub.hls.scan import scan
from hlspub.ipld.cid import Cid
from hlspub.ipld.node import Kind
from hlspub.ipld.walk import file_size, read_file, resolve, run_async, stream_async, walk_tree
from hlspub.model import FileKind

MAX_PLAYLIST = 64 << 20  # bytes; a day of two-second segments is about four million

Have = Callable[[Cid], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Problem:
    """A playlist, and what is wrong with it."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Playlists:
    """How many playlists a tree has, and what is wrong with them."""

    count: int
    problems: tuple[Problem, ...]


async def check_playlists(root: Cid, have: Have) -> Playlists:
    """Check every playlist below `root`, which may be any file or directory.

    Raises:
        HlspubError: as `have`, and BlockError for a broken tree.
    """
    files = await _files(root, have)
    found: dict[str, Playlist] = {}
    problems: list[Problem] = []
    paths = [path for path in files if classify(path) is FileKind.PLAYLIST]
    for path in paths:
        try:
            found[path] = scan(await _read(files[path], have), path)
        except PlaylistError as why:
            problems.append(Problem(path, str(why)))
    for importer, variables in _importers(found):
        found[importer] = scan(await _read(files[importer], have), importer, variables=variables)
    for path, playlist in found.items():
        absent = dict.fromkeys(one.path for one in playlist.references if one.required and one.path not in files)
        problems += [Problem(path, f"it needs {needed}, which is not there") for needed in absent]
    return Playlists(len(paths), tuple(problems))


def _importers(found: Mapping[str, Playlist]) -> list[tuple[str, Mapping[str, str]]]:
    """The playlists that import variables, each with those of a multivariant playlist that lists it."""
    return [
        (reference.path, playlist.variables)
        for playlist in found.values()
        if playlist.kind is PlaylistKind.MULTIVARIANT and playlist.variables
        for reference in playlist.references.of_kind(ReferenceKind.PLAYLIST)
        if reference.path in found and found[reference.path].imports
    ]


async def _files(root: Cid, have: Have) -> dict[str, Cid]:
    """Every file below a directory, by path; nothing below anything else."""
    top = await run_async(resolve(root, ()), have)
    if top.kind is not Kind.DIRECTORY:
        return {}
    return {entry.path: entry.cid async for entry in stream_async(walk_tree(root), have) if entry.kind is Kind.FILE}


async def _read(cid: Cid, have: Have) -> bytes:
    size = await run_async(file_size(cid), have)
    if size > MAX_PLAYLIST:
        raise PlaylistError(f"a playlist of {size} bytes", hint=f"No player reads more than {MAX_PLAYLIST}.")
    return b"".join([bytes(part) async for part in stream_async(read_file(cid), have)])
