"""What events miss, scans find: many files at once, in places that nobody watched yet."""

import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from blockbuster import blockbuster_ctx
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, WatchDescriptor

from hlspub.model import SettledBy
from hlspub.watch.ports import Overflowed, ScanFinished
from tests.watch.bench import Bench

pytestmark = pytest.mark.anyio

_WRITER = """
import os, sys
root, directories, files = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for directory in range(directories):
    os.makedirs(f"{root}/d{directory}", exist_ok=True)
    for number in range(files):
        with open(f"{root}/d{directory}/seg{number}.ts", "wb") as file:
            file.write(b"x")
"""


async def write_from_another_process(root: Path, *, directories: int, files: int) -> None:
    arguments = [sys.executable, "-c", _WRITER, str(root), str(directories), str(files)]
    await anyio.to_thread.run_sync(lambda: subprocess.run(arguments, check=True))


async def test_no_file_of_a_new_directory_is_missed(bench: Bench) -> None:
    trials, files = 20, 50
    expected = {f"t{trial}/d0/seg{number}.ts" for trial in range(trials) for number in range(files)}
    bench.stream.listed_paths |= expected
    async with bench.watching(rescan_s=600):  # no regular scan helps
        for trial in range(trials):
            await write_from_another_process(bench.root / f"t{trial}", directories=1, files=files)
        await bench.until(lambda: set(bench.sink.paths) >= expected)
    assert len(bench.sink.paths) == len(expected)  # and none twice


async def test_the_files_of_a_directory_moved_in_are_found(bench: Bench, tmp_path: Path) -> None:
    await write_from_another_process(tmp_path / "made elsewhere", directories=3, files=20)
    expected = {f"v0/d{directory}/seg{number}.ts" for directory in range(3) for number in range(20)}
    bench.stream.listed_paths |= expected
    async with bench.watching(rescan_s=600, settle_s=0.3):
        (tmp_path / "made elsewhere").rename(bench.root / "v0")
        await bench.until(lambda: set(bench.sink.paths) >= expected)
        bench.write("v0/d1/late.ts")
        await bench.until(lambda: bench.sink.of("v0/d1/late.ts"))
    assert bench.sink.of("v0/d1/late.ts")[0].by is SettledBy.CLOSED


async def test_what_an_overflow_swallowed_is_found_by_the_scan_that_follows(bench: Bench) -> None:
    bench.stream.listed_paths |= {f"d0/seg{number}.ts" for number in range(300)}
    async with bench.watching(rescan_s=600, settle_s=0.3) as watch:
        reader = bench.observation()._reader
        handle = reader.handle_event
        bench.deafen()
        await write_from_another_process(bench.root, directories=1, files=300)
        reader.handle_event = handle  # type: ignore[method-assign]
        reader.handle_event(InotifyEvent(WatchDescriptor(-1), InotifyConstants.IN_Q_OVERFLOW, 0, b""))
        await bench.until(lambda: len(set(bench.sink.paths)) == 300)
        assert watch.alive()
        bench.write("d0/late.ts")
        await bench.until(lambda: bench.sink.of("d0/late.ts"))
    assert len(bench.said(Overflowed)) == 1
    assert bench.sink.of("d0/late.ts")[0].by is SettledBy.CLOSED


@pytest.mark.slow
async def test_thirty_thousand_files_at_once_overflow_the_kernel_and_none_is_lost(bench: Bench) -> None:
    expected = {f"d{directory}/seg{number}.ts" for directory in range(30) for number in range(1000)}
    bench.stream.listed_paths |= expected
    for directory in range(30):
        (bench.root / f"d{directory}").mkdir()
    async with bench.watching():
        with bench.observation()._reader._lock:  # as if the reader's thread were not given the processor
            await write_from_another_process(bench.root, directories=30, files=1000)
        await bench.until(lambda: len(bench.sink.items) == len(expected), within_s=120)
    assert set(bench.sink.paths) == expected
    assert bench.said(Overflowed)


async def test_the_loop_is_never_blocked(bench: Bench) -> None:
    """Blockbuster raises when a call that may block is made on the loop."""
    with blockbuster_ctx("hlspub.watch"):
        async with bench.watching(rescan_s=0.1) as watch:
            await anyio.to_thread.run_sync(bench.write, "v0/seg0.ts")
            await anyio.to_thread.run_sync(bench.write, "v0/index.m3u8")
            await bench.until(lambda: "v0/index.m3u8" in bench.sink.paths)
            await bench.until(lambda: len(bench.said(ScanFinished)) > 3)
            await watch.rescan()
            await anyio.to_thread.run_sync(lambda: bench.root.rename(bench.root.with_name("elsewhere")))
            await bench.until(lambda: bench.sink.gone)
