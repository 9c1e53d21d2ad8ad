from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest

from tests.targets.scenes import Growing, spool_in
from tests.targets.w3up_service import Service, serving


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def w3up_service() -> Iterator[Service]:
    """The real service code, for all tests that need it."""
    with serving() as service:
        yield service


@pytest.fixture
def growing(tmp_path: Path, request: pytest.FixtureRequest) -> Growing:
    """Bytes of each test's own, for servers that tests share."""
    return Growing(spool_in(tmp_path), crc32(request.node.nodeid.encode()))
