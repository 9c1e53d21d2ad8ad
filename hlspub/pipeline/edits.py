"""The only changes that are ever made to a transcoder's text: EXT-X-GAP before lost segments, a final EXT-X-ENDLIST.

An edited text is a further version of its playlist, taken like any other, so that the tree, the journal and the crash
recovery know nothing of edits. The text to edit is read back from the store: the transcoder may have overwritten its own.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
import anyio.to_thread
import structlog

from hlspub.engine.course import Course
from hlspub.engine.session import Taken
from hlspub.engine.track import Track
from hlspub.errors import StorageError
from hlspub.hls.edit import add_endlist, mark_gaps
from hlspub.hls.scan import scan
from hlspub.ipld.cid import Cid
from hlspub.ipld.profile import PROFILES
from hlspub.model import Clock, FileKind
from hlspub.pipeline.ports import Store, Writer

FULL_DISK_PAUSE_S = 2.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Editor:
    """Makes edited versions of playlists. `read` fetches a file's bytes from the store."""

    store: Store
    journal: Writer
    clock: Clock
    read: Callable[[Cid], Awaitable[bytes]]
    taken: Callable[[], None]

    async def edit(self, course: Course, track: Track, lost: list[str], *, endlist: bool) -> None:
        """Take an edited copy of the track's newest version into its session."""
        newest = track.newest
        text = await self.read(newest.file.cid)
        edited = mark_gaps(text, track.path, frozenset(lost))
        if endlist:
            edited = add_endlist(edited)
        if edited == text:
            return
        profile = PROFILES[course.session.settings.profile]
        while True:
            try:
                packed = await anyio.to_thread.run_sync(self.store.put_data, edited, profile)
                break
            except StorageError as why:
                log.error("publishing.stopped", stream=course.session.stream, reason=str(why), hint=why.hint)
                await anyio.sleep(FULL_DISK_PAUSE_S)
        if track.newest is not newest:
            return  # the transcoder was faster; whoever asked looks again
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
        )
        await self.journal.write(session.take(taken))
        self.taken()
        log.info(
            "playlist.edited",
            stream=session.stream,
            session=session.label,
            path=track.path,
            gaps=len(lost),
            endlist=endlist,
        )
