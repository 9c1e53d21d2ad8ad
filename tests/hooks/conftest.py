import pytest

from hlspub.hooks.message import Message
from hlspub.ipld.cid import Cid, Codec
from hlspub.model import Publication


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def message() -> Message:
    root = Cid.of_data(Codec.DAG_PB, b"root")
    when = {"published_at": 1_764_000_000.25, "latency_s": 0.0123}
    return Message.of(Publication("main", "20261124T100000Z-1", 12, root, "index.m3u8", final=False, **when))
