from dataclasses import replace

import pytest

from hlspub.gateway.ports import NamedRecord
from hlspub.ipns.key import Key
from hlspub.ipns.record import NS, Record, read, sign
from tests.dags import Dags
from tests.gateway.house import House

pytestmark = pytest.mark.anyio
KEY = Key.from_seed(bytes(range(32)))
NAME = str(KEY.name)
FAR = 4_000_000_000


@pytest.fixture
def house() -> House:
    house = House()
    root = house.blocks.tree({"index.m3u8": b"#EXTM3U\n", "v/a.ts": b"segment"})
    record = Record(f"/ipfs/{root}", 5, FAR * NS, 60 * NS)
    house.named = {NAME: NamedRecord(sign(record, KEY), record.value, 60.0, float(FAR), 1_800_000_000.0)}
    return house


async def test_a_name_leads_to_its_root_for_as_long_as_its_record_says(house: House) -> None:
    answer = await house.get(f"/ipns/{NAME}/v/a.ts")
    assert (answer.status_code, answer.content) == (200, b"segment")
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert answer.headers["last-modified"] == "Fri, 15 Jan 2027 08:00:00 GMT"
    assert answer.headers["x-ipfs-path"] == f"/ipns/{NAME}/v/a.ts"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert house.responses == [(200, "ipns")]
    listing = await house.get(f"/ipns/{NAME}/")
    assert listing.headers["cache-control"] == "public, max-age=60, stale-while-revalidate=2678400"
    moved = await house.get(f"/ipns/{NAME}/v?x=1")
    assert (moved.status_code, moved.headers["location"]) == (301, f"/ipns/{NAME}/v/?x=1")
    assert (await house.get(f"/ipns/{NAME}/b.ts")).status_code == 404


async def test_nothing_is_kept_beyond_the_record_s_end(house: House) -> None:
    record = house.named[NAME]
    house.named[NAME] = replace(record, expires_at=house.clock.now() + 20)
    age = int((await house.get(f"/ipns/{NAME}/v/a.ts")).headers["cache-control"].partition("=")[2])
    assert 0 <= age <= 20
    house.named[NAME] = replace(record, expires_at=house.clock.now() - 1)
    assert (await house.get(f"/ipns/{NAME}/v/a.ts")).status_code == 404


@pytest.mark.parametrize(
    ("query", "headers"), [("?format=ipns-record", {}), ("", {"Accept": "application/vnd.ipfs.ipns-record"})]
)
async def test_the_record_itself(house: House, query: str, headers: dict[str, str]) -> None:
    answer = await house.get(f"/ipns/{NAME}{query}", headers)
    assert answer.status_code == 200
    assert read(KEY.name, answer.content).sequence == 5
    assert answer.headers["content-type"] == "application/vnd.ipfs.ipns-record"
    assert answer.headers["content-disposition"] == f'attachment; filename="{NAME}.ipns-record"'
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert ("content-location" in answer.headers) == (not query)
    again = await house.get(f"/ipns/{NAME}{query}", headers | {"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert (await house.get(f"/ipns/{NAME}/v?format=ipns-record")).status_code == 400


async def test_other_spellings_are_sent_on_and_other_names_are_not_known(house: House) -> None:
    moved = await house.get(f"/ipns/{KEY.name.cid.text('b')}/v/a.ts?download=true")
    assert (moved.status_code, moved.headers["location"]) == (302, f"/ipns/{NAME}/v/a.ts?download=true")
    assert (await house.get(f"/ipns/{Key.from_seed(bytes(32)).name}/")).status_code == 404
    assert (await house.get("/ipns/example.com/")).status_code == 400
    assert (await house.get("/ipns/")).status_code == 400


async def test_a_name_of_another_kind_of_key_is_spelled_right_and_not_here(house: House) -> None:
    sent = await house.get("/ipns/QmcJM7PRfkSbcM5cf1QugM5R37TLRKyJGgBEhXjLTB8uA2/v/")
    there = "/ipns/k2k4r8ol4m8kkcqz509c1rcjwunebj02gcnm5excpx842u736nja8ger/v/"
    assert (sent.status_code, sent.headers["location"]) == (302, there)
    assert (await house.get(there)).status_code == 404


def test_the_fixture_is_a_real_tree() -> None:
    assert Dags().tree({"a": b"1"}) == House().blocks.tree({"a": b"1"})
