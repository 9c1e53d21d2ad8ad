from pathlib import Path

import pytest

from hlspub.spool.cache import DiskCache

pytestmark = pytest.mark.anyio


def made(folder: Path, room: int = 100) -> DiskCache:
    cache = DiskCache(folder / "cache", room)
    cache.open()
    return cache


async def test_what_was_kept_comes_back_in_a_later_life_too(tmp_path: Path) -> None:
    await made(tmp_path).put("a/b", b"x" * 40)
    cache = made(tmp_path)
    assert cache.used == 40
    assert await cache.get("a/b") == b"x" * 40
    assert await cache.get("c") is None


async def test_at_the_bound_what_was_used_longest_ago_goes(tmp_path: Path) -> None:
    cache = made(tmp_path)
    for name in "abc":
        await cache.put(name, b"x" * 40)
        await cache.get("a")
    assert [await cache.get(name) is not None for name in "abc"] == [True, False, True]
    assert cache.used == 80
    assert sum(path.stat().st_size for path in cache.root.glob("*/*")) == 80
    await cache.put("large", b"x" * 101)
    assert cache.used == 80


async def test_a_file_that_was_taken_away_is_not_there(tmp_path: Path) -> None:
    cache = made(tmp_path)
    await cache.put("a", b"x")
    for path in cache.root.glob("*/*"):
        path.unlink()
    assert await cache.get("a") is None
    assert cache.used == 0


async def test_a_smaller_bound_takes_away_at_the_start(tmp_path: Path) -> None:
    cache = made(tmp_path)
    await cache.put("a", b"x" * 50)
    await cache.put("b", b"x" * 50)
    assert made(tmp_path, 60).used == 50
