"""Playlist versions that were seen and not taken: kept only while their listings would be lost otherwise (P3).

Theory. At most one version a second of a playlist is taken. A window that slides fast may list a segment after one version
that is taken and drop it before the next; what was listed has to be in an archive all the same. So every version that is seen
is read and scanned, and kept until a newer one comes that lists all that it alone lists. What is left is the smallest chain
of versions, oldest first, that together with the taken ones lists everything; it is taken before the next version is.

Rule: sizes are bounded: only short playlists are kept (a window is short; a long playlist grows and drops nothing within a
second), and no more than `CHAIN` of them. No I/O, no clock.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from hlspub.hls.playlist import Playlist, PlaylistKind
from hlspub.model import Settled

LONGEST = 64 << 10  # bytes of a playlist that is kept
CHAIN = 64  # versions of one playlist; more come together only while nothing can be taken


@dataclass(frozen=True, slots=True)
class Glance:
    """One version as it was read: its bytes, what is published of it, and what its writer wrote."""

    item: Settled
    data: bytes
    playlist: Playlist
    written: Playlist


@dataclass(slots=True)
class Glances:
    """The chains, by path. `dropped` counts versions that a chain had no room for."""

    dropped: int = 0
    _chains: dict[str, list[Glance]] = field(default_factory=dict[str, list[Glance]])

    def note(self, glance: Glance, taken: Container[str]) -> None:
        """A version was seen; `taken` holds what the newest taken version lists."""
        if glance.written.kind is not PlaylistKind.MEDIA:
            return
        chain = self._chains.setdefault(glance.item.path, [])
        if chain and not _loses(chain[-1], glance.written.references.paths, taken):
            chain.pop()
        chain.append(glance)
        if len(chain) > CHAIN:
            del chain[0]
            self.dropped += 1

    def before(self, path: str, newer: Playlist, taken: Container[str]) -> Glance | None:
        """The first version of the path that has to be taken before `newer`, if any."""
        chain = self._chains.get(path, [])
        while chain:
            after = chain[1].written if len(chain) > 1 else newer
            if _loses(chain[0], after.references.paths, taken):
                return chain[0]
            del chain[0]
        self._chains.pop(path, None)
        return None

    def done(self, glance: Glance) -> None:
        """A version was taken after all."""
        chain = self._chains.get(glance.item.path, [])
        if chain and chain[0] is glance:
            del chain[0]


def _loses(glance: Glance, newer: Iterable[str], taken: Container[str]) -> bool:
    """Whether something that this version requires is listed neither before it nor after it."""
    listed = set(newer)
    return any(
        reference.required and reference.path not in listed and reference.path not in taken
        for reference in glance.written.references
    )
