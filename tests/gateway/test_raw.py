"""Single blocks for clients that check them: `format=raw` and what else may be asked for."""

from hashlib import sha256

import pytest

from hlspub.ipld.cid import Cid
from tests.gateway.house import SMALL, House

pytestmark = pytest.mark.anyio
RAW = "application/vnd.ipld.raw"


async def test_a_block_comes_as_its_cid_names_it(house: House) -> None:
    root = house.blocks.tree({"v0/a.ts": b"segment" * 50}, SMALL)
    for path in (f"{root}", f"{root}/v0", f"{root}/v0/a.ts"):
        answer = await house.get(f"/ipfs/{path}?format=raw")
        cid = Cid.parse(answer.headers["x-ipfs-roots"].split(",")[-1])
        assert sha256(answer.content).digest() == cid.digest
        assert answer.headers["content-type"] == RAW
        assert answer.headers["etag"] == f'"{cid}.raw"'
        assert answer.headers["content-disposition"] == f'attachment; filename="{cid}.bin"'
        assert answer.headers["cache-control"] == "public, max-age=29030400, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "content-location" not in answer.headers


async def test_accept_asks_for_a_block_too_and_is_told_its_address(house: House) -> None:
    cid, _ = house.blocks.file(b"segment")
    answer = await house.get(f"/ipfs/{cid}", {"Accept": f"text/html;q=0.5, {RAW}; q=1"})
    assert answer.headers["content-type"] == RAW
    assert answer.headers["content-location"] == f"/ipfs/{cid}?format=raw"


async def test_format_beats_accept(house: House) -> None:
    cid, _ = house.blocks.file(b"segment")
    answer = await house.get(f"/ipfs/{cid}?format=raw", {"Accept": "application/vnd.ipld.car"})
    assert answer.headers["content-type"] == RAW


async def test_a_browsers_accept_gets_the_file(house: House) -> None:
    cid, _ = house.blocks.file(b"#EXTM3U\n")
    answer = await house.get(f"/ipfs/{cid}", {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"


@pytest.mark.parametrize("form", ["dag-json", "dag-cbor", "json", "cbor", "tar", "ipns-record"])
async def test_other_formats_are_refused_in_a_sentence(house: House, form: str) -> None:
    cid, _ = house.blocks.file(b"segment")
    answer = await house.get(f"/ipfs/{cid}?format={form}")
    assert answer.status_code == 406
    assert (
        answer.text == f"This gateway does not serve {form}. It serves files, directories, format=raw and format=car.\n"
    )


async def test_a_format_that_nobody_knows_is_a_bad_request(house: House) -> None:
    cid, _ = house.blocks.file(b"segment")
    assert (await house.get(f"/ipfs/{cid}?format=docx")).status_code == 400


async def test_blocks_can_be_had_in_part_and_once(house: House) -> None:
    cid, _ = house.blocks.file(b"0123456789")
    part = await house.get(f"/ipfs/{cid}?format=raw", {"Range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    again = await house.get(f"/ipfs/{cid}?format=raw", {"If-None-Match": f'W/"{cid}.raw"'})
    assert again.status_code == 304
    other = await house.get(f"/ipfs/{cid}?format=raw", {"If-None-Match": f'"{cid}"'})
    assert other.status_code == 200
    assert (await house.get(f"/ipfs/{cid}?format=raw", {"Range": "bytes=10-"})).status_code == 416


async def test_a_name_for_the_block(house: House) -> None:
    cid, _ = house.blocks.file(b"0123456789")
    answer = await house.get(f"/ipfs/{cid}?format=raw&filename=x.block")
    assert answer.headers["content-disposition"] == 'attachment; filename="x.block"'


async def test_head_of_a_block(house: House) -> None:
    cid, _ = house.blocks.file(b"0123456789")
    answer = await house.get(f"/ipfs/{cid}?format=raw", method="HEAD")
    assert (answer.content, answer.headers["content-length"]) == (b"", "10")
