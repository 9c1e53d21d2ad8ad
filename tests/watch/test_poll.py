"""A directory without inotify: the same promises, by looking twice."""

import os

import pytest

from hlspub.model import SettledBy
from hlspub.watch.ports import ScanFinished, WatchStarted
from tests.watch.bench import Bench

pytestmark = pytest.mark.anyio
POLL = {"mode": "poll", "poll_s": 0.1}


async def test_files_and_playlists_are_settled_when_two_looks_agree(bench: Bench) -> None:
    async with bench.watching(**POLL) as watch:
        bench.stream.listed_paths.add("v0/seg0.ts")
        bench.write("v0/seg0.ts", b"abc")
        bench.write("v0/index.m3u8.tmp").rename(bench.root / "v0/index.m3u8")
        await bench.until(lambda: len(bench.sink.items) == 2)
        assert watch.alive()
    assert {item.by for item in bench.sink.items} == {SettledBy.QUIET}
    assert [notice.mode for notice in bench.said(WatchStarted)] == ["poll"]


async def test_rewrites_in_place_are_found_however_old_the_file(bench: Bench) -> None:
    bench.stream.listed_paths.add("seg0.ts")
    bench.clock.ahead_s = 3600
    async with bench.watching(**POLL):
        for size in range(1, 4):
            os.utime(bench.write("seg0.ts", b"x" * size), ns=(1, 1))
            await bench.until(lambda size=size: bench.sink.items and bench.sink.items[-1].identity.size == size)
    assert len(bench.sink.items) == 3


async def test_a_file_that_grows_between_the_looks_is_not_settled(bench: Bench) -> None:
    bench.stream.listed_paths.add("seg0.ts")
    bench.clock.ahead_s = 3600  # its age says nothing here
    async with bench.watching(mode="poll", poll_s=1.0) as watch:
        with (bench.root / "seg0.ts").open("wb", buffering=0) as file:
            for _ in range(20):
                file.write(b"x")
                watch.release(["seg0.ts"])
                await bench.until(lambda: watch._judge.tracked() == ["seg0.ts"])
            assert bench.sink.items == []
        await bench.until(lambda: bench.sink.items)
    assert [item.identity.size for item in bench.sink.items] == [20]


async def test_what_is_deleted_vanishes_and_the_last_partial_file_is_not_settled(bench: Bench) -> None:
    async with bench.watching(**POLL):
        for number in range(3):
            os.utime(bench.write(f"seg{number}.ts"), ns=(1, 1 + number))
        await bench.until(lambda: set(bench.sink.paths) == {"seg0.ts", "seg1.ts"})
        (bench.root / "seg0.ts").unlink()
        (bench.root / "seg2.ts").unlink()
        await bench.until(lambda: {"seg0.ts", "seg2.ts"} <= set(bench.sink.gone))
    assert set(bench.sink.paths) == {"seg0.ts", "seg1.ts"}


async def test_every_poll_looks_at_every_file_and_every_minute_at_all_anew(bench: Bench) -> None:
    bench.write("seg0.ts")
    async with bench.watching(**POLL):
        await bench.scans(3)
    assert [notice.depth for notice in bench.said(ScanFinished)][:3] == ["whole", "stats", "stats"]
