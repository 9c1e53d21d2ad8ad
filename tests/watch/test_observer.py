"""The observer on its own, against the kernel: which hints come, and that nothing dies in silence."""

import errno
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, WatchDescriptor

from hlspub.watch.observer import PROOF_S, Hint, Inbox, Observation

DEADLINE_S = 20.0


class HandClock:
    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


class Listener:
    """An inbox under observation, and all that ever came into it."""

    def __init__(self, root: Path) -> None:
        self.clock = HandClock()
        self.rang = threading.Event()
        self.inbox = Inbox(self.rang.set)
        self.hints: dict[str, list[Hint]] = {}
        self.observation = Observation(str(root), self.inbox, self.clock)

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            self.rang.clear()
            for path, hinted in self.inbox.take().items():
                self.hints.setdefault(path, []).append(hinted.hint)
            if condition():
                return
            assert time.monotonic() < deadline, self.hints
            self.rang.wait(0.02)

    def heard(self, path: str, hint: Hint) -> bool:
        return hint in self.hints.get(path, [])


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    (tmp_path / "root" / "v0").mkdir(parents=True)
    listener = Listener(tmp_path / "root")
    yield listener
    listener.observation.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def test_closing_creating_and_renaming_are_heard_and_nothing_else(listener: Listener, root: Path) -> None:
    (root / "v0/seg0.ts").write_bytes(b"x")
    (root / "v0/seg0.ts").read_bytes()
    os.utime(root / "v0/seg0.ts")
    (root / "v0/seg1.ts.tmp").write_bytes(b"x")
    (root / "v0/seg1.ts.tmp").rename(root / "v0/seg1.ts")
    (root / "seg2.ts").hardlink_to(root / "v0/seg1.ts")
    (root / "v0/seg0.ts").unlink()
    (root / "v1").mkdir()
    listener.until(lambda: listener.heard("v1", Hint.DIRECTORY))
    assert listener.hints["v0/seg0.ts"][-1] is Hint.CLOSED
    assert listener.hints["v0/seg1.ts"] == [Hint.MOVED]
    assert listener.hints["seg2.ts"] == [Hint.CREATED]


def test_a_rename_in_from_outside_is_heard_as_one(listener: Listener, root: Path) -> None:
    (root.parent / "outside.ts").write_bytes(b"x")
    (root.parent / "outside.ts").rename(root / "seg0.ts")
    listener.until(lambda: listener.heard("seg0.ts", Hint.MOVED))


def test_a_file_that_is_moved_out_does_not_hold_up_the_others(listener: Listener, root: Path) -> None:
    """Watchdog alone waits for the other half of a rename, and with it all that comes after; here it would wait for ever."""
    (emitter,) = listener.observation._observer.emitters
    emitter._inotify._move_event_grouper._queue.delay = 3600.0  # type: ignore[attr-defined]
    (root / "seg0.ts").write_bytes(b"x")
    (root / "seg0.ts").rename(root.parent / "away.ts")
    (root / "seg1.ts").write_bytes(b"x")
    listener.until(lambda: listener.heard("seg1.ts", Hint.CLOSED))


def test_the_files_of_a_renamed_directory_are_not_called_finished(listener: Listener, root: Path) -> None:
    (root / "v0/seg0.ts").write_bytes(b"x")
    listener.until(lambda: listener.heard("v0/seg0.ts", Hint.CLOSED))
    (root / "v0").rename(root / "v1")
    listener.until(lambda: listener.heard("v1/seg0.ts", Hint.CREATED) and listener.heard("v1", Hint.DIRECTORY))
    assert not listener.heard("v1/seg0.ts", Hint.MOVED)
    (root / "v1/seg1.ts").write_bytes(b"x")
    listener.until(lambda: listener.heard("v1/seg1.ts", Hint.CLOSED))


def test_directories_made_later_are_watched_at_every_depth(listener: Listener, root: Path) -> None:
    (root / "a/b/c").mkdir(parents=True)
    listener.until(lambda: listener.heard("a/b/c", Hint.DIRECTORY))
    (root / "a/b/c/seg0.ts").write_bytes(b"x")
    listener.until(lambda: "a/b/c/seg0.ts" in listener.hints)  # its close may have come before the watch
    (root / "a/b/c/seg1.ts").write_bytes(b"x")
    listener.until(lambda: listener.heard("a/b/c/seg1.ts", Hint.CLOSED))


def test_a_directory_that_is_met_twice_is_watched_without_a_warning(listener: Listener, root: Path) -> None:
    (emitter,) = listener.observation._observer.emitters
    emitter._inotify._add_all_callbacks(os.fsencode(root))  # type: ignore[attr-defined]
    (root / "v0/seg0.ts").write_bytes(b"x")
    listener.until(lambda: listener.heard("v0/seg0.ts", Hint.CLOSED))


def test_an_overflow_is_told_and_the_watch_goes_on(listener: Listener, root: Path) -> None:
    overflow = InotifyEvent(WatchDescriptor(-1), InotifyConstants.IN_Q_OVERFLOW, 0, b"")
    listener.observation._reader.handle_event(overflow)
    assert listener.inbox.take_overflow()
    assert not listener.inbox.take_overflow()
    (root / "v0/seg0.ts").write_bytes(b"x")
    listener.until(lambda: listener.heard("v0/seg0.ts", Hint.CLOSED))
    assert listener.observation.fault() is None


def test_a_dispatch_thread_that_gives_no_sign_of_life_is_a_fault(listener: Listener) -> None:
    listener.clock.at += PROOF_S + 1
    assert listener.observation.fault() == "the dispatch thread gave no sign of life for 10 s"
    listener.observation.prove()
    listener.until(lambda: listener.observation.fault() is None)


def test_the_removal_of_the_root_is_a_fault(listener: Listener, root: Path) -> None:
    (root / "v0").rmdir()
    root.rmdir()
    listener.until(lambda: listener.observation.fault() == "the directory's emitter ended")


def test_closing_twice_is_harmless_and_a_missing_root_leaves_nothing(listener: Listener, tmp_path: Path) -> None:
    listener.observation.close()
    listener.observation.close()
    before = threading.active_count()
    with pytest.raises(OSError, match="No such file") as caught:
        Observation(str(tmp_path / "nowhere"), listener.inbox, listener.clock)
    assert caught.value.errno == errno.ENOENT
    assert threading.active_count() == before


def test_the_inbox_holds_one_hint_a_path_and_rings_when_the_first_comes() -> None:
    rings: list[None] = []
    inbox = Inbox(lambda: rings.append(None))
    inbox.put("a", Hint.CREATED, 1)
    inbox.put("b", Hint.LOOK, 2)
    inbox.put("a", Hint.CLOSED, 3)
    inbox.put("a", Hint.LOOK, 4)
    inbox.put("a", Hint.MISSED, 5)
    inbox.put("b", Hint.MISSED, 6)
    assert len(rings) == 1
    assert inbox.take() == {"a": (Hint.CLOSED, 3), "b": (Hint.MISSED, 6)}
    assert inbox.take() == {}
    inbox.put("a", Hint.CLOSED, 7)
    assert len(rings) == 2


def test_a_file_made_anew_after_it_was_closed_is_open_again() -> None:
    inbox = Inbox(lambda: None)
    inbox.put("a", Hint.CLOSED, 1)
    inbox.put("a", Hint.CREATED, 2)
    assert inbox.take() == {"a": (Hint.CREATED, 2)}


def test_a_busy_directory_is_left_without_a_word(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    root.mkdir()
    left = threading.Event()

    def write() -> None:
        for number in itertools.cycle(range(50)):
            (root / f"seg{number}.ts").write_bytes(b"x")
            if left.is_set():
                return

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(60):
            rang = threading.Event()
            inbox = Inbox(rang.set)
            observation = Observation(str(root), inbox, HandClock())
            for _ in range(5):  # so that it is stopped in the middle of its work
                assert rang.wait(DEADLINE_S)
                rang.clear()
                inbox.take()
            observation.close()
    finally:
        left.set()
        for writer in writers:
            writer.join()
    assert caplog.messages == []
