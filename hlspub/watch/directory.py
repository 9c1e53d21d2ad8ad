"""Watching a directory: which file in it is finished, and what it is.

Rule: the directory is the truth. Four tasks share one loop, and none waits for a slower one:

    supervise   each second: is the root there, does the observer live, did events get lost        (supervise.py)
    look        takes hints and what is due, `stat`s it at once, asks the judge                      (observer.py, settle.py)
    scan        compares directory and memory: at the start, for a new directory, regularly           (scan.py, agenda.py)
    deliver     hands verdicts to the sink, which may make it wait                                    (outbox.py)

Everything that touches the file system runs in a thread; only directories are opened, and only for reading (P7).
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import TaskStatus

from hlspub.model import Clock, FileIdentity, SettledBy
from hlspub.watch.agenda import WHOLE, Agenda, Order
from hlspub.watch.bell import Bell, Rounds
from hlspub.watch.observer import Hint, Hinted, Inbox
from hlspub.watch.outbox import Outbox
from hlspub.watch.ports import Evidence, Names, Notify, Overflowed, ScanFinished, Sink
from hlspub.watch.scan import Depth, Look, Scanner, State, is_decodable, look
from hlspub.watch.settle import Judge, Pace
from hlspub.watch.supervise import Mode, Supervisor

SETTLE_S = 2.0
RESCAN_S = 5.0
POLL_S = 1.0
PLAYLIST_S = 0.5  # quiet that is enough for a playlist, which intake reads only when it parses whole
TICK_S = 1.0
LOOKS = 500  # paths looked at in one go, so that a verdict is never much older than its `stat`
_FINISHED = {Hint.CLOSED: SettledBy.CLOSED, Hint.MOVED: SettledBy.MOVED}


class DirectoryWatch:
    """Tells `sink` of each finished file under `root`, as far as `evidence` wants it.

    settle_s: seconds without a change after which a file that no event finished counts as quiet.
    rescan_s: seconds between regular scans under inotify; poll_s: under "poll".
    mode:     "auto" polls where inotify is blind (network file systems) and where its limits are reached.
    """

    def __init__(
        self,
        root: Path,
        evidence: Evidence,
        sink: Sink,
        *,
        clock: Clock,
        names: Names,
        notify: Notify,
        mode: Mode = "auto",
        settle_s: float = SETTLE_S,
        rescan_s: float = RESCAN_S,
        poll_s: float = POLL_S,
    ) -> None:
        self._path = root
        self._evidence = evidence
        self._sink = sink
        self._clock = clock
        self._names = names
        self._notify = notify
        self._rescan_s = rescan_s
        self._poll_s = poll_s
        self._paces = {
            False: Pace(settle_s, min(settle_s, PLAYLIST_S), trust_times=True),
            True: Pace(poll_s, min(poll_s, PLAYLIST_S), trust_times=False),
        }
        self._judge = Judge(evidence, names, self._paces[False])
        self._agenda = Agenda(every_s=rescan_s, depth=Depth.NAMES)
        self._scanner = Scanner(names)
        self._outbox = Outbox()
        self._inbox = Inbox(self._ring)
        self._supervisor = Supervisor(root, self._inbox, clock, mode=mode, notify=notify, changed=self._start_over)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hinted = Bell()
        self._ordered = Bell()
        self._looked = Rounds()
        self._scanned = Rounds()
        self._look_threads = anyio.CapacityLimiter(1)
        self._scan_threads = anyio.CapacityLimiter(1)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled. Started when the first scan has been handed to the sink, or the root found missing."""
        self._loop = asyncio.get_running_loop()
        try:
            async with anyio.create_task_group() as tasks:
                await self._supervisor.step()
                tasks.start_soon(self._outbox.deliver, self._sink.settled)
                tasks.start_soon(self._look)
                tasks.start_soon(self._scan)
                tasks.start_soon(self._supervise)
                await self._scan_whole()
                await self._outbox.flush()
                task_status.started()
        finally:
            await self._supervisor.close()
            self._loop = None

    async def rescan(self) -> None:
        """Scan everything now, and return when all that is finished was handed to the sink.

        Files that changed a moment ago are given their time to be quiet, so this takes `settle_s` at most, besides the scan.
        Only while `run` runs.
        """
        await self._scan_whole()
        young_until = self._judge.last_due()
        if young_until is not None:
            await anyio.sleep(max(0.0, young_until - self._clock.monotonic()))
        self._hinted.ring()
        await self._looked.whole()
        await self._outbox.flush()

    def alive(self) -> bool:
        """Whether the watch works: it is supervised, and the observer, if there is one, has proven lately that it lives."""
        return self._supervisor.is_well()

    def release(self, paths: Iterable[str]) -> None:
        """Judge `paths` again at once: a playlist lists them now, or intake could not use them and asks for them again."""
        for path in self._judge.release(paths):
            self._inbox.put(path, Hint.LOOK, self._clock.now())

    def _ring(self) -> None:
        """Wake the looker, from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._hinted.ring)

    def _start_over(self) -> None:
        polls = self._supervisor.polls
        self._judge.pace = self._paces[polls]
        if polls:
            self._agenda.regular(every_s=self._poll_s, depth=Depth.STATS)
        else:
            self._agenda.regular(every_s=self._rescan_s, depth=Depth.NAMES)
        self._want_whole()

    def _want_whole(self) -> None:
        self._agenda.want_whole()
        self._ordered.ring()

    async def _scan_whole(self) -> None:
        self._want_whole()
        await self._scanned.whole()

    async def _supervise(self) -> None:
        while True:
            await anyio.sleep(TICK_S)
            await self._tick()

    async def _tick(self) -> None:
        await self._supervisor.step()
        if self._inbox.take_overflow():
            self._notify(
                Overflowed(str(self._path), "raise the sysctl fs.inotify.max_queued_events if this happens often")
            )
            self._want_whole()
        limit = self._inbox.take_limit()
        if limit is not None and not self._supervisor.polls:
            await self._supervisor.fall_back(limit)
        for path in self._judge.open_playlists(self._clock.monotonic()):
            self._inbox.put(path, Hint.LOOK, self._clock.now())

    def _resolved(self) -> str:
        """Where to look; a path that does not exist while the root is missing."""
        root = self._supervisor.root
        return str(self._path) if root is None else root.path

    async def _look(self) -> None:
        while True:
            self._looked.begin()
            hints = self._inbox.take()
            for path in self._judge.due(self._clock.monotonic()):
                hints.setdefault(path, Hinted(Hint.LOOK, self._clock.now()))
            paths = [path for path, hinted in hints.items() if self._is_to_look_at(path, hinted.hint)]
            for start in range(0, len(paths), LOOKS):
                some = paths[start : start + LOOKS]
                looks = await anyio.to_thread.run_sync(
                    look, self._resolved(), some, abandon_on_cancel=True, limiter=self._look_threads
                )
                self._judge_looks(looks, hints)
            self._looked.end()
            due = self._judge.next_due()
            await self._hinted.wait(None if due is None else max(0.0, due - self._clock.monotonic()))

    def _is_to_look_at(self, path: str, hint: Hint) -> bool:
        """Whether to `stat` the path now. What only appeared is given the time in which its writer usually closes it."""
        if not is_decodable(path) or any(self._names.is_temporary(name) for name in path.split("/")):
            return False
        if hint is Hint.DIRECTORY:
            self._agenda.want_directory(path, self._clock.monotonic())
            self._ordered.ring()
        elif hint is Hint.CREATED:
            self._judge.expect(path, self._clock.monotonic())
        else:
            return True
        return False

    def _judge_looks(self, looks: Sequence[Look], hints: dict[str, Hinted]) -> None:
        found: list[tuple[str, FileIdentity]] = []
        for seen in looks:
            hint, at = hints[seen.path]
            if seen.state is State.GONE:
                self._lose(seen.path, was_seen=hint is not Hint.LOOK)
                continue
            if seen.identity is None:
                self._judge.forget(seen.path)
                continue
            self._scanner.note(seen.path)
            if seen.state is State.FILE and hint in _FINISHED:
                verdict = self._judge.finished(seen.path, seen.identity, _FINISHED[hint], at)
                if verdict is not None:
                    self._outbox.put(verdict)
            else:
                found.append((seen.path, seen.identity))
        self._judge_found(found)

    def _judge_found(self, files: Iterable[tuple[str, FileIdentity]]) -> None:
        for verdict in self._judge.found(files, now=self._clock.now(), mono=self._clock.monotonic()):
            self._outbox.put(verdict)

    def _lose(self, path: str, *, was_seen: bool) -> None:
        is_news = self._judge.forget(path) or was_seen
        self._outbox.drop(path)
        if is_news and self._evidence.wanted(path):
            self._sink.vanished(path)

    async def _scan(self) -> None:
        while True:
            self._scanned.begin()
            order = self._agenda.take(self._clock.monotonic())
            if order is not None:
                began = self._clock.monotonic()
                await self._carry_out(order)
                self._agenda.done(order, began=began, mono=self._clock.monotonic())
            self._scanned.end()
            await self._ordered.wait(self._agenda.wait_s(self._clock.monotonic()))

    async def _carry_out(self, order: Order) -> None:
        began = self._clock.monotonic()
        directories = files = reported = vanished = 0
        batches = self._scanner.scan(self._resolved(), order.start, order.depth, now=self._clock.now())
        while batch := await anyio.to_thread.run_sync(
            next, batches, None, abandon_on_cancel=True, limiter=self._scan_threads
        ):
            self._judge_found(batch.found)
            self._hinted.ring()  # something may be due sooner than the looker thinks
            for path in batch.vanished:
                self._inbox.put(path, Hint.MISSED, self._clock.now())
            for notice in batch.skipped:
                self._notify(notice)
            directories += batch.directories
            files += batch.files
            reported += len(batch.found)
            vanished += len(batch.vanished)
            await self._outbox.room()
        if order == WHOLE:
            for path in self._judge.tracked():  # what came and went between two scans
                self._inbox.put(path, Hint.LOOK, self._clock.now())
        took_s = self._clock.monotonic() - began
        self._notify(ScanFinished(order.start, order.depth.value, directories, files, reported, vanished, took_s))
