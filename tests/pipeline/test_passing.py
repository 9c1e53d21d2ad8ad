"""A window that slides without an end: what it left behind is let go, in memory, in the journal and on disk."""

from pathlib import Path

import anyio
import pytest

from hlspub.config.model import Publish
from hlspub.journal.reader import JournalReader
from hlspub.model import FileIdentity
from hlspub.pipeline.passing import UNLISTED_S, Passing
from tests.engine.stage import broken
from tests.pipeline.house import Site, site, until
from tests.support.writer import Writer

pytestmark = pytest.mark.anyio
WINDOW, KEPT, STEPS = 3, 2, 12


def writer(here: Site, seed: str = "one") -> Writer:
    return Writer(here.folder, ("a", "b"), seed, 500, WINDOW, KEPT)


async def run(here: Site, writing: Writer, steps: int) -> None:
    """Each version of each playlist is taken before the next is written."""
    for _ in range(steps):
        await anyio.to_thread.run_sync(writing.step)
        for rendition in writing.renditions:
            text = (here.folder / rendition / "index.m3u8").read_bytes()
            path = f"{rendition}/index.m3u8"
            await until(lambda path=path, text=text: here.taken(path, text), f"{path} is taken")


def media(here: Site) -> set[str]:
    course = here.runner.stream.course
    assert course is not None
    return {path for path in course.session.files if path.endswith(".ts")}


def on_disk(here: Site) -> set[str]:
    return {path.relative_to(here.folder).as_posix() for path in here.folder.rglob("*.ts")}


async def reclaim(here: Site) -> None:
    here.house.config = here.house.config.model_copy(update={"publish": Publish(keep_roots="0s")})  # type: ignore[arg-type]
    await here.house.reclaimer().reclaim()


async def test_a_window_without_an_end_stays_small(tmp_path: Path) -> None:
    async with site(tmp_path, retention="window") as here:
        writing = writer(here)
        await run(here, writing, STEPS)
        await until(lambda: media(here) == on_disk(here), "what was deleted and is listed no more is forgotten")
        await reclaim(here)
        with JournalReader(tmp_path / "data" / "journal.sqlite") as reader:
            kept = {file.path for file in reader.files(1)}
            passed = {path for path, _ in reader.passed(1)}
            assert {path for path in kept if path.endswith(".ts")} == on_disk(here)
            assert passed < {f"{r}/{writing.segment_name(n)}" for r in "ab" for n in range(STEPS - WINDOW - KEPT)}
            assert len(passed) <= 2 * WINDOW  # what the newest root's picture needs
            assert {i.path for i in reader.intervals(1) if i.path.endswith(".ts")} <= kept
        cars = [path for path in (tmp_path / "data" / "local").rglob("*.car") if path.is_file()]
        assert len(cars) < 2 * (WINDOW + KEPT) + 2 * WINDOW + 10
    async with site(tmp_path, retention="window") as here:
        writing.number += 1  # one that nobody wrote: the session goes on all the same
        await run(here, writing, WINDOW + 1)
        await until(lambda: media(here) == on_disk(here), "what was deleted meanwhile is forgotten too")
        tree = await here.end()
    assert broken(tree, "master.m3u8") == []
    assert len([path for path in tree if path.endswith(".ts")]) == 2 * WINDOW


@pytest.mark.parametrize(("age_s", "passes"), [(1, True), (UNLISTED_S + 1, False)])
async def test_what_no_playlist_listed_is_passed_unless_old_work_is_left(
    tmp_path: Path, age_s: float, passes: bool
) -> None:
    async with site(tmp_path, retention="window") as here:
        await run(here, writer(here), 2)
        await here.write_and_wait("a/unlisted.ts", b"x" * 1880)
        (here.folder / "a" / "unlisted.ts").unlink()
        stream, clock = here.runner.stream, here.house.clock
        await until(lambda: "a/unlisted.ts" in stream.gone, "it is seen to be gone")
        await until(lambda: not stream.under_way, "all is read")
        course = stream.course
        assert course is not None
        passing = Passing(stream, here.house.journal, clock)
        await passing.step(course)
        assert "a/unlisted.ts" in media(here)  # a playlist that lists it may be late
        stream.gone["a/unlisted.ts"] -= UNLISTED_S
        stream.under_way["a/next.ts"] = FileIdentity(1, 1, 1880, 0, round((clock.now() - age_s) * 1e9))
        await passing.step(course)
        assert ("a/unlisted.ts" not in media(here)) is passes
        del stream.under_way["a/next.ts"]
        await passing.step(course)
        assert "a/unlisted.ts" not in media(here)


async def test_names_that_are_used_again_after_they_were_passed(tmp_path: Path) -> None:
    async with site(tmp_path, retention="window", entry="i.m3u8") as here:
        for lap in range(3):
            for number in range(4):
                serial = 4 * lap + number
                name = f"wrapped_{number}.ts"
                await here.write_and_wait(name, b"lap %d" % serial)
                listed = [f"wrapped_{n % 4}.ts" for n in range(max(0, serial - 1), serial + 1)]
                first = max(0, serial - 1)
                text = "\n".join(
                    ["#EXTM3U", "#EXT-X-TARGETDURATION:2", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
                    + [line for one in listed for line in ("#EXTINF:2,", one)]
                )
                await here.write_and_wait("i.m3u8", text.encode() + b"\n")
                await here.root(lambda tree, name=name, serial=serial: tree.get(name) == b"lap %d" % serial)
                if serial >= 2:
                    (here.folder / f"wrapped_{(serial - 2) % 4}.ts").unlink()
                    await until(lambda: len(media(here)) <= 3, "the one that was deleted is forgotten")
        with JournalReader(tmp_path / "data" / "journal.sqlite") as reader:
            assert len(reader.sessions("main")) == 1
            assert reader.integrity() == []
        tree = await here.end()
    assert tree["wrapped_3.ts"] == b"lap 11"
    assert broken(tree, "i.m3u8") == []
