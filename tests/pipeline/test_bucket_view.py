"""A bucket's streams as a gateway shows them: behind the index, kept when the bucket is away."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import pytest

from hlspub.errors import TargetError
from hlspub.ipld.cid import Cid, Codec
from hlspub.pipeline.bucket_view import KEPT, BucketView

pytestmark = pytest.mark.anyio
PATIENCE_S = 15.0


@dataclass(frozen=True)
class Shown:
    session: str
    seq: int
    final: bool = False
    entry: str = "a.m3u8"

    @property
    def root(self) -> Cid:
        return Cid.of_data(Codec.RAW, b"%d" % self.seq)

    @property
    def published_at(self) -> float:
        return float(self.seq)


class Bucket:
    """Publications by stream; `renewed` counts looks at the index."""

    def __init__(self) -> None:
        self.logs: dict[str, list[Shown]] = {}
        self.away = False
        self.renewed = 0
        self.view = BucketView("bucket", self, self.renew)

    async def renew(self) -> None:
        self.renewed += 1

    async def streams(self) -> Sequence[str]:
        if self.away:
            raise TargetError("bucket: no connection", retry_s=1.0)
        return list(self.logs)

    async def head(self, stream: str) -> Shown | None:
        if self.away:
            raise TargetError("bucket: no connection", retry_s=1.0)
        return self.logs[stream][-1] if self.logs[stream] else None

    async def publication(self, stream: str, seq: int) -> Shown | None:
        return next((one for one in self.logs[stream] if one.seq == seq), None)

    def seqs(self, stream: str = "main") -> list[int]:
        return [one.seq for one in self.view.roots(stream) or ()]


@asynccontextmanager
async def looked_at(bucket: Bucket) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bucket.view.run)
        yield
        tasks.cancel_scope.cancel()


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 -- nothing tells of an away bucket
            await anyio.sleep(0.02)


async def test_a_running_sessions_last_roots_are_shown_and_what_comes_is_added() -> None:
    bucket = Bucket()
    bucket.logs["main"] = [*(Shown("s1", seq) for seq in range(1, 4)), *(Shown("s2", seq) for seq in range(4, 50))]
    async with looked_at(bucket):
        await until(bucket.seqs)
        assert bucket.seqs() == list(range(49, 49 - KEPT, -1))
        version, renewed = bucket.view.version, bucket.renewed
        bucket.logs["main"].append(Shown("s2", 50))
        with anyio.fail_after(PATIENCE_S):
            assert await bucket.view.changed(version) == version + 1
        assert bucket.seqs()[:2] == [50, 49]
        assert bucket.renewed == renewed + 1, "the index was looked at before"
        bucket.logs["main"].append(Shown("s3", 51))
        await until(lambda: bucket.seqs() == [51])


async def test_an_ended_session_shows_its_end_alone() -> None:
    bucket = Bucket()
    bucket.logs = {"main": [Shown("s1", 1), Shown("s1", 2, final=True)], "empty": []}
    async with looked_at(bucket):
        await until(bucket.seqs)
        assert bucket.seqs() == [2]
        assert bucket.view.names() == ["empty", "main"]
        assert bucket.view.roots("empty") == []
        assert bucket.view.roots("unknown") is None
        status = await bucket.view.status()
        assert isinstance(status["streams"], list)
        assert [one["state"] for one in status["streams"]] == ["waiting", "ended"]


async def test_a_bucket_that_is_away_leaves_what_was_seen() -> None:
    bucket = Bucket()
    assert not bucket.view.ready()[0]
    bucket.logs["main"] = [Shown("s1", 1)]
    async with looked_at(bucket):
        await until(lambda: bucket.view.ready()[0] and bucket.seqs())
        bucket.away = True
        await until(lambda: not bucket.view.ready()[0])
        assert bucket.view.ready() == (False, ["bucket: no connection"])
        assert bucket.view.alive()[0]
        assert bucket.seqs() == [1]
        bucket.away = False
        await until(lambda: bucket.view.ready()[0])
