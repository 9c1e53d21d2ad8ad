"""Lost files: what a playlist listed and nobody will ever see must not hold the stream back.

Rule (DESIGN, "References"): a listed media file that is still absent `GAP_AFTER` target durations after it was listed is
declared lost: `segment.lost` is logged, and from then on the published copy of that playlist says EXT-X-GAP before it
(RFC 8216bis §4.4.4.7), so that players step over it. Should the file come after all, later versions list it as they are.

A file that is there by then and still open is not lost, but late: it is named, with what to change in the transcoder's command.
"""

from dataclasses import dataclass

import anyio
import anyio.to_thread
import structlog

from hlspub.engine.course import Course
from hlspub.engine.track import Track
from hlspub.model import Clock
from hlspub.pipeline.edits import Editor
from hlspub.pipeline.stream import Stream
from hlspub.telemetry.metrics import Metrics

GAP_AFTER = 3.0  # target durations
SHORTEST_S = 2.0  # for playlists that claim next to no target duration
LOOK_S = 0.5
OPEN_HINT = (
    "Its writer keeps it open, and a file is taken when it is closed. Let each segment be a file of its own: with ffmpeg, "
    "take single_file out of -hls_flags. As it is, nothing new is published before the end."
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Gaps:
    """Declares the lost files of one stream's running session."""

    stream: Stream
    editor: Editor
    clock: Clock
    metrics: Metrics

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await anyio.sleep(LOOK_S)
            course = self.stream.course
            if course is not None:
                await self.look(course)
            else:
                self.stream.absent_since, self.stream.late = {}, set()

    async def look(self, course: Course) -> None:
        """Declare what has been absent for too long."""
        now, unsaid = self.clock.now(), self.stream.absent_since
        self.stream.absent_since = {}
        late: set[str] = set()
        for track in course.reached():
            patience_s = max(SHORTEST_S, GAP_AFTER * track.newest.target_duration_s)
            absent = {path: unsaid.get(path, now) for path in course.absent(track)}
            self.stream.absent_since |= absent
            overdue = course.absent(track, listed_before=now - patience_s)
            waited_for = [path for path, since in absent.items() if now - since >= patience_s]
            missing = await self._missing([*overdue, *waited_for])
            lost = [path for path in overdue if path in missing]
            late.update(path for path in waited_for if path not in missing)
            if lost and course is self.stream.course:
                say_lost(course, track, lost, self.metrics)
                await self.editor.edit(course, track, lost, endlist=False)
        self._say_open(course, late - self.stream.refused.keys() - self.stream.under_way.keys())

    def _say_open(self, course: Course, late: set[str]) -> None:
        """Name the files that are listed, there, and not finished for so long that they hold the stream back."""
        for path in sorted(late - self.stream.late):
            log.warning("file.open", stream=self.stream.name, session=course.session.label, path=path, hint=OPEN_HINT)
        self.stream.late = late

    async def _missing(self, paths: list[str]) -> list[str]:
        """Those that are not there at all: a file that is still being written is late, not lost."""
        directory = self.stream.plan.directory

        def look() -> list[str]:
            return [path for path in paths if not (directory / path).exists()]

        return await anyio.to_thread.run_sync(look) if paths else []


def say_lost(course: Course, track: Track, lost: list[str], metrics: Metrics) -> None:
    """Declare files lost; log and count each once."""
    for path in course.session.lose(lost):
        metrics.segment_lost(course.session.stream)
        log.error(
            "segment.lost",
            stream=course.session.stream,
            session=course.session.label,
            playlist=track.path,
            path=path,
            hint="It was listed and never appeared; the published playlist says EXT-X-GAP in its place.",
        )
