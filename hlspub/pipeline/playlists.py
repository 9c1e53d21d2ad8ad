"""Reading a playlist: its bytes, what its writer wrote, and what is published of it.

Rule: a playlist is read once a version, in a thread, and scanned from where the last version ended. What was declared lost
says EXT-X-GAP in the copy that is published. What it lists outside the stream's directory is refused, aloud, once.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Protocol, TypeVar

import structlog

from hlspub.engine.glance import Glance
from hlspub.errors import PlaylistError
from hlspub.hls.edit import mark_gaps
from hlspub.hls.playlist import Playlist
from hlspub.hls.scan import rescan, scan
from hlspub.model import Settled
from hlspub.pipeline.ports import Store
from hlspub.pipeline.stream import Stream

log = structlog.get_logger()
T = TypeVar("T")
_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


class InThread(Protocol):
    """Runs a function in a thread."""

    def __call__(self, function: Callable[[], T]) -> Awaitable[T]: ...  # noqa: D102 -- as above


@dataclass(slots=True, eq=False)
class PlaylistReader:
    """Reads the playlists of one stream."""

    stream: Stream
    store: Store
    _scans: dict[str, Playlist] = field(default_factory=dict[str, Playlist])

    async def read(self, item: Settled, in_thread: InThread) -> Glance:
        """Read a settled playlist.

        Raises:
            FileGone, FileChanged, PermissionRefused, DataError, StorageError: as `spool.source.read_settled`; PlaylistError.
        """
        source, before = self.stream.plan.directory / item.path, self._scans.get(item.path)
        course = self.stream.course
        lost = frozenset(course.session.lost) if course else frozenset[str]()
        entry = self._scans.get(course.entry) if course and course.entry else None
        variables = entry.variables if entry and course and course.entry != item.path else _NO_VARIABLES

        def read() -> tuple[bytes, Playlist, Playlist]:
            data = self.store.read_settled(source, item.identity, self.stream.plan.playlist_size)
            if before is None:
                written = scan(data, item.path, variables=variables)
            else:
                written = rescan(data, item.path, before, variables=variables)
            _check_names(item.path, written)
            if course is not None and written is not before:
                known = before.references if before else None
                written = replace(written, references=written.references.sharing(course.session.path_of, known))
            if lost.isdisjoint(written.references.paths):
                return data, written, written
            data = mark_gaps(data, item.path, lost, variables=variables)
            return data, scan(data, item.path, variables=variables), written

        data, playlist, written = await in_thread(read)
        self._say_refused(item.path, written, before)
        self._scans[item.path] = written
        return Glance(item, data, playlist, written)

    def _say_refused(self, path: str, playlist: Playlist, before: Playlist | None) -> None:
        """A reference that leads out of the directory is not published, and viewers will miss it: say so once."""
        known = before.refused if before else ()
        for refused in playlist.refused:
            if refused not in known:
                log.warning(
                    "reference.refused",
                    stream=self.stream.name,
                    playlist=path,
                    uri=refused.uri,
                    reason=refused.reason,
                    hint="What lies outside the stream's directory is never published; viewers of this playlist miss it.",
                )


def _check_names(path: str, playlist: Playlist) -> None:
    """Refuse a playlist that lists what cannot stand in a tree, whose names are UTF-8 (as a playlist's text should be)."""
    try:
        "\n".join(playlist.references.paths).encode()
    except UnicodeEncodeError as why:
        named = str(why.object)[: why.end].rpartition("\n")[2].encode(errors="backslashreplace").decode()
        raise PlaylistError(
            f'{path} lists a file whose name is not UTF-8: "{named}…"',
            hint="Playlists are UTF-8 (RFC 8216bis §4). Rename the file, or let the transcoder write UTF-8.",
        ) from why
