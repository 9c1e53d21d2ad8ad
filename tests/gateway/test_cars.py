"""CARs for clients that check what they get: which blocks, in which order, and what is said of them."""

from collections.abc import Sequence
from io import BytesIO

import httpx
import pytest

from hlspub.gateway.ports import NamedRecord
from hlspub.ipld import dag, dagpb, walk
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid
from hlspub.ipns.key import Key
from hlspub.ipns.record import NS, Record, sign
from tests.gateway.house import SHARDED, SMALL, House, running

pytestmark = pytest.mark.anyio
CAR = "application/vnd.ipld.car"
FILE = bytes(range(250))  # three leaves of SMALL


def cids(data: bytes) -> list[Cid]:
    """The blocks of a CAR, each held to its CID."""
    return [block.cid for block in CarReader(BytesIO(data).read)]


def leaves(house: House, file: Cid) -> list[Cid]:
    return [link.cid for link in dagpb.decode(house.blocks[file]).links]


@pytest.fixture
def root(house: House) -> Cid:
    return house.blocks.tree({"v/a.ts": FILE, "v/b.ts": b"other", "index.m3u8": b"#EXTM3U\n"}, SMALL)


async def found(house: House, path: str) -> list[Cid]:
    answer = await house.get(f"/ipfs/{path}?format=raw")
    return [Cid.parse(text) for text in answer.headers["x-ipfs-roots"].split(",")]


async def test_a_car_leads_from_the_root_to_what_was_asked_for_and_holds_all_of_it(house: House, root: Cid) -> None:
    way = await found(house, f"{root}/v/a.ts")
    answer = await house.get(f"/ipfs/{root}/v/a.ts?format=car")
    assert answer.status_code == 200
    assert cids(answer.content) == [*way, *leaves(house, way[-1])]
    assert CarReader(BytesIO(answer.content).read).roots == (way[-1],)
    assert answer.headers["content-type"] == f"{CAR}; version=1; order=dfs; dups=n"
    assert answer.headers["content-disposition"] == f'attachment; filename="{way[-1]}.car"'
    assert answer.headers["cache-control"] == "public, max-age=29030400, immutable"
    assert answer.headers["accept-ranges"] == "none"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["etag"].startswith(f'W/"{way[-1]}.car.')
    assert "content-location" not in answer.headers


async def test_a_whole_root_comes_as_one_car_that_is_an_export_s(house: House, root: Cid) -> None:
    answer = await house.get(f"/ipfs/{root}?format=car")
    wanted = [block.cid for block in walk.stream(dag.walk_dag(root), house.blocks.fetch)]
    assert cids(answer.content) == wanted
    assert len(set(wanted)) == len(wanted) == len(house.blocks)


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("dag-scope=block", []),
        ("dag-scope=entity", [0, 1, 2]),
        ("dag-scope=all", [0, 1, 2]),
        ("entity-bytes=0:*", [0, 1, 2]),
        ("entity-bytes=0:0", [0]),
        ("entity-bytes=100:199", [1]),
        ("entity-bytes=-1:*", [2]),
        ("entity-bytes=50:-150", [0, 1]),
        ("entity-bytes=-999:9", [0]),
        ("entity-bytes=250:*", []),
        ("dag-scope=block&entity-bytes=9:5", []),
    ],
)
async def test_of_a_file_what_is_in_scope(house: House, root: Cid, query: str, parts: Sequence[int]) -> None:
    way = await found(house, f"{root}/v/a.ts")
    all_leaves = leaves(house, way[-1])
    for leaf in {*all_leaves} - {all_leaves[part] for part in parts}:
        del house.blocks[leaf]  # what is not asked for need not be here
    answer = await house.get(f"/ipfs/{root}/v/a.ts?format=car&{query}")
    assert cids(answer.content) == [*way, *(all_leaves[part] for part in parts)]


async def test_of_a_sharded_directory_its_shards_alone(house: House) -> None:
    root = house.blocks.tree({f"segment-{number}.ts": b"%d" % number for number in range(40)}, SHARDED)
    answer = await house.get(f"/ipfs/{root}?format=car&dag-scope=entity")
    sent = cids(answer.content)
    assert len(sent) > 1
    assert all(cid.codec is root.codec for cid in sent)


async def test_a_block_that_is_linked_often_is_sent_once_whatever_is_asked(house: House) -> None:
    root = house.blocks.tree({"a.ts": FILE, "b.ts": FILE}, SMALL)
    answer = await house.get(f"/ipfs/{root}?format=car&car-dups=y&car-order=unk", {"Accept": f"{CAR}; dups=y"})
    assert len(cids(answer.content)) == len(set(cids(answer.content))) == 5
    assert answer.headers["content-type"].endswith("order=dfs; dups=n")


async def test_an_inline_block_is_in_no_car(house: House) -> None:
    answer = await house.get("/ipfs/bafkqaaa?format=car")
    reader = CarReader(BytesIO(answer.content).read)
    assert ([*map(str, reader.roots)], [*reader]) == (["bafkqaaa"], [])


async def test_accept_asks_for_one_too_and_format_beats_it(house: House, root: Cid) -> None:
    answer = await house.get(f"/ipfs/{root}?dag-scope=block", {"Accept": f"text/html, {CAR};version=1;order=dfs"})
    assert cids(answer.content) == [root]
    assert answer.headers["content-location"] == f"/ipfs/{root}?dag-scope=block&format=car"
    by_format = await house.get(f"/ipfs/{root}?dag-scope=block&format=car", {"Accept": "application/vnd.ipld.raw"})
    assert by_format.content == answer.content


@pytest.mark.parametrize(
    ("query", "accept", "status"),
    [
        ("&dag-scope=some", "", 400),
        ("&entity-bytes=1", "", 400),
        ("&entity-bytes=a:b", "", 400),
        ("&entity-bytes=1:99999999999999999999", "", 400),
        ("&car-version=2", "", 406),
        ("", f"{CAR}; version=2", 406),
        ("&car-version=1", f"{CAR}; version=2", 200),
    ],
)
async def test_what_cannot_be_served_is_refused(house: House, root: Cid, query: str, accept: str, status: int) -> None:
    answer = await house.get(f"/ipfs/{root}?format=car{query}", {"Accept": accept})
    assert answer.status_code == status


async def test_what_is_not_here_is_404_before_anything_is_sent(house: House, root: Cid) -> None:
    assert (await house.get(f"/ipfs/{root}/v/none.ts?format=car")).status_code == 404
    del house.blocks[(await found(house, f"{root}/v/a.ts"))[-1]]
    assert (await house.get(f"/ipfs/{root}/v/a.ts?format=car")).status_code == 404


async def test_a_block_that_is_missing_later_cuts_the_response(house: House, root: Cid) -> None:
    file = (await found(house, f"{root}/v/a.ts"))[-1]
    del house.blocks[leaves(house, file)[1]]
    async with running(house) as (host, port), httpx.AsyncClient() as client:
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            await client.get(f"http://{host}:{port}/ipfs/{root}/v/a.ts?format=car")


async def test_a_tag_is_of_one_car_and_head_asks_for_no_more_than_the_way(house: House, root: Cid) -> None:
    tags: set[str] = set()
    for query in ("", "&dag-scope=block", "&dag-scope=entity", "&entity-bytes=0:9"):
        address = f"/ipfs/{root}/v/a.ts?format=car{query}"
        head = await house.get(address, method="HEAD")
        tag = head.headers["etag"]
        assert (head.content, "content-length" in head.headers) == (b"", False)
        assert (await house.get(address, {"If-None-Match": tag})).status_code == 304
        tags.add(tag)
    file = (await found(house, f"{root}/v/a.ts"))[-1]
    tags.add((await house.get(f"/ipfs/{file}?format=car", method="HEAD")).headers["etag"])  # the same file, another way
    assert len(tags) == 5


async def test_a_name_s_root_as_a_car_lasts_as_long_as_the_name_says(house: House, root: Cid) -> None:
    key = Key.from_seed(bytes(32))
    record = Record(f"/ipfs/{root}", 1, 4_000_000_000 * NS, 60 * NS)
    named = NamedRecord(sign(record, key), record.value, 60.0, 4e9, 0.0)
    house.named = {str(key.name): named}
    answer = await house.get(f"/ipns/{key.name}?format=car&dag-scope=block")
    assert cids(answer.content) == [root]
    assert answer.headers["cache-control"] == "public, max-age=60"
