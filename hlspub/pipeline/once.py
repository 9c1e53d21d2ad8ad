"""One finished directory, once: the same pipeline, ended as soon as nothing more comes.

The directory is read until two looks in a row find nothing new (a file written a moment ago has to settle first), then the
session is ended and its final root awaited. What a target does not confirm in time stays queued in the journal.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio
import anyio.to_thread

from hlspub.engine.course import Course
from hlspub.engine.life import Event
from hlspub.errors import DataError, TargetError
from hlspub.hls.classify import classify
from hlspub.model import FileKind
from hlspub.pipeline.deliver import Courier
from hlspub.pipeline.ending import wait_announced
from hlspub.pipeline.entries import choose_entry
from hlspub.pipeline.runner import Runner

LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is; `phase` is one word for people. Sizes in bytes."""

    done_files: int
    total_files: int
    done_bytes: int
    total_bytes: int
    phase: str


async def publish_once(
    runner: Runner, couriers: Sequence[Courier], patience_s: float, progress: Callable[[Progress], None]
) -> dict[str, object]:
    """Publish the runner's directory; returns the answer of `hlspub publish`.

    Raises:
        DataError: there is no playlist that viewers could open.
        TargetError: a target did not confirm everything within `patience_s` seconds without progress.
    """
    total = await anyio.to_thread.run_sync(_total, os.fspath(runner.stream.plan.directory))
    phase = ["reading"]
    async with anyio.create_task_group() as tasks:
        for courier in couriers:
            tasks.start_soon(courier.run)
        tasks.start_soon(_show, runner, total, phase, progress)
        await tasks.start(runner.run)
        course = await _take_all(runner)
        phase[0] = "delivering"
        await runner.end(Event.PUBLISH, None)
        await _announced(runner, course, couriers, patience_s)
        answer = _answer(runner, course, couriers)
        tasks.cancel_scope.cancel()
        return answer
    raise AssertionError("the block above returns or raises")


async def _take_all(runner: Runner) -> Course:
    taken = -1
    while True:
        await runner.watch.rescan()
        await runner.intake.drained()
        course = runner.stream.course
        now = len(course.session.files) if course else 0
        if now == taken:
            break
        taken = now
    refused = "; ".join(f"{path}: {why}" for path, (_, why) in list(runner.stream.refused.items())[:3])
    directory = runner.stream.plan.directory
    if course is None:
        raise DataError(
            f"{directory} holds no HLS file. {refused}".strip(), hint="`hlspub inspect DIR` shows what is there."
        )
    choose_entry(course, runner.stream.plan.tree.entry, finished=True)
    if course.entry is None:
        names = ", ".join(course.candidates)
        raise DataError(
            f"{directory}: which playlist should viewers open? {names or refused or 'There is none.'}",
            hint="Name it: a [stream.NAME] table with entry = … in the configuration.",
        )
    return course


async def _announced(runner: Runner, course: Course, couriers: Sequence[Courier], patience_s: float) -> None:
    """Wait for the final root as long as something moves."""

    def under_way() -> bool:
        return course in runner.stream.ending or runner.stream.course is course

    while under_way():
        left = len(course.session.confirmations)
        if await wait_announced(runner.stream, course, patience_s):
            return
        if under_way() and len(course.session.confirmations) == left:
            reason = "; ".join(f"{c.target.name}: {c.reason}" for c in couriers if c.reason) or "no answer"
            raise TargetError(
                f"not everything is delivered: {reason}",
                retry_s=None,
                hint="What is missing stays queued; publish again, or let `hlspub run` deliver it.",
            )


def _answer(runner: Runner, course: Course, couriers: Sequence[Courier]) -> dict[str, object]:
    if course.announced is None or course.entry is None:
        raise DataError(
            f"{runner.stream.plan.directory}: no root can be made that plays",
            hint="`hlspub inspect DIR` shows which listed files are missing.",
        )
    files = [course.session.files[path] for path, _, _ in course.tree.tree if path in course.session.files]
    return {
        "stream": runner.stream.name,
        "root": str(course.announced),
        "entry": course.entry,
        "files": len(files),
        "bytes": sum(file.size_bytes for file in files),
        "targets": {c.target.name: {"state": "confirmed" if c.well else "degraded"} for c in couriers},
    }


async def _show(runner: Runner, total: tuple[int, int], phase: list[str], progress: Callable[[Progress], None]) -> None:
    while True:
        course = runner.stream.course or (runner.stream.ending[-1] if runner.stream.ending else None)
        files = list(course.session.files.values()) if course else []
        size = sum(file.size_bytes for file in files)
        progress(Progress(len(files), max(total[0], len(files)), size, max(total[1], size), phase[0]))
        await anyio.sleep(LOOK_S)


def _total(directory: str) -> tuple[int, int]:
    """How many playlists and media files there are, and their bytes: what the bar runs against."""
    files = size = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            if classify(name) in (FileKind.PLAYLIST, FileKind.MEDIA):
                files += 1
                size += os.stat(os.path.join(folder, name)).st_size  # noqa: PTH116, PTH118 -- many files, strings all along
    return files, size
