"""The only changes that are ever made to a transcoder's text.

They are EXT-X-GAP before lost segments, a final EXT-X-ENDLIST, and the archive playlist of one that slid (`archiving`).
An edited text is a further version of its playlist, taken like any other, so that the tree, the journal and the crash
recovery know nothing of edits. The text to edit is read back from the store: the transcoder may have overwritten its own.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import anyio.to_thread
import structlog

from hlspub.engine.course import Course
from hlspub.engine.session import Taken
from hlspub.engine.track import PlaylistVersion, Track
from hlspub.hls.edit import add_endlist, mark_gaps
from hlspub.hls.scan import scan
from hlspub.ipld.cid import Cid
from hlspub.ipld.profile import PROFILES
from hlspub.model import Clock, FileKind
from hlspub.pipeline.archiving import Recording
from hlspub.pipeline.patience import Room
from hlspub.pipeline.ports import Store, Writer

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Editor:
    """Makes edited versions of playlists. `read` fetches a file's bytes from the store; `unneeded` lets go of a CAR."""

    store: Store
    journal: Writer
    clock: Clock
    read: Callable[[Cid], Awaitable[bytes]]
    taken: Callable[[], None]
    unneeded: Callable[[Sequence[str]], Awaitable[None]]
    room: Room

    async def edit(self, course: Course, track: Track, lost: list[str], *, endlist: bool) -> None:
        """Take an edited copy of the track's newest version into its session."""
        newest = track.newest
        text = await self.read(newest.file.cid)
        edited = mark_gaps(text, track.path, frozenset(lost))
        if endlist:
            edited = add_endlist(edited)
        if edited != text and await self._put(course, track, newest, edited):
            log.info(
                "playlist.edited",
                stream=course.session.stream,
                session=course.session.label,
                path=track.path,
                gaps=len(lost),
                endlist=endlist,
            )

    async def archive(self, course: Course, track: Track, recording: Recording) -> None:
        """Take the archive playlist of a session that takes no more files."""
        if await self._put(course, track, track.newest, recording.text, recording):
            log.info(
                "playlist.archived",
                stream=course.session.stream,
                session=course.session.label,
                path=track.path,
                size_bytes=len(recording.text),
                gaps=len(recording.lost),
            )

    async def _put(
        self, course: Course, track: Track, newest: PlaylistVersion, edited: bytes, recording: Recording | None = None
    ) -> bool:
        """Take a text as the version after `newest`; false when the transcoder was faster: whoever asked looks again."""
        profile = PROFILES[course.session.settings.profile]
        packed = await self.room.until(anyio.to_thread.run_sync, self.store.put_data, edited, profile)
        if track.newest is not newest:
            self.store.disclaim(packed.car.key)
            await self.unneeded([packed.car.key])
            return False
        session = course.session
        taken = Taken(
            track.path,
            FileKind.PLAYLIST,
            packed,
            session.files[track.path].identity,
            self.clock.now(),
            playlist=scan(edited, track.path),
            again=True,
            edited=True,
            meant=recording.meant if recording else {},
        )
        try:
            await self.journal.write([*(recording.records if recording else ()), *session.take(taken)])
        finally:
            self.store.disclaim(packed.car.key)
        self.taken()
        return True
