"""What comes in another order than the transcoder wrote it: found by a scan, all at once."""

import os
import time
from pathlib import Path

import pytest

from hlspub.telemetry.clock import SystemClock
from tests.engine.stage import broken, media, multivariant
from tests.pipeline.house import site, until

pytestmark = pytest.mark.anyio
LONG_AGO_S = 60.0
MANY = 200


async def test_an_end_takes_what_only_a_playlist_vouches_for(tmp_path: Path) -> None:
    """The last segment of a rendition counts as finished once a playlist lists it, and that is taken in the last look."""
    names = [f"s{number}.ts" for number in range(MANY)]
    (late := tmp_path / "late").mkdir()
    async with site(tmp_path) as here:
        here.write("lo/s0.ts", b"0")
        await here.write_and_wait("lo/i.m3u8", media(0, ["s0.ts"]))
        await here.write_and_wait("master.m3u8", multivariant("lo/i.m3u8", "hi/i.m3u8"))
        for name in names:
            (late / name).write_bytes(name.encode())
        (late / "i.m3u8").write_bytes(media(0, names))
        late.rename(here.folder / "hi")
        tree = await here.end()
    assert broken(tree, "master.m3u8") == []
    assert {f"hi/{name}" for name in names} <= tree.keys()


async def test_a_new_runs_multivariant_playlist_does_not_join_the_old_session(tmp_path: Path) -> None:
    old, new = multivariant("lo/i.m3u8"), multivariant("lo/i.m3u8") + b"# another\n"
    (tmp_path / "hls" / "lo").mkdir(parents=True)  # watched before the first segment is closed
    async with site(tmp_path) as here:
        for number in range(3):
            await here.write_and_wait(f"lo/s{number}.ts", b"old %d" % number)
        await here.write_and_wait("lo/i.m3u8", media(0, ["s0.ts", "s1.ts", "s2.ts"]))
        await here.write_and_wait("master.m3u8", old)
        await here.root()
    (tmp_path / "hls" / "lo" / "s0.ts").write_bytes(b"new 0")
    (tmp_path / "hls" / "master.m3u8").write_bytes(new)
    then = time.time() - LONG_AGO_S
    for path in ("lo/s0.ts", "master.m3u8"):  # these are quiet at once, and the media playlist was written just now
        os.utime(tmp_path / "hls" / path, (then, then))
    (tmp_path / "hls" / "lo" / "i.m3u8").write_bytes(media(0, ["s0.ts"]))
    async with site(tmp_path) as here:
        await until(lambda: any(one.final for one in here.published), "the old session's final root")
        first = await here.tree(next(one for one in here.published if one.final).root)
        await until(lambda: here.taken("master.m3u8", new), "the new one")
        second = await here.end()
    assert first["master.m3u8"] == old
    assert first["lo/s0.ts"] == b"old 0"
    assert second["master.m3u8"] == new
    assert second["lo/s0.ts"] == b"new 0"


async def test_a_run_that_began_and_outgrew_the_old_one_while_nobody_looked(tmp_path: Path) -> None:
    """Of neither run a closing event was seen; only the bytes tell them apart."""
    (folder := tmp_path / "hls").mkdir()

    def write(run: bytes, count: int) -> dict[str, bytes]:
        files = {f"s{number}.ts": b"%b %d" % (run, number) for number in range(count)}
        files["i.m3u8"] = media(0, list(files))
        for name, data in files.items():
            (folder / name).write_bytes(data)
        return files

    old = write(b"old", 3)
    async with site(tmp_path, entry="i.m3u8") as here:
        assert await here.root() == old
    new = write(b"new", 5)
    async with site(tmp_path, entry="i.m3u8") as here:
        await until(lambda: any(one.final for one in here.published), "the old session's final root")
        final = await here.tree(next(one for one in here.published if one.final).root)
        await until(lambda: here.taken("i.m3u8", new["i.m3u8"]), "the new one")
        second = await here.end()
    assert {name: final[name] for name in final if name.endswith(".ts")} == {
        name: data for name, data in old.items() if name.endswith(".ts")
    }
    assert second["s0.ts"] == new["s0.ts"]
    assert second.keys() == new.keys()


class Stopped(SystemClock):
    """No pause ends by itself."""

    def monotonic(self) -> float:
        return 0.0


async def test_a_playlist_that_is_replaced_under_the_reader_is_read_again_at_once(tmp_path: Path) -> None:
    """However often its writer replaces it, and however slow this machine is: only what was read has to rest."""
    newest = media(0, ["s0.ts", "s1.ts"])
    async with site(tmp_path) as here:
        here.runner.intake.clock = Stopped()
        hashing = here.house.hashing
        for slot in range(int(hashing.total_tokens)):
            hashing.acquire_on_behalf_of_nowait(slot)
        here.write("lo/i.m3u8", media(0, ["s0.ts"]))
        await until(lambda: hashing.statistics().tasks_waiting, "it is about to be read")
        here.write("lo/i.m3u8", newest)
        for slot in range(int(hashing.total_tokens)):
            hashing.release_on_behalf_of(slot)
        await until(lambda: here.taken("lo/i.m3u8", newest), "the newer version is taken")
