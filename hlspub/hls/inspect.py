"""What hlspub sees in an HLS directory, without publishing anything.

Rule: pure. A listing (path → node) and a function that reads a file come in; one answer goes out, the same for the same input.
It follows the entry's references as a viewer would, to every playlist that is reached. Warnings explain what viewers or the
publisher will meet; `missing` is what a viewer needs and does not find, keys included.

The entry is chosen as the publisher would in a finished directory (`entry`). Where the publisher would ask for one, two
playlists of one transcoder are told apart (see `_later_run`); anything else is left to the reader as `candidates`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType

from hlspub.errors import InputError, PlaylistError
from hlspub.hls.classify import classify, is_temporary, numbered
from hlspub.hls.codes import in_order
from hlspub.hls.entry import EntryFound, NeedsEntry, Seen, find_entry, listed, preference
from hlspub.hls.playlist import Key, Playlist, PlaylistKind, Reference, ReferenceKind
from hlspub.hls.references import Refused
from hlspub.hls.scan import scan
from hlspub.model import FileKind

AUTO = "auto"
_NEEDED = MappingProxyType(
    {
        ReferenceKind.SEGMENT: "missing-segment",
        ReferenceKind.PART: "missing-segment",
        ReferenceKind.MAP: "missing-map",
        ReferenceKind.PLAYLIST: "missing-rendition",
    }
)


class NodeKind(StrEnum):
    """What lies at a path."""

    FILE = "file"  # a regular file, or a link to one inside the directory
    ESCAPE = "escape"  # a link that leads out of the directory
    OTHER = "other"  # a dangling link, a socket, a device


@dataclass(frozen=True, slots=True)
class Node:
    """One entry of the listing; `size` in bytes."""

    kind: NodeKind
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """The answer. Paths are relative to the directory and sorted; `size` is that of all regular files, in bytes."""

    entry: str | None
    kind: str  # master, media, invalid
    files: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    remote: tuple[str, ...] = ()
    complete: bool = False
    refuse: tuple[Refused, ...] = ()
    warn: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()
    size: int = 0
    keys: tuple[Key, ...] = ()
    candidates: tuple[str, ...] = ()


def inspect(listing: Mapping[str, Node], read: Callable[[str], bytes], *, entry: str = AUTO) -> Inspection:
    """Inspect a directory.

    Args:
        listing: every file in it, by path relative to it.
        read: the bytes of a file of the listing.
        entry: the playlist that viewers open, or "auto".

    Raises:
        InputError: `entry` is not in the listing.
    """
    if entry != AUTO and entry not in listing:
        raise InputError(f"there is no {entry}", hint="Name a playlist relative to the directory.")
    playlists, broken = _read_all(listing, read, None if entry == AUTO else entry)
    walk = _Walk(listing, read, playlists)
    chosen, several = (entry, ()) if entry != AUTO else _choose(playlists, broken, walk.warn)
    if chosen is not None:
        walk.follow(chosen, {})
    return walk.answer(chosen, several)


def _read_all(
    listing: Mapping[str, Node], read: Callable[[str], bytes], entry: str | None
) -> tuple[dict[str, Playlist], list[str]]:
    """Every playlist that the names promise, and those that are none."""
    playlists: dict[str, Playlist] = {}
    broken: list[str] = []
    for path, node in sorted(listing.items()):
        named = classify(path) is FileKind.PLAYLIST and not is_temporary(path)
        if node.kind is NodeKind.FILE and (named or path == entry):
            try:
                playlists[path] = scan(read(path), path, partial=True)
            except PlaylistError:
                broken.append(path)
    return playlists, broken


def _choose(playlists: Mapping[str, Playlist], broken: list[str], warn: set[str]) -> tuple[str | None, tuple[str, ...]]:
    """The entry, and the candidates where there are several."""
    match find_entry({path: Seen.of(playlist) for path, playlist in playlists.items()}, finished=True):
        case EntryFound(path):
            return path, ()
        case NeedsEntry(several):
            if later := _later_run(playlists, several):
                warn.add("media-sequence-went-backwards")
                return later, several
            warn.add("needs-entry")
            return None, several
        case _:
            if not broken:
                warn.add("no-playlist")
            return min(broken, key=preference, default=None), ()


def _later_run(playlists: Mapping[str, Playlist], several: tuple[str, ...]) -> str | None:
    """The later of media playlists that one transcoder wrote in two runs; None when they are something else.

    They are when their segments are numbered as one (same name, same distance between the number in it and the media sequence
    number) and no number is in both. A restart counts anew, so the lowest numbers are the latest.
    """
    spans: list[tuple[int, int, str]] = []
    numberings: set[tuple[str, int]] = set()
    for path in several:
        playlist = playlists[path]
        segments = list(playlist.references.of_kind(ReferenceKind.SEGMENT))
        names = [(numbered(reference.path), reference.sequence) for reference in segments]
        numberings |= {(name[0], name[1] - sequence) if name else ("", 0) for name, sequence in names}
        if playlist.kind is not PlaylistKind.MEDIA or not segments or len(numberings) != 1:
            return None
        spans.append((playlist.media_sequence, playlist.last_sequence, path))
    spans.sort()
    apart = all(last < first for (_, last, _), (first, _, _) in pairwise(spans))
    return spans[0][2] if apart else None


def _reuses_names(playlist: Playlist) -> bool:
    """Whether the numbers in segment names start over: a name that comes back unchanged is a repeat, not that."""
    highest: dict[str, int] = {}
    seen: set[str] = set()
    for reference in playlist.references.of_kind(ReferenceKind.SEGMENT):
        name = numbered(reference.path)
        if name and reference.path not in seen:
            if name[1] < highest.get(name[0], name[1]):
                return True
            highest[name[0]] = name[1]
            seen.add(reference.path)
    return False


@dataclass(slots=True)
class _Walk:
    """What following the references has found so far."""

    listing: Mapping[str, Node]
    read: Callable[[str], bytes]
    playlists: dict[str, Playlist]
    files: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    remote: set[str] = field(default_factory=set)
    refuse: dict[Refused, None] = field(default_factory=dict)
    keys: dict[Key, None] = field(default_factory=dict)
    warn: set[str] = field(default_factory=set)
    ends: list[bool] = field(default_factory=list)  # of each media playlist reached: has it ended?
    visited: set[str] = field(default_factory=set)

    def follow(self, path: str, variables: Mapping[str, str], above: tuple[str, ...] = ()) -> None:
        """Take in the playlist at `path` and all that it lists; `above` are those that led here."""
        if path in above:
            self.warn.add("playlist-cycle")
        if path in self.visited:
            return
        self.visited.add(path)
        playlist = self._playlist(path, variables)
        if playlist is None:
            self.warn.add("not-a-playlist")
            self.ends.append(False)
            return
        self._take(playlist)
        for below in dict.fromkeys(listed(playlist.references)):
            if self._is_file(below):
                self.follow(below, playlist.variables, (*above, path))

    def _playlist(self, path: str, variables: Mapping[str, str]) -> Playlist | None:
        known = self.playlists.get(path)
        if known and not (variables and known.imports):
            return known
        if not known and classify(path) is FileKind.PLAYLIST and not is_temporary(path):
            return None  # it was read before, and is none
        try:
            self.playlists[path] = scan(self.read(path), path, variables=variables, partial=True)
        except PlaylistError:
            return None
        return self.playlists[path]

    def _take(self, playlist: Playlist) -> None:
        self.remote.update(playlist.remote)
        self.refuse.update(dict.fromkeys(playlist.refused))
        self.keys.update(dict.fromkeys(playlist.keys))
        self.warn.update(playlist.warn)
        if playlist.kind is PlaylistKind.MEDIA:
            self.ends.append(playlist.endlist and "truncated" not in playlist.warn)
            if _reuses_names(playlist):
                self.warn.add("reused-names")
        for reference in playlist.references:
            self._refer(reference)
        for path, extent in playlist.extents.items():
            if self._is_file(path) and self.listing[path].size < extent:
                self.warn.add("range-beyond-file")

    def _refer(self, reference: Reference) -> None:
        path, kind, required, _ = reference
        node = self.listing.get(path)
        if node is None:
            if required or kind is ReferenceKind.KEY:
                self.missing.add(path)
                self.warn.add(_NEEDED.get(kind, "missing-key"))
            if kind is ReferenceKind.PLAYLIST:
                self.ends.append(False)
        elif node.kind is NodeKind.FILE:
            self.files.add(path)
            if required and is_temporary(path):
                self.warn.add("temporary-name")
        else:
            self.refuse[Refused(path, "symlink-escape" if node.kind is NodeKind.ESCAPE else "not-a-file")] = None

    def _is_file(self, path: str) -> bool:
        return path in self.listing and self.listing[path].kind is NodeKind.FILE

    def answer(self, entry: str | None, several: tuple[str, ...]) -> Inspection:
        """All of it."""
        playlist = self.playlists.get(entry) if entry else None
        multivariant = playlist is not None and playlist.kind is PlaylistKind.MULTIVARIANT
        return Inspection(
            entry=entry,
            kind="invalid" if playlist is None else "master" if multivariant else "media",
            files=tuple(sorted(self.files)),
            missing=tuple(sorted(self.missing)),
            remote=tuple(sorted(self.remote)),
            complete=bool(self.ends) and all(self.ends),
            refuse=tuple(self.refuse),
            warn=in_order(self.warn),
            orphans=tuple(sorted(self.listing.keys() - self.files - {entry})),
            size=sum(node.size for node in self.listing.values() if node.kind is NodeKind.FILE),
            keys=tuple(self.keys),
            candidates=several,
        )
