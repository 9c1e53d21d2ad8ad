"""Ranges through the whole gateway: any part of a file of many blocks equals the slice, and only its blocks are read."""

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateway.house import SMALL, House

pytestmark = pytest.mark.anyio
LONG = bytes(number * 7 % 251 for number in range(5555))  # 56 leaves of `SMALL`, the last one short


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([0, 1, 99, 100, 101, 300, 301, 1000, 5555]),
    st.integers(0, 6000),
    st.none() | st.integers(0, 6000),
    st.booleans(),
)
def test_a_part_is_the_slice(size: int, first: int, last: int | None, suffix: bool) -> None:
    data = LONG[:size]
    house = House()
    cid, _ = house.blocks.file(data, SMALL)
    field = f"bytes=-{first}" if suffix else f"bytes={first}-{'' if last is None else last}"
    answer = anyio.run(house.get, f"/ipfs/{cid}?filename=a.ts", {"Range": field})
    expected = (data[-first:] if first else b"") if suffix else data[first : None if last is None else last + 1]
    if answer.status_code == 206:
        assert answer.content == expected != b""
        start = (size - len(expected)) if suffix else first
        assert answer.headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/{size}"
        assert answer.headers["content-length"] == str(len(expected))
    elif answer.status_code == 416:
        assert expected == b""
        assert answer.headers["content-range"] == f"bytes */{size}"
    else:
        assert answer.status_code == 200
        assert answer.content == data
        assert (last is not None and last < first and not suffix) or size == 0


async def test_a_part_reads_only_its_blocks(house: House) -> None:
    cid, _ = house.blocks.file(LONG, SMALL)
    house.blocks.asked.clear()
    answer = await house.get(f"/ipfs/{cid}?filename=a.ts", {"Range": "bytes=2000-2010"})
    assert answer.content == LONG[2000:2011]
    assert len(house.blocks.asked) <= 5  # one leaf and the nodes above it


async def test_a_part_of_a_nameless_file_has_the_type_of_the_whole(house: House) -> None:
    cid, _ = house.blocks.file(b"#EXTM3U\n" + b"#" * 900, SMALL)
    answer = await house.get(f"/ipfs/{cid}", {"Range": "bytes=500-600"})
    assert answer.status_code == 206
    assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"


@pytest.mark.parametrize(
    ("if_range", "status"),
    [('"{cid}"', 206), ('W/"{cid}"', 200), ('"other"', 200), ("Wed, 21 Oct 2015 07:28:00 GMT", 200)],
)
async def test_if_range(house: House, if_range: str, status: int) -> None:
    cid, _ = house.blocks.file(LONG, SMALL)
    answer = await house.get(f"/ipfs/{cid}", {"Range": "bytes=0-9", "If-Range": if_range.format(cid=cid)})
    assert answer.status_code == status


async def test_of_several_ranges_the_first_that_can_be_had_is_sent(house: House) -> None:
    cid, _ = house.blocks.file(LONG, SMALL)
    answer = await house.get(f"/ipfs/{cid}", {"Range": "bytes=9000-, 20-29, 0-4"})
    assert (answer.status_code, answer.content) == (206, LONG[20:30])
    assert answer.headers["content-range"] == f"bytes 20-29/{len(LONG)}"
    assert (await house.get(f"/ipfs/{cid}", {"Range": "bytes=9000-, -0"})).status_code == 416


async def test_head_ignores_a_range(house: House) -> None:
    cid, _ = house.blocks.file(LONG, SMALL)
    answer = await house.get(f"/ipfs/{cid}", {"Range": "bytes=0-9"}, "HEAD")
    assert answer.status_code == 200
    assert answer.headers["content-length"] == str(len(LONG))
    assert answer.headers["accept-ranges"] == "bytes"
