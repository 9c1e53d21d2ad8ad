"""Passing: under `retention = "window"`, what the window left behind is forgotten, so that a stream without an end stays small.

Rule: a segment is passed when no root can come to hold it any more (`Session.behind`) and the transcoder has deleted it: while
it lies in the directory, hlspub must know that it was taken. One that no playlist ever listed must have been gone for
`UNLISTED_S`, and nothing that old may be left to be read, because a playlist that lists it may be late. The CAR stays as
long as a kept root needs it; then the reclaimer lets it go. A transcoder that never deletes keeps its segments twice.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from hlspub.engine.course import Course
from hlspub.model import Clock
from hlspub.pipeline.ports import Writer
from hlspub.pipeline.stream import Stream

UNLISTED_S = 60.0


@dataclass(frozen=True, slots=True)
class Passing:
    """Passes what the running session's windows left behind."""

    stream: Stream
    journal: Writer
    clock: Clock

    async def step(self, course: Course) -> None:
        """After a root: pass what it left behind."""
        stream, session = self.stream, course.session
        if course is not stream.course or not stream.gone:
            return
        for path in [path for path in stream.gone if path not in session.files]:
            del stream.gone[path]
        behind = self._behind(course)
        if not behind:
            return
        deleted = await anyio.to_thread.run_sync(_deleted, stream.plan.directory, behind)
        for path in behind:
            stream.gone.pop(path, None)  # one that is still there is told again when it goes
        if records := session.pass_by(path for path in deleted if path not in stream.under_way):
            await self.journal.write(records)

    def _behind(self, course: Course) -> list[str]:
        stream = self.stream
        long_ago, old_ns = self.clock.monotonic() - UNLISTED_S, (self.clock.now() - UNLISTED_S) * 1e9
        # Not any file: in a stream of many renditions something is read at every moment.
        is_busy = bool(stream.stopped) or any(file.ctime_ns <= old_ns for file in stream.under_way.values())
        files = course.session.files
        return [
            path
            for path in course.session.behind(stream.gone)
            if files[path].used_by or (stream.gone[path] <= long_ago and not is_busy)
        ]


def _deleted(directory: Path, paths: Iterable[str]) -> list[str]:
    return [path for path in paths if not os.path.lexists(directory / path)]
