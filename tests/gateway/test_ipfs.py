"""The path gateway over blocks made by hlspub's own builders; the behaviours are those of the gateway specifications."""

import pytest
import structlog

from hlspub.ipld import dagpb
from hlspub.ipld.cid import Cid, Codec
from tests.gateway.house import SHARDED, SMALL, House

pytestmark = pytest.mark.anyio

IMMUTABLE = "public, max-age=29030400, immutable"
ABSENT = Cid.of_data(Codec.RAW, b"not in the store")
LONG = bytes(range(256)) * 40  # 10,240 bytes: 103 leaves and five levels of `SMALL`


async def test_a_file_comes_whole_with_everything_a_cache_needs(house: House) -> None:
    root = house.blocks.tree({"v0/seg1.ts": LONG}, SMALL)
    answer = await house.get(f"/ipfs/{root}/v0/seg1.ts")
    folder, file = answer.headers["x-ipfs-roots"].split(",")[1:]
    assert answer.status_code == 200
    assert answer.content == LONG
    assert answer.headers["content-length"] == str(len(LONG))
    assert answer.headers["content-type"] == "video/mp2t"
    assert answer.headers["etag"] == f'"{file}"'
    assert answer.headers["cache-control"] == IMMUTABLE
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-ipfs-path"] == f"/ipfs/{root}/v0/seg1.ts"
    assert answer.headers["x-ipfs-roots"].split(",")[0] == str(root)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "last-modified" not in answer.headers
    assert (await house.get(f"/ipfs/{folder}/seg1.ts")).content == LONG
    assert (await house.get(f"/ipfs/{file}")).content == LONG


async def test_every_response_may_be_read_by_any_page_errors_too(house: House) -> None:
    root = house.blocks.tree({"a.ts": b"x"})
    for path in (f"/ipfs/{root}/a.ts", f"/ipfs/{root}/none", f"/ipfs/{ABSENT}", "/ipfs/rubbish", "/live/none/a"):
        answer = await house.get(path, {"Origin": "https://player.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "Content-Range" in answer.headers["access-control-expose-headers"]


async def test_a_preflight_is_answered(house: House) -> None:
    asked = {"Origin": "https://p", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
    answer = await house.get(f"/ipfs/{ABSENT}", asked, "OPTIONS")
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert "Range" in answer.headers["access-control-allow-headers"]


async def test_head_says_what_get_would_and_reads_no_media(house: House) -> None:
    root = house.blocks.tree({"a.ts": LONG}, SMALL)
    full = await house.get(f"/ipfs/{root}/a.ts")
    house.blocks.asked.clear()
    head = await house.get(f"/ipfs/{root}/a.ts", method="HEAD")
    assert head.content == b""
    assert head.headers == full.headers
    assert len(house.blocks.asked) == 2  # the directory and the file's root


@pytest.mark.parametrize(
    ("field", "status"),
    [
        ('"{cid}"', 304), ('W/"{cid}"', 304), ('"x", W/"{cid}" , "y"', 304), ("*", 304), ('"a,b", "{cid}"', 304),
        ('"{cid}x"', 200), ("{cid}", 200), ("", 200), ('"unclosed', 200),
    ],
)  # fmt: skip
async def test_if_none_match(house: House, field: str, status: int) -> None:
    cid, _ = house.blocks.file(b"segment")
    answer = await house.get(f"/ipfs/{cid}", {"If-None-Match": field.format(cid=cid)})
    assert answer.status_code == status
    assert answer.headers["etag"] == f'"{cid}"'
    assert answer.headers["cache-control"] == IMMUTABLE
    assert answer.content == (b"" if status == 304 else b"segment")


async def test_not_modified_goes_before_a_range(house: House) -> None:
    cid, _ = house.blocks.file(b"segment")
    answer = await house.get(f"/ipfs/{cid}", {"If-None-Match": f'"{cid}"', "Range": "bytes=0-1"})
    assert answer.status_code == 304


@pytest.mark.parametrize(
    "path",
    ["rubbish", "bafybei", "Qm", "..%2fetc", f"{ABSENT}"[:-1] + "!", "bafkqaaab%00"],
)
async def test_what_is_no_cid_is_a_bad_request(house: House, path: str) -> None:
    answer = await house.get(f"/ipfs/{path}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "CID" in answer.text


async def test_a_missing_cid_is_a_bad_request(house: House) -> None:
    assert (await house.get("/ipfs/")).status_code == 400


async def test_what_is_not_held_is_not_found_and_not_cached(house: House) -> None:
    answer = await house.get(f"/ipfs/{ABSENT}")
    assert answer.status_code == 404
    assert str(ABSENT) in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_a_name_that_is_not_there_is_not_found(house: House) -> None:
    root = house.blocks.tree({"a/b.ts": b"x"})
    for path in ("a/c.ts", "b", "a/b.ts/deeper", "a/B.ts"):
        answer = await house.get(f"/ipfs/{root}/{path}")
        assert answer.status_code == 404, path
        assert "There is no" in answer.text


async def test_a_missing_first_leaf_is_not_found_rather_than_cut(house: House) -> None:
    cid, _ = house.blocks.file(LONG, SMALL)
    del house.blocks[Cid.of_data(Codec.RAW, LONG[:100])]
    assert (await house.get(f"/ipfs/{cid}?filename=a.ts")).status_code == 404


async def test_a_disk_that_fails_is_a_server_error(house: House) -> None:
    cid, _ = house.blocks.file(b"x")
    house.blocks.broken = True
    with structlog.testing.capture_logs() as said:
        answer = await house.get(f"/ipfs/{cid}")
    assert answer.status_code == 500
    assert answer.text == "This gateway cannot read what was asked for; its log says why.\n"
    assert said == [
        {"event": "gateway.response_failed", "log_level": "error", "path": f"/ipfs/{cid}",
         "reason": "the disk does not answer", "hint": "Look at the disk."}
    ]  # fmt: skip


async def test_a_damaged_directory_is_a_server_error(house: House) -> None:
    root = house.blocks.keep(Cid.of_data(Codec.DAG_PB, b"claimed"), b"\xff\xff")
    assert (await house.get(f"/ipfs/{root}/a")).status_code == 500


async def test_the_probe_is_an_empty_file(house: House) -> None:
    answer = await house.get("/ipfs/bafkqaaa")
    assert (answer.status_code, answer.content) == (200, b"")
    raw = await house.get("/ipfs/bafkqaaa?format=raw")
    assert (raw.status_code, raw.content) == (200, b"")
    assert (await house.get("/ipfs/bafkqaaa", method="HEAD")).status_code == 200
    assert house.blocks.asked == []


async def test_only_if_cached_tells_what_is_here(house: House) -> None:
    cid, _ = house.blocks.file(b"here")
    wanted = {"Cache-Control": "max-age=0, only-if-cached"}
    assert (await house.get(f"/ipfs/{cid}", wanted)).status_code == 200
    assert (await house.get("/ipfs/bafkqaaa", wanted)).status_code == 200
    assert (await house.get(f"/ipfs/{ABSENT}", wanted)).status_code == 412


async def test_a_service_worker_may_not_rule_all_roots(house: House) -> None:
    root = house.blocks.tree({"sw.js": b"//"})
    worker = {"Service-Worker": "script"}
    assert (await house.get(f"/ipfs/{root}", worker)).status_code == 400
    assert (await house.get(f"/ipfs/{root}/sw.js", worker)).status_code == 200


ODD = [
    "a b.ts",
    "ünï.ts",
    "100%.ts",
    "a?b#c.ts",
    "q&a=1.ts",
    "日本.ts",
    "a%20b.ts",
    "<i>.ts",
    "e\u0301.ts",
    ":colon.ts",
]


@pytest.mark.parametrize("sharded", [False, True])
async def test_any_name_can_be_opened_by_its_encoded_form(house: House, sharded: bool) -> None:
    root = house.blocks.tree({f"d/{name}": name.encode() for name in ODD}, SHARDED if sharded else SMALL)
    listed = (await house.get(f"/ipfs/{root}/d/")).text
    async with house.client() as client:
        for name in ODD:
            url = f"/ipfs/{root}/d/" + "".join(f"%{byte:02X}" for byte in name.encode())
            answer = await client.get(url)
            assert answer.content == name.encode()
            assert answer.headers["x-ipfs-path"] == url
    assert "&lt;i&gt;.ts" in listed
    assert "<i>" not in listed


async def test_a_path_that_is_not_utf8_is_a_bad_request(house: House) -> None:
    root = house.blocks.tree({"a.ts": b"x"})
    assert (await house.get(f"/ipfs/{root}/%ff%fe")).status_code == 400


async def test_a_sharded_directory_resolves_like_a_flat_one(house: House) -> None:
    files = {f"seg{number:05}.ts": str(number).encode() for number in range(300)}
    root = house.blocks.tree(files, SHARDED)
    async with house.client() as client:
        for name in ("seg00000.ts", "seg00123.ts", "seg00299.ts"):
            assert (await client.get(f"/ipfs/{root}/{name}")).content == files[name]
        house.blocks.asked.clear()
        assert (await client.get(f"/ipfs/{root}/seg00300.ts")).status_code == 404
    assert len(house.blocks.asked) <= 3  # the shards on the way, not the directory


async def test_a_file_name_for_the_download(house: House) -> None:
    cid, _ = house.blocks.file(b"data")
    inline = await house.get(f"/ipfs/{cid}?filename=film.mp4")
    assert inline.headers["content-disposition"] == 'inline; filename="film.mp4"'
    assert inline.headers["content-type"] == "video/mp4"
    saved = await house.get(f"/ipfs/{cid}?filename=f%C3%BCr%22.mp4&download=true")
    assert saved.headers["content-disposition"] == "attachment; filename=\"f_r_.mp4\"; filename*=UTF-8''f%C3%BCr%22.mp4"
    assert (await house.get(f"/ipfs/{cid}?download=true")).headers["content-disposition"] == "attachment"
    broken = await house.get(f"/ipfs/{cid}?filename=a%0D%0AX-Evil:%201")
    assert "x-evil" not in broken.headers


async def test_a_symlink_is_its_target(house: House) -> None:
    cid = house.blocks.keep(*_block(dagpb.encode([], b"\x08\x04\x12\x03a/b")))
    answer = await house.get(f"/ipfs/{cid}")
    assert (answer.content, answer.headers["content-type"]) == (b"a/b", "inode/symlink")


async def test_what_is_neither_file_nor_directory_is_offered_raw(house: House) -> None:
    cid = house.blocks.keep(Cid.of_data(Codec.DAG_CBOR, b"\xa0"), b"\xa0")
    answer = await house.get(f"/ipfs/{cid}")
    assert answer.status_code == 406
    assert "format=raw" in answer.text
    assert (await house.get(f"/ipfs/{cid}?format=raw")).content == b"\xa0"


def _block(data: bytes) -> tuple[Cid, bytes]:
    return Cid.of_data(Codec.DAG_PB, data), data
