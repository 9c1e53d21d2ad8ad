"""A session's end: notice it, look once more, and leave playlists that a player can finish.

What ends a session is the table of `engine.life`. Then, unless a new run of the transcoder has already overwritten the
directory: one last scan, everything that it finds is taken, and each playlist whose listings would now mean other files
(an initialization section rewritten at the end) is read again. A listed file that is still not there is lost: it is named
in the log, and the published copy of its playlist says EXT-X-GAP (RFC 8216bis §4.4.4.7). A media playlist without
EXT-X-ENDLIST gets one, and under `archive` one that slid becomes the whole recording (`archiving`). Nothing else is ever
changed in a transcoder's text.
"""

from dataclasses import dataclass, field

import anyio
import structlog

from hlspub.engine.course import Course
from hlspub.engine.life import Event, Life
from hlspub.model import Clock
from hlspub.pipeline.archiving import Archiving
from hlspub.pipeline.edits import Editor
from hlspub.pipeline.entries import choose_entry
from hlspub.pipeline.gaps import say_lost
from hlspub.pipeline.intake import Intake
from hlspub.pipeline.ports import Watcher, Writer
from hlspub.pipeline.stream import Stream
from hlspub.telemetry.metrics import Metrics

LOOK_S = 1.0  # how often idleness and quiet are looked at when nothing rings

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class Ending:
    """Ends the sessions of one stream. `started_at`: idleness counts from the daemon's start at the earliest."""

    stream: Stream
    intake: Intake
    watcher: Watcher
    editor: Editor
    journal: Writer
    clock: Clock
    metrics: Metrics
    archiving: Archiving
    started_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.started_at = self.clock.now()

    async def run(self) -> None:
        """Notice ends until cancelled."""
        while True:
            await self.stream.life_wake.wait(LOOK_S)
            event = self._look()
            if event is not None:
                await self.end(event)

    def _look(self) -> Event | None:
        """The end that has come about by itself, if any."""
        course, plan = self.stream.course, self.stream.plan
        if course is None or course.life is Life.ENDING:
            return None
        if plan.rotate_s is not None and self.clock.now() - course.session.started_at >= plan.rotate_s:
            return Event.ROTATE
        still_s = self.clock.now() - course.session.last_taken_at
        if "endlist" in plan.end_on:
            course.happen(Event.ENDLIST if course.complete() else Event.CONTINUED)
            if course.life is Life.CLOSING and still_s >= plan.settle_s:
                return Event.QUIET
        idle_s = min(still_s, self.clock.now() - self.started_at)
        return Event.IDLE if "idle" in plan.end_on and idle_s >= plan.idle_s else None

    async def end(self, event: Event) -> Course | None:
        """End the running session, if there is one; returns it. Its final root follows by itself."""
        course = self.stream.course
        records = self.stream.end(event, self.clock.now())
        if course is None or not records:
            return course
        await self.journal.write(records)
        log.info("session.ending", stream=self.stream.name, session=course.session.label, reason=course.reason)
        await self.collect(course)
        return course

    async def collect(self, course: Course) -> None:
        """The last look at the directory; afterwards the session takes nothing more."""
        for _ in ("playlists", "what is finished only because they list it"):
            await self.watcher.rescan()
            await self.intake.drained()
        for track in list(course.session.tracks.values()):
            if course.session.stale(track) or course.session.has_lost:
                await self.intake.reread(track.path, self.clock.now())
        if self.stream.course is course:
            self.stream.detach()

    async def finalise(self, course: Course) -> None:
        """Make the newest playlists of a session that takes no more files ones that a player can finish."""
        choose_entry(course, self.stream.plan.tree.entry, finished=True)
        if course.entry not in course.session.tracks:
            log.error(
                "session.unpublished",
                stream=self.stream.name,
                session=course.session.label,
                entry=course.entry,
                candidates=list(course.candidates),
                hint="It has no playlist that viewers could open. Name one as the stream's entry for the next session.",
            )
        for track in course.reached():
            recording = await self.archiving.recording(course, track)
            if recording is not None:
                say_lost(course, track, list(recording.lost), self.metrics)
                await self.editor.archive(course, track, recording)
            lost = course.absent(track)
            say_lost(course, track, lost, self.metrics)
            if lost or not track.newest.endlist:
                await self.editor.edit(course, track, lost, endlist=True)
        self.archiving.forget(course.session)


async def wait_announced(stream: Stream, course: Course, timeout_s: float) -> bool:
    """Wait until the course's final root is announced; false when that takes longer."""
    with anyio.move_on_after(timeout_s):
        while course in stream.ending or stream.course is course:
            await stream.changed.wait()
        return True
    return False
