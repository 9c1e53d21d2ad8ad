"""Turns: a multivariant playlist that was rewritten is taken after the media playlists that were rewritten too.

Theory. Only a media playlist tells a new run of the transcoder from the old one's going on: its numbers go back. A multivariant
playlist of the new run that is taken before it would join the old session's final root. Events come in the transcoder's order;
what a scan finds after a downtime comes in any. So the media playlists are looked at on the disk: one that is not as it was
taken goes first.

Rule: it goes first once, and is waited for `LONGEST_S` at most: it may be one that is never finished.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hlspub.hls.playlist import Playlist, PlaylistKind
from hlspub.model import FileIdentity
from hlspub.pipeline.stream import Stream

LONGEST_S = 10.0
LOOK_S = 0.1  # how often one that waits looks again


@dataclass(slots=True, eq=False)
class Turns:
    """The turns of one stream's playlists. `read_at`: when the newest reading of a playlist began, monotonic seconds."""

    stream: Stream
    read_at: Callable[[str], float]
    _since: dict[str, float] = field(default_factory=dict[str, float])

    def before(self, path: str, playlist: Playlist) -> list[str]:
        """The media playlists that may go before this new version of a playlist."""
        course = self.stream.course
        if course is None or playlist.kind is not PlaylistKind.MULTIVARIANT or path not in course.session.tracks:
            return []
        tracks = course.session.tracks
        return [one for one in playlist.references.paths if one in tracks and not tracks[one].newest.multivariant]

    def is_early(self, path: str, found: Mapping[str, FileIdentity | None], now: float) -> bool:
        """Whether the playlist has to wait, as those before it are `found` on the disk at `now` (monotonic)."""
        course = self.stream.course
        since = self._since.setdefault(path, now)
        if course is not None and now - since < LONGEST_S:
            for one, identity in found.items():
                if identity not in (None, course.session.identity(one)) and self.read_at(one) < since:
                    return True
        del self._since[path]
        return False


def look(directory: Path, paths: Iterable[str]) -> dict[str, FileIdentity | None]:
    """What is on the disk at these paths; None: nothing. Blocking."""
    return {path: _identity(directory / path) for path in paths}


def _identity(path: Path) -> FileIdentity | None:
    try:
        return FileIdentity.of(path.stat())
    except OSError:
        return None
