"""The entry: which playlist viewers open, when the configuration leaves that to hlspub (`entry = "auto"`).

Rule: the one multivariant playlist nearest the top. Without any, a lone media playlist, but only once it was updated twice or
has ended: transcoders write their multivariant playlist after the first segments. Several candidates are the operator's choice
and never guessed, because publishing cannot be undone. Once found, the entry moves only from a media to a multivariant
playlist.

A candidate is a playlist that no other lists. Of playlists that list one another in a circle the first stands for all; an
`.m3u` counts only where there is no `.m3u8`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from hlspub.hls.classify import PLAYLIST_SUFFIXES, suffix_of
from hlspub.hls.playlist import Playlist, PlaylistKind, ReferenceKind, References

UPDATES = 2  # versions of a lone media playlist before it is taken for the entry


class Seen(NamedTuple):
    """What matters of a playlist: that of its newest version, and how many versions there were (`updates`)."""

    multivariant: bool
    lists: frozenset[str]  # paths of other playlists, see `listed`
    endlist: bool
    updates: int = 1

    @classmethod
    def of(cls, playlist: Playlist, updates: int = 1) -> Self:
        """The same, from a scanned playlist."""
        multivariant = playlist.kind is PlaylistKind.MULTIVARIANT
        return cls(multivariant, frozenset(listed(playlist.references)), playlist.endlist, updates)


@dataclass(frozen=True, slots=True)
class EntryFound:
    """The entry is `path`."""

    path: str


@dataclass(frozen=True, slots=True)
class NoEntryYet:
    """There is no playlist yet, or a multivariant playlist may still come. `candidates`: the nearest to the top first."""

    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NeedsEntry:
    """Several playlists could be meant; the operator has to name one of `candidates`."""

    candidates: tuple[str, ...]


def find_entry(
    seen: Mapping[str, Seen], *, current: str | None = None, finished: bool = False
) -> EntryFound | NoEntryYet | NeedsEntry:
    """Find the entry among the playlists of a stream.

    Args:
        seen: every playlist that could be read, by path.
        current: the entry found before.
        finished: nothing more will come (a directory that is published once).
    """
    tops = candidates(seen)
    multivariant = [path for path in tops if seen[path].multivariant]
    if current is not None and (not multivariant or (current in seen and seen[current].multivariant)):
        return EntryFound(current)
    if multivariant:
        nearest = tuple(path for path in multivariant if path.count("/") == multivariant[0].count("/"))
        return EntryFound(nearest[0]) if len(nearest) == 1 else NeedsEntry(nearest)
    if not tops or not (finished or all(seen[path].endlist or seen[path].updates >= UPDATES for path in tops)):
        return NoEntryYet(tuple(tops))
    return EntryFound(tops[0]) if len(tops) == 1 else NeedsEntry(tuple(tops))


def candidates(seen: Mapping[str, Seen]) -> list[str]:
    """The playlists that no other lists, nearest the top first; under `flat` each of them is a stream."""
    found: list[str] = []
    below: dict[str, frozenset[str]] = {}
    for path in sorted(seen, key=preference):
        if not any(path in below[other] for other in found):
            below[path] = _reached(seen, path)
            found = [other for other in found if other not in below[path]] + [path]
    return [path for path in found if suffix_of(path) != "m3u"] or found


def preference(path: str) -> tuple[int, str]:
    """Sort key: nearest the top first, then by name."""
    return path.count("/"), path


def listed(references: References) -> list[str]:
    """The playlists among them: renditions, and the interstitials that play in between."""
    found = references.of_kind(ReferenceKind.PLAYLIST, ReferenceKind.ASSET)
    return [path for path, kind, *_ in found if kind is ReferenceKind.PLAYLIST or suffix_of(path) in PLAYLIST_SUFFIXES]


def _reached(seen: Mapping[str, Seen], top: str) -> frozenset[str]:
    """Everything that `top` lists, and what that lists in turn; `top` itself only where a circle leads back to it."""
    reached: set[str] = set()
    waiting = [top]
    while waiting:
        new = {path for path in seen[waiting.pop()].lists if path in seen} - reached
        reached |= new
        waiting.extend(new)
    return frozenset(reached)
