"""The root and its observer: is there a directory, is it still the same, does anybody listen to it?

Rule: one step a second, whatever the sink does. A step looks at the root and asks the observer for a sign of life; what
changed is said aloud and put right. The root is known by its resolved path, device and inode: a link pointed elsewhere, a
directory made again, a mount that came or went are another root. An inode number may be given out again at once; then it is
the emitter, ended by the removal, that tells.

    missing ──────► watched ──────► missing        RootAppeared, RootMissing
                    watched ──────► watched        RootReplaced: another directory; ObserverRestarted: a deaf observer
                    inotify ──────► poll           FellBackToPoll: a limit; until the root is replaced
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import anyio
import anyio.to_thread

from hlspub.model import Clock
from hlspub.watch.filesystem import is_remote, kind_of
from hlspub.watch.observer import PROOF_S, Inbox, Observation
from hlspub.watch.ports import (
    FellBackToPoll,
    Notify,
    ObserverRestarted,
    RootAppeared,
    RootMissing,
    RootReplaced,
    WatchStarted,
)

Mode = Literal["auto", "inotify", "poll"]
CLOSE_S = 2.0  # how long the observer's threads may take to end
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_HINTS = {
    errno.ENOSPC: "raise the sysctl fs.inotify.max_user_watches",
    errno.EMFILE: "raise the sysctl fs.inotify.max_user_instances, or the limit of open files (LimitNOFILE=)",
    errno.ENFILE: "raise the sysctl fs.file-max",
}


class Root(NamedTuple):
    """A directory that can be read, as it was found at the configured path."""

    path: str
    device: int
    inode: int


def find_root(path: Path) -> Root:
    """Resolve `path`. Raises OSError when there is no directory that can be read."""
    resolved = os.path.realpath(path, strict=True)
    status = os.stat(resolved)  # noqa: PTH116 -- a string all along
    with os.scandir(resolved):
        return Root(resolved, status.st_dev, status.st_ino)


def choose_mode(mode: Mode, root: Root) -> tuple[Literal["inotify", "poll"], str]:
    """How to watch `root`, and why."""
    if mode != "auto":
        return mode, "configured"
    try:
        with Path("/proc/self/mountinfo").open(encoding="utf-8", errors="replace") as lines:
            kind = kind_of(root.device, lines)
    except OSError:
        kind = None
    if kind is None:
        return "inotify", "the file system kind is unknown"
    if is_remote(kind):
        return "poll", f"inotify does not see what others write to {kind}"
    return "inotify", f"the file system is {kind}"


class Supervisor:
    """Keeps an observer on the root.

    `changed` is called when everything must be scanned again: another root, a new observer, another way of watching.
    """

    def __init__(
        self, path: Path, inbox: Inbox, clock: Clock, *, mode: Mode, notify: Notify, changed: Callable[[], None]
    ) -> None:
        self.root: Root | None = None
        self.polls = mode == "poll"
        self._path = path
        self._inbox = inbox
        self._clock = clock
        self._wanted_mode: Mode = mode
        self._notify = notify
        self._changed = changed
        self._observation: Observation | None = None
        self._missing_for: str | None = None
        self._stepped_at: float | None = None
        # A hung file system must not take all of the default limiter's threads, nor wait for them.
        self._threads = anyio.CapacityLimiter(1)

    async def step(self) -> None:
        """Look at the root and the observer once, and put right what is wrong."""
        try:
            root = await anyio.to_thread.run_sync(find_root, self._path, abandon_on_cancel=True, limiter=self._threads)
        except OSError as error:
            await self._lose(error)
        else:
            await self._keep(root)
        self._stepped_at = self._clock.monotonic()

    def is_well(self) -> bool:
        """Whether steps are made and, if there is an observer, all its threads live and have proven it lately."""
        if self._stepped_at is None or self._clock.monotonic() - self._stepped_at > PROOF_S:
            return False
        if self.polls or self.root is None:
            return True
        return self._observation is not None and self._observation.fault() is None

    async def fall_back(self, error: OSError) -> None:
        """Poll from now on: inotify is not to be had because of `error`."""
        await self.close()
        self.polls = True
        hint = _HINTS.get(error.errno or 0, 'set watch = "poll" for this stream, or see the kernel\'s log')
        self._notify(FellBackToPoll(str(self._path), str(error), hint))
        self._changed()

    async def close(self) -> None:
        """End the observer, if there is one. Not cancelled, but never longer than CLOSE_S."""
        observation, self._observation = self._observation, None
        if observation is not None:
            with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_S):
                await anyio.to_thread.run_sync(observation.close, abandon_on_cancel=True)

    async def _lose(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        if self.root is not None:
            self.root = None
            await self.close()
            self._changed()
        elif reason == self._missing_for:
            return
        self._missing_for = reason
        self._notify(RootMissing(str(self._path), reason))

    async def _keep(self, root: Root) -> None:
        if root != self.root:
            await self.close()
            notice = RootReplaced(root.path) if self.root is not None else None
            if self._missing_for is not None:
                notice = RootAppeared(root.path)
            self._missing_for = None
            if notice is not None:
                self._notify(notice)
            await self._start(root)
            return
        if self.polls:
            return
        fault = "it could not be started" if self._observation is None else self._observation.fault()
        if fault is not None:
            await self.close()
            self._notify(ObserverRestarted(root.path, fault))
            await self._observe(root)
        elif self._observation is not None:
            self._observation.prove()

    async def _start(self, root: Root) -> None:
        mode, reason = await anyio.to_thread.run_sync(choose_mode, self._wanted_mode, root)
        self.polls = mode == "poll"
        self._notify(WatchStarted(root.path, mode, reason))
        if self.polls:
            self.root = root
            self._changed()
        else:
            await self._observe(root)

    async def _observe(self, root: Root) -> None:
        try:
            self._observation = await anyio.to_thread.run_sync(Observation, root.path, self._inbox, self._clock)
        except OSError as error:
            if error.errno not in _GONE:  # else the next step sees it
                self.root = root
                await self.fall_back(error)
        else:
            self.root = root
            self._changed()
