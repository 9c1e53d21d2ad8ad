"""One stream's tasks, and the orders that the daemon and its users give it."""

from dataclasses import dataclass

import anyio
from anyio.abc import TaskStatus

from hlspub.engine.course import Course
from hlspub.engine.life import Event, Life
from hlspub.pipeline.ending import Ending, wait_announced
from hlspub.pipeline.gaps import Gaps
from hlspub.pipeline.intake import Intake
from hlspub.pipeline.publish import Publisher
from hlspub.pipeline.stream import Stream
from hlspub.watch.directory import DirectoryWatch

HELD_S = 10.0  # how long a stop's root waits for what was taken last; then it is made of what the targets hold
LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs one stream."""

    stream: Stream
    watch: DirectoryWatch
    intake: Intake
    publisher: Publisher
    ending: Ending
    gaps: Gaps

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Follow the directory until cancelled; started when its first scan was taken in."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.intake.run)
            tasks.start_soon(self.publisher.run)
            await tasks.start(self.watch.run)
            course = self.stream.course
            if course is not None and course.life is Life.ENDING:
                tasks.start_soon(self.ending.collect, course)  # the end that a crash interrupted
            tasks.start_soon(self.ending.run)
            tasks.start_soon(self.gaps.run)
            task_status.started()

    def is_over(self) -> bool:
        """Whether nothing is left to do, unless the directory changes."""
        stream = self.stream
        return stream.course is None and not stream.ending and self.publisher.binder.is_done()

    async def end(self, event: Event, wait_s: float | None) -> tuple[Course | None, bool]:
        """End the running session; returns it, and whether its final root is announced within `wait_s`."""
        course = await self.ending.end(event)
        if course is None:
            course = self.stream.ending[-1] if self.stream.ending else None
        if course is None or wait_s is None:
            return course, False
        return course, await wait_announced(self.stream, course, wait_s)

    async def drain(self) -> None:
        """Take what is finished, and publish one ordinary root of it. The session stays open."""
        await self.watch.rescan()
        await self.intake.drained()
        with anyio.move_on_after(HELD_S):
            await self._held()
        await self.publisher.tick()

    async def _held(self) -> None:
        while True:
            course = self.stream.course
            if course is None or not course.under_way():
                return
            await anyio.sleep(LOOK_S)
