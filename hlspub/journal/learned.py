"""What the journal knows for archive playlists: what windows listed, and what those listings meant."""

import sqlite3
from collections.abc import Iterable, Iterator

from hlspub.hls.learning import Kept, KeptRange, KeptSegment
from hlspub.hls.window import State
from hlspub.journal.values import Meant

_SEGMENTS = """
SELECT sequence, text, keys, map, map_keys, number, target_s, at_head FROM learned_segment
WHERE session_id = :session AND playlist = :playlist {which} ORDER BY sequence
"""
_ENDS = """
AND sequence IN (
    SELECT min(sequence) FROM learned_segment WHERE session_id = :session AND playlist = :playlist
    UNION SELECT max(sequence) FROM learned_segment WHERE session_id = :session AND playlist = :playlist
)
"""
_RANGES = "SELECT sequence, line, floats FROM learned_range WHERE session_id = :session AND playlist = :playlist ORDER BY line"
_MEANT = """
SELECT path, sequence, bound FROM interval
WHERE session_id = ? AND playlist = ? AND kind = 'segment' ORDER BY path, from_version
"""

_Row = tuple[int, str, str, str, str, int, float, int]


class LearnedReads:
    """The queries; `JournalReader` has them."""

    _db: sqlite3.Connection

    def learned(self, session: int, playlist: str) -> Iterator[Kept]:
        """Everything that the versions of a playlist taught, segments in their order, then ranges."""
        return self._learned(session, playlist, "")

    def learned_ends(self, session: int, playlist: str) -> list[Kept]:
        """What a learner has to be restored with: the first and the last segment, and the ranges."""
        return list(self._learned(session, playlist, _ENDS))

    def meant(self, session: int, playlist: str) -> Iterator[Meant]:
        """What each listing of a segment meant, by path, oldest first."""
        return (Meant(*row) for row in self._db.execute(_MEANT, (session, playlist)))

    def _learned(self, session: int, playlist: str, which: str) -> Iterator[Kept]:
        of = {"session": session, "playlist": playlist}
        yield from _segments(self._db.execute(_SEGMENTS.format(which=which), of))
        for sequence, line, floats in self._db.execute(_RANGES, of):
            yield KeptRange(sequence, line, bool(floats))


def _segments(rows: Iterable[_Row]) -> Iterator[KeptSegment]:
    state = State()
    for sequence, text, keys, line, map_keys, number, target_s, at_head in rows:
        new = State(_lines(keys), line, _lines(map_keys))
        state = state if state == new else new  # segments that share a state share the object
        yield KeptSegment(sequence, text, state, number, target_s, bool(at_head))


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.split("\n")) if text else ()
