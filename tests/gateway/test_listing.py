"""Directories as pages."""

from html.parser import HTMLParser
from urllib.parse import quote, urljoin

import pytest

from hlspub.gateway import listing
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dagpb import Link
from tests.gateway.house import SHARDED, House

pytestmark = pytest.mark.anyio
HOSTILE = ['"><script>alert(1)<script>', "javascript:alert(1)", "a&amp;b", "'", "?q", "#f", "%2e%2e", "a\nb", " lead"]


class Links(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [value or "" for name, value in attrs if name == "href" and tag == "a"]


async def test_a_directory_without_its_slash_is_sent_there(house: House) -> None:
    root = house.blocks.tree({"v 0/a.ts": b"x"})
    answer = await house.get(f"/ipfs/{root}/v%200?download=true")
    assert answer.status_code == 301
    assert answer.headers["location"] == f"/ipfs/{root}/v%200/?download=true"
    assert (await house.get(f"/ipfs/{root}")).headers["location"] == f"/ipfs/{root}/"


@pytest.mark.parametrize("sharded", [False, True])
async def test_every_entry_is_linked_and_the_links_lead_there(house: House, sharded: bool) -> None:
    files = {name: name.encode() for name in [*HOSTILE, "plain.ts"]}
    profile = SHARDED if sharded else None
    root = house.blocks.tree(files, profile) if profile else house.blocks.tree(files)
    page = await house.get(f"/ipfs/{root}/")
    links = Links(page.text)
    assert "script" not in links.tags
    hrefs = [href for href in links.found if href.startswith(f"/ipfs/{root}/")]
    async with house.client() as client:
        got = {(await client.get(urljoin(f"http://gateway.test/ipfs/{root}/", href))).content for href in hrefs}
    assert got == {name.encode() for name in files}


async def test_the_page_runs_nothing(house: House) -> None:
    root = house.blocks.tree({"a.ts": b"x"})
    answer = await house.get(f"/ipfs/{root}/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    assert answer.headers["cache-control"] == "public, max-age=604800, stale-while-revalidate=2678400"
    assert answer.headers["x-ipfs-roots"] == str(root)


async def test_a_file_behind_its_cid_keeps_its_name(house: House) -> None:
    names = ["a b.ts", "100%.ts", "%41.ts", "\u0142\u0117.ts"]
    root = house.blocks.tree({name: name.encode() for name in names})
    links = Links((await house.get(f"/ipfs/{root}/")).text)
    behind = [href for href in links.found if "?filename=" in href]
    found = {(await house.get(href)).headers["content-disposition"].partition("''")[2] for href in behind}
    assert found >= {quote(name, safe="") for name in names if not name.startswith("a")}


async def test_the_page_has_a_tag_of_its_own(house: House) -> None:
    root = house.blocks.tree({"a.ts": b"x"})
    tag = (await house.get(f"/ipfs/{root}/")).headers["etag"]
    assert str(root) in tag
    assert tag != f'"{root}"'
    assert (await house.get(f"/ipfs/{root}/", {"If-None-Match": tag})).status_code == 304
    assert (await house.get(f"/ipfs/{root}/", {"If-None-Match": f'"{root}"'})).status_code == 200


async def test_head_of_a_page(house: House) -> None:
    root = house.blocks.tree({"a.ts": b"x"})
    head, full = await house.get(f"/ipfs/{root}/", method="HEAD"), await house.get(f"/ipfs/{root}/")
    assert head.content == b""
    assert head.headers["content-length"] == full.headers["content-length"] == str(len(full.content))


async def test_an_index_page_is_served_instead_in_a_sandbox(house: House) -> None:
    root = house.blocks.tree({"index.html": b"<h1>mine</h1>", "d/a.ts": b"x"})
    answer = await house.get(f"/ipfs/{root}/")
    assert answer.text == "<h1>mine</h1>"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert "allow-same-origin" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"].endswith("immutable")
    assert answer.headers["etag"] == f'"{root}"'
    assert (await house.get(f"/ipfs/{root}/", {"If-None-Match": f'"{root}"'})).status_code == 304


async def test_html_without_a_name_is_never_guessed(house: House) -> None:
    cid, _ = house.blocks.file(b"<!doctype html><script>alert(1)</script>")
    assert (await house.get(f"/ipfs/{cid}")).headers["content-type"] == "application/octet-stream"


async def test_an_empty_directory_says_so(house: House) -> None:
    cid = house.blocks.keep(Cid.of_data(Codec.DAG_PB, b"\x0a\x02\x08\x01"), b"\x0a\x02\x08\x01")
    assert "0 entries" in (await house.get(f"/ipfs/{cid}/")).text


async def test_a_directory_with_a_missing_shard_is_not_found(house: House) -> None:
    root = house.blocks.tree({f"{number}.ts": b"x" * number for number in range(300)}, SHARDED)
    shard = next(cid for cid in house.blocks if cid.codec is Codec.DAG_PB and cid != root)
    del house.blocks[shard]
    assert (await house.get(f"/ipfs/{root}/")).status_code == 404


def test_a_long_directory_is_cut_and_says_so() -> None:
    cid = Cid.of_data(Codec.RAW, b"")
    page = listing.page("/ipfs/x", cid, (), [Link(f"{number:06}", cid, 1) for number in range(listing.SHOWN + 7)])
    assert f"{listing.SHOWN + 7:,} entries. The first {listing.SHOWN:,} are shown" in page
    assert page.count("<tr>") == listing.SHOWN + 1


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (1536, "1.5 KiB"),
                       (1 << 20, "1.0 MiB"), (5 << 40, "5.0 TiB"), (1 << 62, "4096.0 PiB")],
)  # fmt: skip
def test_sizes_for_people(size: int, text: str) -> None:
    assert listing.size_text(size) == text
