"""Live addresses, as DESIGN states them."""

import pytest

from hlspub.ipld.cid import Cid
from tests.gateway.house import SMALL, House

pytestmark = pytest.mark.anyio

MASTER = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv0.m3u8\n"


def window(first: int, count: int = 3, head: bytes = b"") -> bytes:
    """A media playlist as a live encoder writes it."""
    lines = b"".join(b"#EXTINF:2,\nseg%d.ts\n" % number for number in range(first, first + count))
    return b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n" + head + b"#EXT-X-MEDIA-SEQUENCE:%d\n" % first + lines


def files(first: int, count: int = 3, head: bytes = b"") -> dict[str, bytes]:
    segments = {f"seg{number}.ts": b"segment %d" % number * 40 for number in range(first, first + count)}
    return {"master.m3u8": MASTER, "v0.m3u8": window(first, count, head), **segments}


def put(house: House, content: dict[str, bytes], stream: str = "main") -> Cid:
    root = house.blocks.tree(content, SMALL)
    house.streams.publish(stream, root)
    return root


async def test_a_playlist_is_that_of_the_newest_root_and_kept_for_a_second(house: House) -> None:
    put(house, files(0))
    newest = put(house, files(1))
    answer = await house.get("/live/main/v0.m3u8")
    assert answer.content == window(1)
    assert answer.headers["cache-control"] == "public, max-age=1"
    assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
    assert answer.headers["x-ipfs-path"] == f"/ipfs/{newest}/v0.m3u8"
    assert answer.headers["etag"] == f'"{answer.headers["x-ipfs-roots"].split(",")[-1]}"'
    assert (await house.get("/live/main/v0.m3u8", {"If-None-Match": answer.headers["etag"]})).status_code == 304


async def test_a_segment_is_asked_for_again_by_its_cid(house: House) -> None:
    root = put(house, files(0))
    answer = await house.get("/live/main/seg1.ts")
    assert answer.content == files(0)["seg1.ts"]
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-ipfs-path"] == f"/ipfs/{root}/seg1.ts"
    again = await house.get("/live/main/seg1.ts", {"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    part = await house.get("/live/main/seg1.ts", {"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, files(0)["seg1.ts"][5:10])


async def test_a_segment_that_left_the_window_comes_from_a_kept_root(house: House) -> None:
    old = put(house, files(0))
    put(house, files(2))
    put(house, files(4))
    answer = await house.get("/live/main/seg1.ts")
    assert answer.status_code == 200
    assert answer.headers["x-ipfs-path"] == f"/ipfs/{old}/seg1.ts"


async def test_a_name_used_again_comes_from_the_newest_root_that_has_it(house: House) -> None:
    put(house, {"seg0.ts": b"old", "master.m3u8": MASTER})
    put(house, {"seg0.ts": b"new", "master.m3u8": MASTER})
    assert (await house.get("/live/main/seg0.ts")).content == b"new"


async def test_a_playlist_that_left_is_gone(house: House) -> None:
    put(house, files(0) | {"old.m3u8": window(0)})
    put(house, files(1))
    answer = await house.get("/live/main/old.m3u8")
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-store"


async def test_before_the_first_root_a_player_is_told_to_come_back(house: House) -> None:
    house.streams.add("main")
    for path in ("/live/main", "/live/main/", "/live/main/master.m3u8"):
        answer = await house.get(path)
        assert answer.status_code == 404
        assert answer.headers["retry-after"] == "1"
        assert answer.text == 'Nothing of "main" is published yet.\n'
        assert answer.headers["cache-control"] == "no-store"


async def test_a_stream_that_is_not_there(house: House) -> None:
    answer = await house.get("/live/nobody/master.m3u8")
    assert answer.status_code == 404
    assert "retry-after" not in answer.headers
    assert 'no stream "nobody"' in answer.text
    assert (await house.get("/live/")).status_code == 404


async def test_the_streams_address_leads_to_its_entry(house: House) -> None:
    put(house, {"a b/main.m3u8": window(0)}, stream="cam north")
    house.streams.publish("cam north", house.blocks.tree({"a b/main.m3u8": window(1)}), entry="a b/main.m3u8")
    for path in ("/live/cam%20north", "/live/cam%20north/"):
        answer = await house.get(path)
        assert answer.status_code == 302
        assert answer.headers["location"] == "/live/cam%20north/a%20b/main.m3u8"
        assert answer.headers["cache-control"] == "no-cache"
    assert (await house.get(answer.headers["location"])).content == window(1)


async def test_the_longest_stream_name_wins(house: House) -> None:
    put(house, {"master.m3u8": b"#EXTM3U\n#cam", "north/master.m3u8": b"#EXTM3U\n#inside cam"}, stream="cam")
    assert (await house.get("/live/cam/north/master.m3u8")).content == b"#EXTM3U\n#inside cam"
    put(house, {"master.m3u8": b"#EXTM3U\n#north"}, stream="cam/north")
    assert (await house.get("/live/cam/north/master.m3u8")).content == b"#EXTM3U\n#north"
    assert (await house.get("/live/cam/master.m3u8")).content == b"#EXTM3U\n#cam"
    assert (await house.get("/live/cam/north")).headers["location"] == "/live/cam/north/master.m3u8"
    assert (await house.get("/live/cam%2Fnorth/master.m3u8")).content == b"#EXTM3U\n#north"


async def test_a_directory_is_no_live_address(house: House) -> None:
    put(house, {"v0/a.ts": b"x", "master.m3u8": MASTER})
    assert (await house.get("/live/main/v0/")).status_code == 404
    assert (await house.get("/live/main/v0")).status_code == 404


@pytest.mark.parametrize("padding", [0, 45, 50, 60, 65, 66, 4000])
async def test_low_latency_attributes_that_need_a_dynamic_origin_are_left_out(house: House, padding: int) -> None:
    """Wherever the tag stands in the blocks of 100 bytes."""
    head = b"#" * padding + b"\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.0,CAN-SKIP-UNTIL=12\n"
    root = put(house, files(0, head=head))
    answer = await house.get("/live/main/v0.m3u8")
    expected = window(0, head=b"#" * padding + b"\n#EXT-X-SERVER-CONTROL:PART-HOLD-BACK=1.0\n")
    assert answer.content == expected
    assert answer.headers["cache-control"] == "public, max-age=1"
    assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
    published = await house.get(f"/ipfs/{root}/v0.m3u8")
    assert published.content == window(0, head=head)
    assert published.headers["etag"] != answer.headers["etag"]
    assert (await house.get("/live/main/v0.m3u8", {"If-None-Match": answer.headers["etag"]})).status_code == 304
    head_answer = await house.get("/live/main/v0.m3u8", method="HEAD")
    assert head_answer.headers["content-length"] == str(len(expected))
    assert head_answer.content == b""


async def test_a_server_control_that_promises_nothing_dynamic_stays(house: House) -> None:
    put(house, files(0, head=b"#EXT-X-SERVER-CONTROL:HOLD-BACK=6\n"))
    answer = await house.get("/live/main/v0.m3u8")
    assert answer.content == window(0, head=b"#EXT-X-SERVER-CONTROL:HOLD-BACK=6\n")
    assert ".static" not in answer.headers["etag"]


async def test_a_plain_playlist_is_searched_once(house: House) -> None:
    put(house, files(0, count=200))
    async with house.client() as client:
        await client.get("/live/main/v0.m3u8", headers={"If-None-Match": "*"})
        first = len(house.blocks.asked)
        await client.get("/live/main/v0.m3u8", headers={"If-None-Match": "*"})
    assert len(house.blocks.asked) - first < first / 3


async def test_a_block_that_is_gone_is_not_found(house: House) -> None:
    root = put(house, files(0))
    del house.blocks[root]
    assert (await house.get("/live/main/v0.m3u8")).status_code == 404


async def test_a_path_that_is_not_utf8_is_a_bad_request(house: House) -> None:
    put(house, files(0))
    assert (await house.get("/live/main/%ff")).status_code == 400
