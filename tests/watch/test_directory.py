import os
from pathlib import Path

import pytest

from hlspub.model import SettledBy
from hlspub.watch.ports import PathSkipped, ScanFinished, WatchStarted
from tests.watch.bench import Bench

pytestmark = pytest.mark.anyio


async def test_a_closed_file_is_settled_as_it_stands_at_once(bench: Bench) -> None:
    (bench.root / "v0").mkdir()
    async with bench.watching(settle_s=600):
        before = bench.clock.now()
        bench.write("v0/seg0.ts", b"abc")
        await bench.until(lambda: bench.sink.items)
    (item,) = bench.sink.items
    assert (item.path, item.identity, item.by) == ("v0/seg0.ts", bench.identity("v0/seg0.ts"), SettledBy.CLOSED)
    assert before <= item.noticed_at <= bench.clock.now()


async def test_a_temporary_name_is_never_settled_and_its_rename_is(bench: Bench) -> None:
    async with bench.watching(settle_s=0.1, rescan_s=0.2):
        bench.write("index.m3u8.tmp")
        bench.write("seg0.ts.tmp")
        bench.write(".goutputstream-AB12CD.ts")
        await bench.scans(3)
        (bench.root / "index.m3u8.tmp").rename(bench.root / "index.m3u8")
        (bench.root / "seg0.ts.tmp").rename(bench.root / "seg0.ts")
        await bench.until(lambda: len(bench.sink.items) == 2)
    assert [(item.path, item.by) for item in bench.sink.items] == [
        ("index.m3u8", SettledBy.MOVED),
        ("seg0.ts", SettledBy.MOVED),
    ]


async def test_a_rename_in_from_outside_is_a_rename_into_place(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside.ts"
    outside.write_bytes(b"x")
    async with bench.watching():
        outside.rename(bench.root / "seg0.ts")
        await bench.until(lambda: bench.sink.items)
    assert [(item.path, item.by) for item in bench.sink.items] == [("seg0.ts", SettledBy.MOVED)]


async def test_each_rewrite_in_place_is_settled_again(bench: Bench) -> None:
    async with bench.watching():
        for size in range(1, 6):
            bench.write("init.mp4", b"x" * size)
            await bench.until(lambda size=size: bench.sink.items and bench.sink.items[-1].identity.size == size)
    assert all(item.by is SettledBy.CLOSED for item in bench.sink.items)


async def test_a_rewrite_that_no_event_told_is_found_by_the_next_scan_while_the_file_is_young(bench: Bench) -> None:
    bench.stream.listed_paths.add("seg0.ts")
    async with bench.watching(settle_s=0.2, rescan_s=0.2):
        bench.write("seg0.ts", b"old")
        await bench.until(lambda: bench.sink.items)
        bench.deafen()
        bench.write("seg0.ts", b"other bytes")
        await bench.until(lambda: len(bench.sink.items) == 2)
    assert bench.sink.items[-1].identity == bench.identity("seg0.ts")


async def test_a_rewrite_of_an_old_file_that_no_event_told_is_found_by_the_next_whole_scan(bench: Bench) -> None:
    bench.write("seg0.ts", b"old")
    bench.stream.listed_paths.add("seg0.ts")
    bench.clock.ahead_s = 3600
    async with bench.watching(rescan_s=0.1) as watch:
        await watch.rescan()  # and with it every look that is still to come
        assert bench.sink.paths == ["seg0.ts"]
        bench.deafen()
        bench.write("seg0.ts", b"other bytes")
        await bench.scans(2)
        assert bench.sink.paths == ["seg0.ts"]  # a regular scan trusts what has been still for long
        await watch.rescan()
        assert bench.sink.items[-1].identity == bench.identity("seg0.ts")


async def test_old_files_are_settled_by_the_first_scan_without_a_wait(bench: Bench) -> None:
    for number in range(3):
        os.utime(bench.write(f"seg{number}.ts"), ns=(0, number * 10**9))
    bench.write("index.m3u8")
    bench.clock.ahead_s = 3600
    async with bench.watching(settle_s=600):
        assert sorted(bench.sink.paths) == ["index.m3u8", "seg0.ts", "seg1.ts"]
        assert {item.by for item in bench.sink.items} == {SettledBy.QUIET}


async def test_what_is_known_is_not_handed_over_again(bench: Bench) -> None:
    for number in range(3):
        bench.write(f"seg{number}.ts")
        bench.stream.taken[f"seg{number}.ts"] = bench.identity(f"seg{number}.ts")
    bench.clock.ahead_s = 3600
    async with bench.watching() as watch:
        await watch.rescan()
    assert bench.sink.items == []


async def test_a_file_found_without_an_event_waits_for_a_voucher(bench: Bench) -> None:
    bench.write("partial7.ts")
    bench.clock.ahead_s = 3600
    async with bench.watching(rescan_s=0.1) as watch:
        await bench.scans(3)
        assert bench.sink.items == []
        bench.stream.listed_paths.add("partial7.ts")
        watch.release(["partial7.ts"])
        await bench.until(lambda: bench.sink.paths == ["partial7.ts"])


async def test_a_later_file_of_the_rendition_vouches_at_once(bench: Bench) -> None:
    os.utime(bench.write("seg7.ts"), ns=(1, 1))
    bench.clock.ahead_s = 3600
    async with bench.watching(rescan_s=600):
        assert bench.sink.items == []
        bench.write("other/seg8.ts")
        bench.write("seg8.ts")
        await bench.until(lambda: "seg7.ts" in bench.sink.paths)


async def test_a_hard_link_is_found_though_it_is_never_closed(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "outside.ts").write_bytes(b"x")
    bench.stream.listed_paths.add("seg0.ts")
    async with bench.watching(settle_s=0.2, rescan_s=600):
        (bench.root / "seg0.ts").hardlink_to(tmp_path / "outside.ts")
        await bench.until(lambda: bench.sink.items)
    assert bench.sink.items[0].by is SettledBy.QUIET


async def test_a_file_that_keeps_growing_is_never_settled(bench: Bench) -> None:
    bench.stream.listed_paths.add("seg0.ts")
    async with bench.watching(rescan_s=0.05):
        with (bench.root / "seg0.ts").open("wb", buffering=0) as file:
            for _ in range(12):
                file.write(b"x" * 100)
                await bench.scans(3)
            assert bench.sink.items == []
        await bench.until(lambda: bench.sink.items)
    assert [(item.by, item.identity.size) for item in bench.sink.items] == [(SettledBy.CLOSED, 1200)]


async def test_a_playlist_that_stays_open_is_settled_whenever_it_rests(bench: Bench) -> None:
    async with bench.watching(rescan_s=600):
        with (bench.root / "index.m3u8").open("wb", buffering=0) as file:
            for round_ in range(1, 4):
                file.write(b"#EXTINF:1,\nseg.ts\n")
                size = 18 * round_
                await bench.until(lambda size=size: bench.sink.items and bench.sink.items[-1].identity.size == size)
        assert [item.by for item in bench.sink.items] == [SettledBy.QUIET] * 3


async def test_a_playlist_renamed_while_open_and_closed_afterwards_is_one_version(bench: Bench) -> None:
    async with bench.watching() as watch:
        with (bench.root / ".goutputstream-X").open("wb") as file:
            file.write(b"#EXTM3U\n")
            file.flush()
            (bench.root / ".goutputstream-X").rename(bench.root / "playlist.m3u8")
            await bench.until(lambda: bench.sink.items)
        await watch.rescan()
    assert [(item.path, item.by) for item in bench.sink.items] == [("playlist.m3u8", SettledBy.MOVED)]


async def test_a_file_that_vanishes_before_it_is_looked_at_is_reported(bench: Bench) -> None:
    async with bench.watching():
        bench.write("seg0.ts").unlink()
        await bench.until(lambda: bench.sink.gone)
    assert bench.sink.gone == ["seg0.ts"]
    assert bench.sink.items == []


async def test_a_settled_file_that_is_deleted_vanishes(bench: Bench) -> None:
    async with bench.watching(rescan_s=0.1):
        bench.write("seg0.ts")
        await bench.until(lambda: bench.sink.items)
        await bench.scans(2)
        (bench.root / "seg0.ts").unlink()
        await bench.until(lambda: bench.sink.gone)
    assert set(bench.sink.gone) == {"seg0.ts"}


async def test_a_file_that_is_gone_while_it_waits_for_the_sink_is_not_handed_over(bench: Bench) -> None:
    bench.sink.close_gate()
    async with bench.watching(rescan_s=0.1):
        bench.write("seg0.ts")
        bench.write("seg1.ts")
        await bench.scans(2)
        (bench.root / "seg1.ts").unlink()
        await bench.until(lambda: bench.sink.gone)
        bench.sink.gate.set()
        await bench.until(lambda: bench.sink.items)
        await bench.watch.rescan()
    assert bench.sink.paths == ["seg0.ts"]


async def test_a_sink_that_waits_does_not_keep_the_watch_from_looking(bench: Bench) -> None:
    bench.sink.close_gate()
    async with bench.watching(rescan_s=0.1) as watch:
        for version in range(1, 4):
            for number in range(50):
                bench.write(f"seg{number}.ts", b"x" * version)
            await bench.scans(1)
        assert watch.alive()
        bench.sink.gate.set()
        await bench.until(lambda: len({item.path for item in bench.sink.items if item.identity.size == 3}) == 50)
    assert len(bench.sink.items) <= 51  # the newest state of each, and the one that was being taken


async def test_what_intake_could_not_use_is_handed_over_again_when_released(bench: Bench) -> None:
    bench.sink.takes = False
    async with bench.watching(rescan_s=0.1) as watch:
        bench.write("seg0.ts")
        await bench.until(lambda: bench.sink.items)
        await bench.scans(3)
        assert len(bench.sink.items) == 1
        watch.release(["seg0.ts", "never-was.ts"])
        await bench.until(lambda: len(bench.sink.items) == 2)
    assert bench.sink.items[0] == bench.sink.items[1]
    assert bench.sink.gone == []


async def test_links_are_followed_only_to_regular_files_inside(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "secret.ts").write_bytes(b"x")
    os.utime(bench.write("real/seg0.ts"), ns=(1, 1))
    (bench.root / "inside.ts").symlink_to("real/seg0.ts")
    (bench.root / "outside.ts").symlink_to(tmp_path / "secret.ts")
    (bench.root / "loop.ts").symlink_to("loop.ts")
    (bench.root / "up").symlink_to("..")
    os.mkfifo(bench.root / "fifo.ts")
    bench.stream.listed_paths |= {
        "inside.ts",
        "outside.ts",
        "loop.ts",
        "fifo.ts",
        "up/secret.ts",
        "up/stream/inside.ts",
    }
    bench.stream.listed_paths.add("real/seg0.ts")
    bench.clock.ahead_s = 3600
    async with bench.watching() as watch:
        watch.release(bench.stream.listed_paths)
        await watch.rescan()
    assert sorted(bench.sink.paths) == ["inside.ts", "real/seg0.ts"]
    assert len({item.identity for item in bench.sink.items}) == 1


async def test_a_link_renamed_into_place_does_not_finish_the_file_it_leads_to(bench: Bench) -> None:
    bench.stream.listed_paths.add("now.ts")
    async with bench.watching(settle_s=600):
        with (bench.root / "real.ts").open("wb") as file:
            file.write(b"half")
            (bench.root / "next.tmp").symlink_to("real.ts")
            (bench.root / "next.tmp").rename(bench.root / "now.ts")
            await bench.until(lambda: "now.ts" in bench.watch._judge.tracked())
        await bench.until(lambda: bench.sink.items)
    assert bench.sink.paths == ["real.ts"]


async def test_a_name_that_is_not_utf8_is_named_once_and_skipped(bench: Bench) -> None:
    os.close(os.open(os.fsencode(bench.root) + b"/seg\xff.ts", os.O_CREAT | os.O_WRONLY))
    async with bench.watching(rescan_s=0.1):
        os.close(os.open(os.fsencode(bench.root) + b"/seg\xfe.ts", os.O_CREAT | os.O_WRONLY))
        await bench.scans(3)
    skipped = [notice.path for notice in bench.said(PathSkipped)]
    assert sorted(skipped) == ["seg\\udcfe.ts", "seg\\udcff.ts"]
    assert bench.sink.items == []


async def test_rescan_returns_when_what_changed_a_moment_ago_was_handed_over(bench: Bench) -> None:
    async with bench.watching(rescan_s=600, settle_s=0.3) as watch:
        bench.deafen()
        for number in range(20):
            bench.stream.listed_paths.add(f"seg{number}.ts")
            bench.write(f"seg{number}.ts")
        await watch.rescan()
        assert sorted(bench.sink.paths) == sorted(f"seg{number}.ts" for number in range(20))


async def test_the_watch_says_how_it_watches_and_what_it_scanned(bench: Bench) -> None:
    bench.write("a/seg0.ts")
    async with bench.watching():
        (started,) = bench.said(WatchStarted)
        assert started.mode == "inotify"
        assert started.reason.startswith("the file system is")
        scan = bench.said(ScanFinished)[0]
        assert (scan.path, scan.depth, scan.directories, scan.files, scan.reported) == ("", "whole", 2, 1, 1)
