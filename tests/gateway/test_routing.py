"""Delegated Routing: what the gateway says of itself to clients that ask who has a CID."""

import libipld
import pytest

from hlspub.gateway.ports import NamedRecord
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipns.key import Key
from hlspub.ipns.name import Name
from hlspub.ipns.record import NS, Record, sign
from tests.gateway.house import House

pytestmark = pytest.mark.anyio
KEY = Key.from_seed(bytes(32))


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("gateway.test", "/dns/gateway.test/tcp/80/http"),
        ("gateway.test:8480", "/dns/gateway.test/tcp/8480/http"),
        ("127.0.0.1:8480", "/ip4/127.0.0.1/tcp/8480/http"),
        ("[::1]:8480", "/ip6/::1/tcp/8480/http"),
    ],
)
async def test_it_provides_what_it_holds_where_it_was_asked(house: House, host: str, address: str) -> None:
    cid, _ = house.blocks.file(b"segment")
    answer = await house.get(f"/routing/v1/providers/{cid}?filter-protocols=x", {"Host": host})
    (provider,) = answer.json()["Providers"]
    assert provider["Schema"] == "peer"
    assert provider["Addrs"] == [address]
    assert provider["Protocols"] == ["transport-ipfs-gateway-http"]
    assert str(Name.parse(provider["ID"])).startswith("k51")
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert house.responses == [(200, "routing")]


async def test_of_anything_else_it_knows_nobody(house: House) -> None:
    absent = Cid.of_data(Codec.RAW, b"absent")
    answer = await house.get(f"/routing/v1/providers/{absent}")
    assert (answer.status_code, answer.json()) == (200, {"Providers": []})
    assert answer.headers["cache-control"] == "public, max-age=15"
    assert (await house.get("/routing/v1/providers/nonsense")).status_code == 400
    assert (await house.get("/routing/v1/peers/nonsense")).status_code == 404
    assert (await house.get(f"/routing/v1/ipns/{KEY.name}", method="PUT")).status_code == 405


async def test_the_record_of_a_name_until_it_expires(house: House) -> None:
    now = house.clock.now()
    record = Record("/ipfs/bafkqaaa", 1, int(now + 30) * NS, 60 * NS)
    named = NamedRecord(sign(record, KEY), record.value, 60.0, now + 30, now)
    house.named = {str(KEY.name): named}
    for spelling in (str(KEY.name), KEY.name.peer_id):
        answer = await house.get(f"/routing/v1/ipns/{spelling}")
        assert (answer.status_code, answer.content) == (200, named.signed)
        assert answer.headers["content-type"] == "application/vnd.ipfs.ipns-record"
        assert 0 <= int(answer.headers["cache-control"].partition("=")[2]) <= 30
    again = await house.get(f"/routing/v1/ipns/{KEY.name}", {"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    house.named = {str(KEY.name): NamedRecord(named.signed, named.value, 60.0, now - 1, now)}
    assert (await house.get(f"/routing/v1/ipns/{KEY.name}")).status_code == 404
    assert (await house.get("/routing/v1/ipns/example.com")).status_code == 400


def test_a_peer_id_is_the_name_in_libp2p_s_writing() -> None:
    assert KEY.name.peer_id.startswith("12D3Koo")
    assert Name.parse(KEY.name.peer_id) == KEY.name
    assert libipld.decode_multibase("z" + KEY.name.peer_id)[1] == KEY.name.cid.raw[2:]
