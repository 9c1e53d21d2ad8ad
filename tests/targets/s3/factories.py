"""S3 targets for the shared suite: a store that keeps all rules, the same with few big objects, one that ignores conditions and
ranges, and one that is slow to begin with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hlspub.config.kinds import S3Target
from hlspub.targets.base import Target
from tests.support import buckets
from tests.targets.s3.moody import Mood, moody

if TYPE_CHECKING:
    from tests.targets.factories import Given


def table(endpoint: str, folder: Path, **given: object) -> S3Target:
    """A table of kind s3 for a server on the loopback, with a prefix of its own."""
    for name, secret in (("access", buckets.KEY), ("secret", buckets.SECRET)):
        (folder / name).write_text(secret)
        (folder / name).chmod(0o600)
    values = {
        "kind": "s3",
        "profile": "seaweedfs",
        "endpoint": endpoint,
        "bucket": buckets.BUCKET,
        "prefix": f"suite/{folder.name}",
        "access_key": {"file": folder / "access"},
        "secret_key": {"file": folder / "secret"},
    }
    return S3Target.model_validate({**values, **given})


@asynccontextmanager
async def seaweedfs(given: "Given") -> AsyncIterator[Target]:
    server: buckets.Server = given.request.getfixturevalue("seaweedfs")
    yield given.build(table(server.endpoint, given.folder))


@asynccontextmanager
async def seaweedfs_coalescing(given: "Given") -> AsyncIterator[Target]:
    server: buckets.Server = given.request.getfixturevalue("seaweedfs")
    yield given.build(table(server.endpoint, given.folder, shard_age="10s"))


@asynccontextmanager
async def rclone(given: "Given") -> AsyncIterator[Target]:
    server: buckets.Server = given.request.getfixturevalue("rclone")
    yield given.build(table(server.endpoint, given.folder))


@asynccontextmanager
async def moody_s3(given: "Given") -> AsyncIterator[Target]:
    async with moody() as server:
        server.become(Mood.SLOW_DOWN, 2)
        yield given.build(table(server.endpoint, given.folder))


FACTORIES = [
    pytest.param(seaweedfs, id="s3-seaweedfs", marks=pytest.mark.s3),
    pytest.param(seaweedfs_coalescing, id="s3-seaweedfs-coalescing", marks=pytest.mark.s3),
    pytest.param(rclone, id="s3-rclone", marks=pytest.mark.s3),
    pytest.param(moody_s3, id="s3-moody", marks=pytest.mark.s3),
]
