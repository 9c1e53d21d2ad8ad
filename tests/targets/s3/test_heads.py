"""Heads: one writer a stream."""

import json
from dataclasses import replace

import anyio
import pytest

from hlspub.errors import TargetError
from hlspub.ipld.cid import Cid, Codec
from hlspub.targets.s3 import keys
from hlspub.targets.s3.documents import Head
from hlspub.targets.s3.heads import Heads, HeadTaken
from hlspub.targets.s3.reader import BucketReader
from tests.support.buckets import Server
from tests.targets.s3.makers import bucket
from tests.targets.s3.moody import Mood, Moody

pytestmark = [pytest.mark.anyio, pytest.mark.s3]


def head(seq: int, root: bytes = b"root") -> Head:
    return Head("main", "s1", seq, Cid.of_data(Codec.RAW, root + b"%d" % seq), "a.m3u8", False, 1.5, "{}", "")  # noqa: FBT003 -- a value


async def test_a_head_moves_forward_and_every_publication_stays(endpoint: str) -> None:
    place = bucket(endpoint)
    heads = Heads(place, "w1")
    for seq in range(1, 4):
        await heads.move(head(seq))
    await heads.move(head(2))
    found = await place.get(keys.head("main"))
    assert found is not None
    assert Head.decode(found.data, "head") == head(3).by("w1")
    for seq in range(1, 4):
        logged = await place.get(keys.publication("main", seq))
        assert logged is not None
        assert json.loads(logged.data)["root"] == str(head(seq).root)


async def test_a_stream_of_a_table_is_found_by_its_whole_name(endpoint: str) -> None:
    place, heads = bucket(endpoint), []
    for name in ("shows/one", "shows/zwei Räume", "shows"):
        heads.append(replace(head(1), stream=name))
        await Heads(place, "w1").move(heads[-1])
    reader = BucketReader(place)
    assert sorted(await reader.streams()) == sorted(one.stream for one in heads)
    assert [await reader.head(one.stream) for one in heads] == [one.by("w1") for one in heads]


async def test_a_second_writer_is_refused_and_the_first_goes_on(endpoint: str) -> None:
    place = bucket(endpoint)
    first, second = Heads(place, "w1"), Heads(place, "w2")
    await first.move(head(1))
    with pytest.raises(HeadTaken) as caught:
        await second.move(head(2, b"other"))
    assert caught.value.retry_s is None
    assert "another daemon" in str(caught.value)
    await first.move(head(2))
    await Heads(place, "w1").move(head(3))  # after a restart


async def test_whoever_was_taken_over_is_refused(endpoint: str) -> None:
    place = bucket(endpoint)
    first, second = Heads(place, "w1"), Heads(place, "w2")
    await first.move(head(1))
    assert await second.take_over("main") == head(1).by("w1")
    await second.move(head(2))
    with pytest.raises(HeadTaken):
        await first.move(head(3))
    assert await second.take_over("other") is None


async def test_of_many_at_once_one_writer_moves_the_stream(seaweedfs: Server) -> None:
    place = bucket(seaweedfs.endpoint)
    moved: list[str] = []

    async def go(writer: str) -> None:
        try:
            await Heads(place, writer).move(head(1, writer.encode()))
            moved.append(writer)
        except HeadTaken:
            pass

    async with anyio.create_task_group() as tasks:
        for number in range(6):
            tasks.start_soon(go, f"w{number}")
    assert len(moved) == 1
    found = await place.get(keys.head("main"))
    assert found is not None
    assert Head.decode(found.data, "head").writer == moved[0]


async def test_a_lost_answer_does_not_lose_the_head(bad: Moody) -> None:
    heads = Heads(bucket(bad.endpoint, retries=3), "w1")
    for seq in range(1, 6):
        bad.become(Mood.LOSES_ANSWERS, 1 + seq % 2)
        await heads.move(head(seq))
    found = await heads.bucket.get(keys.head("main"))
    assert found is not None
    assert Head.decode(found.data, "head").seq == 5


async def test_a_head_that_is_none_is_told(bad: Moody) -> None:
    place = bucket(bad.endpoint)
    await place.put(keys.head("main"), b"{}")
    with pytest.raises(TargetError, match=r"head\.json") as caught:
        await Heads(place, "w1").move(replace(head(1), final=True))
    assert caught.value.retry_s is None
