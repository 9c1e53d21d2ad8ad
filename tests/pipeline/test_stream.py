"""One stream through the real pipeline: journal, stores, watcher and loop; only time is short."""

from pathlib import Path

import anyio
import pytest

from hlspub.errors import TargetError
from tests.engine.stage import broken, media, multivariant
from tests.pipeline.house import site, until
from tests.targets.memory import MemoryTarget

pytestmark = pytest.mark.anyio
DOWN = TargetError("memory: connection refused", retry_s=0.05)


async def test_a_stream_ends_with_its_endlist_and_its_final_root_is_the_directory(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        here.write("lo/s0.ts", b"0")
        here.write("lo/i.m3u8", media(0, ["s0.ts"]))
        here.write("master.m3u8", multivariant("lo/i.m3u8"))
        await here.root()
        here.write("lo/s1.ts", b"1")
        here.write("lo/i.m3u8", media(0, ["s0.ts", "s1.ts"], end=True))
        await until(lambda: here.published and here.published[0].final, "the final root")
        tree = await here.tree(here.published[0].root)
    assert tree == {
        p.relative_to(here.folder).as_posix(): p.read_bytes() for p in here.folder.rglob("*") if p.is_file()
    }


async def test_roots_wait_for_a_required_target_that_is_away_and_nothing_is_lost(tmp_path: Path) -> None:
    memory = MemoryTarget(failure=DOWN)
    async with site(tmp_path, memory=memory) as here:
        for number in range(4):
            await here.write_and_wait(f"s{number}.ts", b"%d" % number)
            first = max(0, number - 1)
            await here.write_and_wait("i.m3u8", media(first, [f"s{n}.ts" for n in range(first, number + 1)]))
        for path in here.folder.glob("*.ts"):
            path.unlink()  # the window slid on; what was taken is ours
        assert here.published == []
        status = await here.house.view.status()
        (shown,) = (target for target in status["targets"] if target["name"] == "memory")
        assert shown["state"] == "degraded"
        assert "connection refused" in shown["error"]
        memory.failure = None
        tree = await here.end()
    assert broken(tree, "i.m3u8") == []
    assert tree.keys() == {"i.m3u8", "s0.ts", "s1.ts", "s2.ts", "s3.ts"}


async def test_a_target_that_is_not_required_holds_nobody_back_and_catches_up(tmp_path: Path) -> None:
    memory = MemoryTarget(hangs=True)
    async with site(tmp_path, required=False, memory=memory) as here:
        await here.write_and_wait("s0.ts", b"0")
        here.write("i.m3u8", media(0, ["s0.ts"], end=True))
        tree = await here.root()
        assert broken(tree, "i.m3u8") == []
        assert memory.cars == {}


def impatient(text: bytes) -> bytes:
    """The playlist with a target duration of zero, so that what is absent is soon lost."""
    return text.replace(b"TARGETDURATION:2", b"TARGETDURATION:0")


async def test_a_listed_file_that_never_comes_becomes_a_gap(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        here.write("master.m3u8", multivariant("i.m3u8"))
        await here.write_and_wait("s0.ts", b"0")
        await here.write_and_wait("s2.ts", b"2")
        here.write("i.m3u8", impatient(media(0, ["s0.ts", "s1.ts", "s2.ts"])))
        tree = await here.root(lambda tree: b"GAP" in tree["i.m3u8"])
        assert tree["i.m3u8"].replace(b"#EXT-X-GAP\n", b"") == impatient(media(0, ["s0.ts", "s1.ts", "s2.ts"]))
        assert tree.keys() == {"master.m3u8", "i.m3u8", "s0.ts", "s2.ts"}
        await here.write_and_wait("s3.ts", b"3")
        here.write("i.m3u8", impatient(media(0, ["s0.ts", "s1.ts", "s2.ts", "s3.ts"])))
        tree = await here.root(lambda tree: "s3.ts" in tree)
        assert tree["i.m3u8"].count(b"#EXT-X-GAP") == 1
        await here.write_and_wait("s1.ts", b"late")
        tree = await here.end()
    assert tree["i.m3u8"] == impatient(media(0, ["s0.ts", "s1.ts", "s2.ts", "s3.ts"], end=True))
    assert tree["s1.ts"] == b"late"


async def test_a_listed_file_that_is_absent_at_the_end_is_a_gap_in_the_final_root(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.write_and_wait("s0.ts", b"0")
        here.write("i.m3u8", media(0, ["s0.ts", "s1.ts"], end=True))
        tree = await here.root()
    assert tree["i.m3u8"].replace(b"#EXT-X-GAP\n", b"") == media(0, ["s0.ts", "s1.ts"], end=True)
    assert tree.keys() == {"i.m3u8", "s0.ts"}


async def test_a_file_that_is_still_open_is_late_and_not_lost(tmp_path: Path) -> None:
    text = impatient(media(0, ["s0.ts", "s1.ts"]))
    async with site(tmp_path, end_on=()) as here:
        here.write("master.m3u8", multivariant("i.m3u8"))
        await here.write_and_wait("s0.ts", b"0")
        with (here.folder / "s1.ts").open("wb") as writer:
            here.write("i.m3u8", impatient(media(0, ["s0.ts"])))
            await here.root()
            here.write("i.m3u8", text)
            for part in range(35):
                writer.write(b"%d" % part)
                writer.flush()
                await anyio.sleep(0.1)  # the writer's own pace
            assert [p for p in here.published if b"GAP" in (await here.tree(p.root))["i.m3u8"]] == []
        tree = await here.root(lambda tree: "s1.ts" in tree)
        assert tree["i.m3u8"] == text


async def test_a_transcoder_that_starts_over_in_place_gets_a_session_of_its_own(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        for number in range(3):
            await here.write_and_wait(f"s{number}.ts", b"first %d" % number)
            here.write("i.m3u8", media(0, [f"s{n}.ts" for n in range(number + 1)]))
        await here.root(lambda tree: "s2.ts" in tree)
        first = here.runner.stream.course
        await here.write_and_wait("s0.ts", b"second 0")
        here.write("i.m3u8", media(0, ["s0.ts"]))
        await until(
            lambda: here.runner.stream.course is not first and not here.runner.stream.ending, "the next session"
        )
        final = next(p for p in here.published if p.final)
        old = await here.tree(final.root)
        await here.write_and_wait("s1.ts", b"second 1")
        here.write("i.m3u8", media(0, ["s0.ts", "s1.ts"]))
        new = await here.root(lambda tree: tree.get("s1.ts") == b"second 1")
    assert [old[f"s{n}.ts"] for n in range(3)] == [b"first 0", b"first 1", b"first 2"]
    assert old["i.m3u8"] == media(0, ["s0.ts", "s1.ts", "s2.ts"], end=True)
    assert new == {"s0.ts": b"second 0", "s1.ts": b"second 1", "i.m3u8": media(0, ["s0.ts", "s1.ts"])}


async def test_a_playlist_that_is_none_is_refused_aloud_and_taken_when_it_is_one(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.write_and_wait("s0.ts", b"0")
        here.write("i.m3u8", b"<!DOCTYPE html><title>502</title>")
        await until(lambda: "i.m3u8" in here.runner.stream.refused, "the refusal")
        here.write("i.m3u8", media(0, ["s0.ts"], end=True))
        tree = await here.root()
        assert tree["i.m3u8"] == media(0, ["s0.ts"], end=True)
        assert here.runner.stream.refused == {}


async def test_the_end_without_endlist_adds_one_and_nothing_else(tmp_path: Path) -> None:
    text = media(0, ["s0.ts", "s1.ts"])
    async with site(tmp_path, publish_interval=None) as here:
        for number in range(2):
            await here.write_and_wait(f"s{number}.ts", b"%d" % number)
            await here.write_and_wait("i.m3u8", media(0, [f"s{n}.ts" for n in range(number + 1)]))
        assert here.published == []
        tree = await here.end()
    assert tree == {"s0.ts": b"0", "s1.ts": b"1", "i.m3u8": text + b"#EXT-X-ENDLIST\n"}


async def test_a_session_ends_though_its_playlists_never_rest(tmp_path: Path) -> None:
    names = [f"{name}/i.m3u8" for name in "abcdef"]  # some version of one of them waits at every moment
    async with site(tmp_path) as here, anyio.create_task_group() as tasks:
        here.write("master.m3u8", multivariant(*names))
        for name in names:
            here.write(name.replace("i.m3u8", "s0.ts"), name.encode())

        async def write_on(name: str) -> None:
            number = 0
            while True:
                number += 1
                here.write(name, media(0, ["s0.ts"]) + b"# version %d\n" % number)
                await anyio.sleep(0.02)  # the writer's own pace: as with partial segments, but faster

        for name in names:
            tasks.start_soon(write_on, name)
            await anyio.sleep(0.15)  # not all in step
        await here.root()
        tree = await here.end()
        assert broken(tree, "master.m3u8") == []
        assert all(tree[name].endswith(b"#EXT-X-ENDLIST\n") for name in names)
        tasks.cancel_scope.cancel()
