"""The index: nothing that was added is ever not found, whoever adds and whenever it merges."""

import anyio
import pytest

from hlspub.errors import DataError, TargetError
from hlspub.ipld import block_index
from hlspub.ipld.block import BlockAt
from hlspub.ipld.cid import Cid, Codec
from hlspub.targets.s3 import keys
from hlspub.targets.s3.index_log import IndexLog
from hlspub.targets.s3.lookup import Lookup
from hlspub.targets.s3.memory import MemoryPages
from tests.targets.s3.makers import bucket
from tests.targets.s3.moody import Mood, Moody

pytestmark = [pytest.mark.anyio, pytest.mark.s3]


def entry(number: int) -> tuple[Cid, list[bytes]]:
    cid = Cid.of_data(Codec.RAW, b"%d" % number)
    car = Cid.of_data(Codec.CAR, b"%d" % number).digest
    return cid, list(block_index.entries_of(car, [BlockAt(cid, number, 1)]))


async def test_what_was_added_is_found_by_readers_old_and_new(endpoint: str) -> None:
    place = bucket(endpoint)
    log = IndexLog(place, "w1", merge_at=5)
    old = Lookup(place, MemoryPages())
    cids: list[Cid] = []
    for number in range(23):
        cid, entries = entry(number)
        await log.add(entries)
        cids.append(cid)
        if number % 7 == 0:
            spot = await old.find(cid)
            assert spot is not None
            assert spot.offset == number
    for reader in (old, Lookup(place, MemoryPages())):
        for number, cid in enumerate(cids):
            spot = await reader.find(cid)
            assert spot is not None
            assert spot.offset == number


async def test_adds_that_wait_share_one_object(bad: Moody) -> None:
    place = bucket(bad.endpoint)
    log = IndexLog(place, "w1")
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(log.add, entry(number)[1])
    written = [key for key in bad.objects if "/log/" in key]
    assert len(written) <= 3
    lookup = Lookup(place, MemoryPages())
    assert all([await lookup.find(entry(number)[0]) for number in range(20)])


async def test_a_restart_goes_on(endpoint: str) -> None:
    place = bucket(endpoint)
    for number in range(12):
        await IndexLog(place, "w1", merge_at=4).add(entry(number)[1])
    lookup = Lookup(place, MemoryPages())
    assert all([await lookup.find(entry(number)[0]) for number in range(12)])


async def test_a_failure_loses_nothing_of_the_others(bad: Moody) -> None:
    place = bucket(bad.endpoint, retries=0)
    log = IndexLog(place, "w1", merge_at=3)
    failed: set[int] = set()

    async def add(number: int) -> None:
        try:
            await log.add(entry(number)[1])
        except TargetError:
            failed.add(number)

    for start in range(0, 24, 4):
        bad.become(Mood.FAILS, 1)
        async with anyio.create_task_group() as tasks:
            for number in range(start, start + 4):
                tasks.start_soon(add, number)
    lookup = Lookup(place, MemoryPages())
    for number in range(24):
        assert number in failed or await lookup.find(entry(number)[0])
    bad.become(Mood.WELL)
    for number in failed:
        await log.add(entry(number)[1])
    assert all([await lookup.find(entry(number)[0]) for number in range(24)])


async def test_two_processes_with_one_index_lose_nothing(bad: Moody) -> None:
    place = bucket(bad.endpoint)
    logs = [IndexLog(place, "w1", merge_at=4) for _ in range(2)]

    async def add(log: IndexLog, numbers: range) -> None:
        for number in numbers:
            await log.add(entry(number)[1])

    async with anyio.create_task_group() as tasks:
        for turn, log in enumerate(logs):
            tasks.start_soon(add, log, range(turn, 40, 2))
    lookup = Lookup(place, MemoryPages())
    assert all([await lookup.find(entry(number)[0]) for number in range(40)])


async def test_what_a_merge_replaced_stays_until_the_next(bad: Moody) -> None:
    place = bucket(bad.endpoint)
    log = IndexLog(place, "w1", merge_at=4)
    for number in range(4):
        await log.add(entry(number)[1])
    assert await place.head(keys.log_entry("w1", 0)) is not None
    for number in range(4, 8):
        await log.add(entry(number)[1])
    assert await place.head(keys.log_entry("w1", 0)) is None


async def test_several_writers_are_read_together(endpoint: str) -> None:
    place = bucket(endpoint)
    for number in range(3):
        await IndexLog(place, f"w{number}").add(entry(number)[1])
    lookup = Lookup(place, MemoryPages())
    assert all([await lookup.find(entry(number)[0]) for number in range(3)])


async def test_asking_for_what_is_not_there_costs_the_bucket_little(bad: Moody) -> None:
    place = bucket(bad.endpoint)
    await IndexLog(place, "w1").add(entry(1)[1])
    lookup = Lookup(place, MemoryPages())
    await lookup.find(entry(1)[0])
    before = bad.asked.total()

    async def miss(number: int) -> None:
        assert await lookup.find(entry(number)[0]) is None

    async with anyio.create_task_group() as tasks:
        for number in range(100, 200):
            tasks.start_soon(miss, number)
    assert bad.asked.total() - before < 20


async def test_an_index_that_was_overwritten_is_told(bad: Moody) -> None:
    place = bucket(bad.endpoint)
    await place.put(keys.manifest("w1"), b"<html>")
    with pytest.raises(DataError, match="manifest"):
        await IndexLog(place, "w1").add(entry(1)[1])


async def test_a_bucket_that_is_away_is_one_error(bad: Moody) -> None:
    place = bucket(bad.endpoint, retries=0)
    await IndexLog(place, "w1").add(entry(1)[1])
    lookup = Lookup(place, MemoryPages())
    assert await lookup.find(entry(1)[0])
    bad.become(Mood.FAILS, only="GET")
    with pytest.raises(TargetError):
        await lookup.find(entry(2)[0])
