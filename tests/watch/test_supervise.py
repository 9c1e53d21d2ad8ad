import subprocess
import sys
import threading
from pathlib import Path

import pytest
from watchdog.events import FileClosedEvent

from hlspub.watch.ports import ObserverRestarted, RootAppeared, RootMissing, RootReplaced, WatchStarted
from hlspub.watch.supervise import Root, choose_mode, find_root
from tests.watch.bench import Bench

pytestmark = pytest.mark.anyio


async def test_a_missing_root_is_said_once_and_found_when_it_appears(bench: Bench) -> None:
    bench.root.rmdir()
    async with bench.watching() as watch:
        assert watch.alive()
        first_step = watch._supervisor._stepped_at
        await bench.until(lambda: watch._supervisor._stepped_at != first_step)
        bench.write("v0/seg0.ts")
        bench.write("v0/seg1.ts")
        bench.write("v0/index.m3u8")
        bench.stream.listed_paths |= {"v0/seg0.ts", "v0/seg1.ts"}
        await bench.until(lambda: {"v0/seg0.ts", "v0/seg1.ts", "v0/index.m3u8"} <= set(bench.sink.paths))
        bench.write("v0/seg2.ts")
        await bench.until(lambda: "v0/seg2.ts" in bench.sink.paths)
    assert [notice.reason for notice in bench.said(RootMissing)] == ["No such file or directory"]
    assert len(bench.said(RootAppeared)) == 1


async def test_what_vanishes_with_a_root_below_a_link_is_told(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    bench.root = tmp_path / "link" / "stream"
    bench.write("v0/seg0.ts")
    async with bench.watching():
        bench.root.rename(tmp_path / "moved away")
        await bench.until(lambda: bench.sink.gone == ["v0/seg0.ts"])


async def test_a_root_that_is_a_file_is_missing_and_says_why(bench: Bench) -> None:
    bench.root.rmdir()
    bench.root.write_bytes(b"")
    async with bench.watching():
        assert [notice.reason for notice in bench.said(RootMissing)] == ["Not a directory"]
        bench.root.unlink()
        await bench.until(lambda: len(bench.said(RootMissing)) == 2)
        bench.root.mkdir()
        await bench.until(lambda: bench.said(RootAppeared))


async def test_a_root_that_is_removed_vanishes_with_all_its_files(bench: Bench) -> None:
    bench.write("v0/seg0.ts")
    bench.write("seg0.ts")
    async with bench.watching() as watch:
        bench.root.rename(bench.root.with_name("moved away"))
        await bench.until(lambda: bench.said(RootMissing))
        await bench.until(lambda: set(bench.sink.gone) == {"v0/seg0.ts", "seg0.ts"})
        assert watch.alive()


async def test_a_root_that_is_removed_and_made_again_at_once_is_watched_again(bench: Bench) -> None:
    async with bench.watching(rescan_s=600):
        for trial in range(4):
            for file in bench.root.iterdir():
                file.unlink()
            bench.root.rmdir()
            bench.root.mkdir()  # often with the same inode number
            old = bench.write(f"old{trial}.ts")
            bench.stream.listed_paths.add(old.name)
            await bench.until(lambda name=old.name: name in bench.sink.paths)
            bench.write(f"new{trial}.ts")
            await bench.until(lambda name=f"new{trial}.ts": name in bench.sink.paths)
    assert len(bench.said(RootReplaced)) + len(bench.said(ObserverRestarted)) + len(bench.said(RootAppeared)) >= 4


async def test_a_root_that_is_a_link_is_resolved_and_followed_when_it_is_pointed_elsewhere(
    bench: Bench, tmp_path: Path
) -> None:
    bench.root.rmdir()
    for name in ("run1", "run2"):
        (tmp_path / name).mkdir()
    bench.root.symlink_to("run1")
    async with bench.watching(rescan_s=600):
        bench.write("seg0.ts")
        await bench.until(lambda: bench.sink.paths == ["seg0.ts"])
        (tmp_path / "next").symlink_to("run2")
        (tmp_path / "next").rename(bench.root)
        await bench.until(lambda: bench.said(RootReplaced))
        await bench.until(lambda: "seg0.ts" in bench.sink.gone)
        bench.write("seg1.ts")
        await bench.until(lambda: "seg1.ts" in bench.sink.paths)
        assert [notice.root for notice in bench.said(WatchStarted)] == [str(tmp_path / "run1"), str(tmp_path / "run2")]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_dispatch_thread_killed_by_an_exception_is_replaced_and_nothing_is_lost(bench: Bench) -> None:
    async with bench.watching(rescan_s=600) as watch:
        observer = bench.observation()._observer
        observer.event_queue.put((FileClosedEvent(None), bench.observation()._watch))  # type: ignore[arg-type]
        await bench.until(lambda: not observer.is_alive())
        assert not watch.alive()
        bench.write("seg0.ts")
        bench.stream.listed_paths.add("seg0.ts")
        await bench.until(lambda: "seg0.ts" in bench.sink.paths)
        await bench.until(watch.alive)
        bench.write("seg1.ts")
        await bench.until(lambda: "seg1.ts" in bench.sink.paths)
    assert [notice.reason for notice in bench.said(ObserverRestarted)] == ["the dispatch thread ended"]


async def test_a_dead_reader_is_replaced(bench: Bench) -> None:
    async with bench.watching(rescan_s=600) as watch:
        bench.observation()._reader.stop()
        await bench.until(lambda: not watch.alive())
        await bench.until(watch.alive)
        bench.write("seg1.ts")
        await bench.until(lambda: "seg1.ts" in bench.sink.paths)
    assert [notice.reason for notice in bench.said(ObserverRestarted)] == ["the inotify reader ended"]


async def test_the_dispatch_thread_is_asked_for_a_sign_of_life_all_the_time(bench: Bench) -> None:
    async with bench.watching():
        handler = bench.observation()._handler
        for _ in range(2):
            last = handler.proved_at
            await bench.until(lambda last=last: handler.proved_at > last)


async def test_nothing_is_left_when_the_watch_is_cancelled(bench: Bench) -> None:
    async with bench.watching():
        bench.write("seg0.ts")
        await bench.until(lambda: bench.sink.items)
        open_files = _open_files()
    left = [thread.name for thread in threading.enumerate() if "AnyIO" not in thread.name]
    assert left == ["MainThread"]
    assert _open_files() <= open_files - 3  # inotify and the reader's pipe


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


_IN_A_NAMESPACE_OF_ITS_OWN = """
import asyncio, pathlib, sys
pathlib.Path("/proc/sys/user/" + sys.argv[1]).write_text(sys.argv[2])
from tests.watch.bench import Bench
from hlspub.watch.ports import FellBackToPoll
root = pathlib.Path(sys.argv[3])
async def main():
    bench = Bench(root)
    async with bench.watching(poll_s=0.1) as watch:
        await bench.until(lambda: bench.said(FellBackToPoll))
        bench.stream.listed_paths.add("a/b/seg0.ts")
        bench.write("a/b/seg0.ts")
        await bench.until(lambda: bench.sink.paths == ["a/b/seg0.ts"])
        assert watch.alive()
        (notice,) = bench.said(FellBackToPoll)
        print(notice.reason, "|", notice.hint)
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("limit", "value", "says"),
    [
        (
            "max_inotify_instances",
            "0",
            "inotify instance limit reached | raise the sysctl fs.inotify.max_user_instances",
        ),
        ("max_inotify_watches", "2", "inotify watch limit reached | raise the sysctl fs.inotify.max_user_watches"),
    ],
)
def test_where_inotify_reaches_its_limit_the_directory_is_polled(
    bench: Bench, limit: str, value: str, says: str
) -> None:
    for name in "abcd":
        (bench.root / name).mkdir()
    namespace = ["unshare", "--user", "--map-root-user"]
    if subprocess.run([*namespace, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no user namespaces here, and the limits of everybody else are not to be touched")
    done = subprocess.run(
        [*namespace, sys.executable, "-W", "error", "-c", _IN_A_NAMESPACE_OF_ITS_OWN, limit, value, bench.root],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert says in " ".join(done.stdout.split()), done.stderr


def test_auto_polls_where_inotify_is_blind(tmp_path: Path) -> None:
    root = find_root(tmp_path)
    assert choose_mode("auto", root)[0] == "inotify"
    assert choose_mode("poll", root) == ("poll", "configured")
    assert choose_mode("auto", Root("/", 0xFFFFF, 2)) == ("inotify", "the file system kind is unknown")
