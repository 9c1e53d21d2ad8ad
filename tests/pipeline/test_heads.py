"""Heads: shown when announced and bound, never back, and refused for good only when another daemon moves the stream."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from hlspub.errors import TargetError
from hlspub.ipld.cid import Cid, Codec
from hlspub.model import Publication
from hlspub.pipeline.heads import Heads

pytestmark = pytest.mark.anyio
PATIENCE_S = 10.0


def root(seq: int) -> Cid:
    return Cid.of_data(Codec.RAW, b"%d" % seq)


def told(seq: int, stream: str = "main") -> Publication:
    return Publication(stream, "s1", seq, root(seq), "a.m3u8", final=False, published_at=float(seq), latency_s=0.0)


class Place:
    """A target's heads; `failures` are raised first."""

    def __init__(self, *failures: TargetError) -> None:
        self.moved: list[tuple[str, int]] = []
        self.failures = list(failures)
        self.stopped: list[tuple[str, str, str]] = []
        self.heads = Heads({"bucket": self.move}, lambda *why: self.stopped.append(why))

    async def move(self, publication: Publication, settings: str) -> None:
        assert settings == "{}"
        if self.failures:
            raise self.failures.pop(0)
        self.moved.append((publication.stream, publication.seq))

    def publish(self, seq: int, stream: str = "main") -> None:
        self.heads.announced(told(seq, stream), "{}")
        self.heads.bound(stream, "bucket", root(seq))


@asynccontextmanager
async def running(heads: Heads) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(heads.run)
        yield
        await heads.settle(PATIENCE_S)
        tasks.cancel_scope.cancel()


async def test_a_head_waits_for_the_announcement_and_for_the_binding() -> None:
    place = Place()
    async with running(place.heads):
        place.heads.announced(told(1), "{}")
        await place.heads.settle(PATIENCE_S)
        assert place.moved == []
        place.heads.bound("main", "bucket", root(1))
        await place.heads.settle(PATIENCE_S)
        assert place.moved == [("main", 1)]
        place.heads.bound("main", "bucket", root(2))
        await place.heads.settle(PATIENCE_S)
        assert place.moved == [("main", 1)], "it is bound before it is announced"
        place.heads.announced(told(2), "{}")
    assert place.moved == [("main", 1), ("main", 2)]


async def test_only_the_newest_is_shown_and_never_an_older_one() -> None:
    place = Place()
    for seq in (1, 2, 3):
        place.publish(seq)
    async with running(place.heads):
        await place.heads.settle(PATIENCE_S)
        place.publish(2)
    assert place.moved == [("main", 3)]


async def test_what_passes_is_tried_again_and_said_once() -> None:
    place = Place(*(TargetError("bucket: away", retry_s=0.01) for _ in range(3)))
    place.publish(1)
    async with running(place.heads):
        pass
    assert place.moved == [("main", 1)]
    assert place.stopped == []


async def test_a_refusal_stops_that_stream_alone() -> None:
    place = Place(TargetError("bucket: another daemon", retry_s=None))
    place.publish(1)
    async with running(place.heads):
        await place.heads.settle(PATIENCE_S)
        place.publish(2)
        place.publish(1, "other")
    assert place.moved == [("other", 1)]
    assert place.stopped == [("main", "head at bucket", "bucket: another daemon")]


async def test_streams_that_do_not_go_there_have_no_head_there() -> None:
    place = Place()
    place.heads.announced(told(1), "{}", targets=["elsewhere"])
    place.heads.bound("main", "bucket", root(1))
    place.heads.bound("main", "elsewhere", root(1))
    async with running(place.heads):
        pass
    assert place.moved == []


async def test_an_end_does_not_wait_for_ever() -> None:
    place = Place(*(TargetError("bucket: away", retry_s=60.0) for _ in range(2)))
    place.publish(1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(place.heads.run)
        with anyio.fail_after(PATIENCE_S):
            await place.heads.settle(0.2)
        tasks.cancel_scope.cancel()
    assert place.moved == []
