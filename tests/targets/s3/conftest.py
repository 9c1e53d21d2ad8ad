from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hlspub.spool.store import CarStore
from tests.targets.s3.moody import Moody, moody


@pytest.fixture
async def bad() -> AsyncIterator[Moody]:
    async with moody() as server:
        yield server


@pytest.fixture
def spool(tmp_path: Path) -> CarStore:
    store = CarStore(tmp_path / "spool")
    store.prepare()
    return store


@pytest.fixture(params=["seaweedfs", "rclone", "moody"])
async def endpoint(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Each of the three servers, well."""
    if request.param == "moody":
        async with moody() as server:
            yield server.endpoint
    else:
        yield request.getfixturevalue(request.param).endpoint
