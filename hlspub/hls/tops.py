"""Layout `flat`: which of the playlists that lie side by side are streams of their own.

Rule: a stream is a playlist that no other lists. A multivariant playlist shows what it is at once. A media playlist may turn
out to be listed by a multivariant one that its writer makes a little later, so it counts only when it was seen in three
versions, has EXT-X-ENDLIST, or has rested so long that nothing more is to be expected of it. Names prove nothing: `cam1` and
`cam10` are two streams, `cam1_low` is one or belongs to `cam1`, as the playlists say.
"""

from collections.abc import Mapping
from dataclasses import dataclass

FLAT_SUFFIX = ".m3u8"  # the stream NAME is what NAME.m3u8 says
PROVEN = 3  # versions


@dataclass(frozen=True, slots=True)
class Side:
    """A playlist as it was last read. `lists`: paths of playlists; `versions`: how many were seen; `rests`: long enough."""

    multivariant: bool
    lists: frozenset[str]
    endlist: bool
    versions: int
    rests: bool


def tops(seen: Mapping[str, Side]) -> list[str]:
    """The paths that are streams, sorted."""
    listed = set[str]().union(*(side.lists - {path} for path, side in seen.items()))
    return sorted(path for path in seen.keys() - listed if _is_proven(seen[path]))


def _is_proven(side: Side) -> bool:
    return side.multivariant or side.endlist or side.rests or side.versions >= PROVEN
