from collections.abc import Mapping
from io import BytesIO
from random import Random

import pytest

from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dag import links
from hlspub.ipld.dagpb import Link
from hlspub.ipld.profile import PROFILES, Profile
from hlspub.model import CarKind
from hlspub.pipeline.parcels import Parcel, parcels
from hlspub.spool.pack import pack_bytes
from tests.dags import Dags

pytestmark = pytest.mark.anyio


async def cut(root: Cid, dags: Dags, **sizes: int) -> list[Parcel]:
    return [parcel async for parcel in parcels(root, dags.fetch_soon, **sizes)]


def held(found: list[Parcel]) -> dict[Cid, bytes]:
    return {block.cid: block.data for one in found for block in CarReader(BytesIO(one.data).read)}


FILES: Mapping[str, bytes] = {
    "master.m3u8": b"#EXTM3U\n",
    "v/a.ts": Random(1).randbytes(2_700_000),
    "v/b.ts": b"",
    "w/again.ts": Random(1).randbytes(2_700_000),
    "w/deep/c.ts": Random(2).randbytes(5000),
}


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
async def test_files_become_the_cars_that_intake_made_and_directories_follow(profile: Profile) -> None:
    dags = Dags()
    root = dags.tree(FILES, profile)
    found = await cut(root, dags)
    assert held(found) == dict(dags)
    files = {one.car.key: one.data for one in found if one.car.kind is CarKind.FILE}
    assert files == {packed.car.key: data for data, packed in (pack_bytes(one, profile) for one in FILES.values())}
    assert found[-1].car.kind is CarKind.NODES
    assert found[-1].car.root == root


async def test_nothing_comes_before_what_it_links_to() -> None:
    dags = Dags()
    root = dags.tree({f"d{n % 7}/{n}.ts": b"%d" % n for n in range(300)})
    seen = set[Cid]()
    for parcel in await cut(root, dags):
        for block in CarReader(BytesIO(parcel.data).read):
            assert set(links(block.cid, block.data)) <= seen
            seen.add(block.cid)
    assert seen == dags.keys()


async def test_many_directory_nodes_are_cut_and_so_is_a_long_file() -> None:
    dags = Dags()
    root = dags.tree({f"{n:05}.ts": b"%d" % (n % 5) for n in range(9000)} | {"long.ts": Random(3).randbytes(4_000_000)})
    found = await cut(root, dags, longest=1_500_000, nodes=20_000)
    assert held(found) == dict(dags)
    assert max(len(one.data) for one in found) < 2_000_000
    assert sum(one.car.kind is CarKind.NODES for one in found) > 10
    assert len({one.car.key for one in found}) == len(found)


async def test_a_file_alone_and_blocks_that_are_no_unixfs_are_sent_too() -> None:
    dags = Dags()
    cid, _ = dags.file(b"alone")
    (only,) = await cut(cid, dags)
    assert (only.car.kind, only.car.key) == (CarKind.FILE, str(cid))
    leaf = dags.raw(b"leaf")
    odd = dags.node([Link("", leaf, 4)], b"")
    assert odd.codec is Codec.DAG_PB
    assert held(await cut(odd, dags)).keys() == {leaf, odd}


async def test_a_directory_of_nothing() -> None:
    dags = Dags()
    root = dags.tree({})
    (only,) = await cut(root, dags)
    assert only.car.root == root
