import base64
import json
import subprocess
from contextlib import suppress
from dataclasses import replace
from typing import Any

import dag_cbor
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.errors import IpnsError
from hlspub.ipld import varint
from hlspub.ipns.key import Key
from hlspub.ipns.record import MAX_SIZE, NS, Record, read, sign
from tests.support.judges import NODE

KEY = Key.from_seed(bytes(range(32)))
OTHER = Key.from_seed(bytes(32))
NOW = 1_800_000_000 * NS
RECORD = Record("/ipfs/bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi", 7, NOW + 172_800 * NS + 5, 60 * NS)

records = st.builds(
    Record,
    value=st.text(max_size=200).map(lambda text: "/ipfs/" + text),
    sequence=st.integers(0, 2**63 - 1),
    expires_ns=st.integers(0, 253_402_300_799 * NS),
    ttl_ns=st.integers(0, 2**63 - 1),
)


def field(number: int, data: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + varint.encode(len(data)) + data


def signed_by_hand(said: Any, key: Key = KEY) -> bytes:
    data = dag_cbor.encode(said)
    return field(8, key.sign(b"ipns-signature:" + data)) + field(9, data)


def plain(**changed: Any) -> dict[str, Any]:
    told = {
        "Value": RECORD.value.encode(),
        "Validity": b"2030-01-02T03:04:05.000000006Z",
        "ValidityType": 0,
        "Sequence": 7,
        "TTL": 1,
    }
    return {name: value for name, value in (told | changed).items() if value is not None}


@given(records)
def test_what_is_signed_is_read(record: Record) -> None:
    assert read(KEY.name, sign(record, KEY), now_ns=record.expires_ns) == record


def test_the_data_are_what_another_dag_cbor_makes() -> None:
    signed = sign(RECORD, KEY)
    said = plain(Validity=b"2027-01-17T08:00:00.000000005Z", TTL=60 * NS)
    assert signed.endswith(dag_cbor.encode(said))


@given(st.data())
def test_a_changed_byte_is_never_read_as_something_else(data: st.DataObject) -> None:
    signed = bytearray(sign(RECORD, KEY))
    at = data.draw(st.integers(0, len(signed) - 1))
    signed[at] ^= data.draw(st.integers(1, 255))
    with suppress(IpnsError):
        assert read(KEY.name, bytes(signed)) == RECORD  # only what is not signed may be another: the old signature


@given(st.binary(max_size=300))
def test_bytes_from_anywhere_are_refused(data: bytes) -> None:
    with pytest.raises(IpnsError):
        read(KEY.name, data)


def test_another_key_signs_nothing_for_this_name() -> None:
    with pytest.raises(IpnsError, match="did not sign"):
        read(KEY.name, sign(RECORD, OTHER))


def test_a_record_holds_until_it_expires() -> None:
    signed = sign(RECORD, KEY)
    assert read(KEY.name, signed, now_ns=RECORD.expires_ns) == RECORD
    with pytest.raises(IpnsError, match=r"expired at 2027-01-17T08:00:00\.000000005Z"):
        read(KEY.name, signed, now_ns=RECORD.expires_ns + 1)


def test_version_2_alone_is_enough_and_version_1_alone_is_not() -> None:
    assert read(KEY.name, signed_by_hand(plain())).sequence == 7
    value, validity = RECORD.value.encode(), b"2030-01-02T03:04:05Z"
    old = field(1, value) + field(2, KEY.sign(value + validity + b"0")) + field(4, validity)
    with pytest.raises(IpnsError, match="version 2"):
        read(KEY.name, old)


def test_a_broken_old_signature_is_nothing_to_us_but_another_old_value_is() -> None:
    signed = sign(RECORD, KEY)
    old = KEY.sign(RECORD.value.encode() + b"2027-01-17T08:00:00.000000005Z" + b"0")
    assert old in signed
    assert read(KEY.name, signed.replace(old, bytes(64))) == RECORD
    other = signed.replace(RECORD.value.encode(), RECORD.value.replace("bafy", "bafz").encode(), 1)
    with pytest.raises(IpnsError, match="value is not what was signed"):
        read(KEY.name, other)


@pytest.mark.parametrize("text", ["2030-01-02T03:04:05Z", "2030-01-02T03:04:05.25Z", "2030-01-02T05:04:05.1+02:00"])
def test_times_as_rfc_3339_writes_them(text: str) -> None:
    expires = read(KEY.name, signed_by_hand(plain(Validity=text.encode()))).expires_ns
    assert expires // NS == 1_893_553_445


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (plain(Sequence=None), "lacks"),
        (plain(TTL=-1), "lacks"),
        (plain(Sequence=True), "lacks"),
        (plain(Value="text"), "lacks"),
        ([1], "lacks"),
        (plain(ValidityType=1), "type 1"),
        (plain(Validity=b"tomorrow"), "no time"),
        (plain(Validity=b"2030-13-02T03:04:05Z"), "no time"),
        (plain(Value=b"\xff"), "UTF-8"),
    ],
)
def test_what_is_signed_and_still_wrong(said: Any, why: str) -> None:
    with pytest.raises(IpnsError, match=why):
        read(KEY.name, signed_by_hand(said))


def test_unknown_fields_are_passed_over() -> None:
    more = bytes((15 << 3 | 5, 1, 2, 3, 4, 14 << 3 | 1, *range(8))) + field(13, b"new") + bytes((12 << 3, 5))
    assert read(KEY.name, more + sign(RECORD, KEY)) == RECORD
    with pytest.raises(IpnsError, match="wire type 3"):
        read(KEY.name, bytes((12 << 3 | 3,)) + sign(RECORD, KEY))
    with pytest.raises(IpnsError, match="cut off"):
        read(KEY.name, sign(RECORD, KEY) + bytes((15 << 3 | 1, 1)))


def test_ten_kibibytes_are_the_most() -> None:
    with pytest.raises(IpnsError, match="more than 10240"):
        sign(replace(RECORD, value="/ipfs/" + "x" * MAX_SIZE), KEY)
    with pytest.raises(IpnsError, match="more than 10240"):
        read(KEY.name, bytes(MAX_SIZE + 1))


def test_the_higher_sequence_is_newer_and_then_the_longer_life() -> None:
    assert replace(RECORD, sequence=8, expires_ns=0).is_newer_than(RECORD)
    assert replace(RECORD, expires_ns=RECORD.expires_ns + 1).is_newer_than(RECORD)
    assert not RECORD.is_newer_than(RECORD)


def node(asked: dict[str, Any]) -> dict[str, Any]:
    words = ["node", str(NODE / "ipns.mjs")]
    done = subprocess.run(
        words, cwd=NODE, input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.node
def test_npm_ipns_finds_our_records_good() -> None:
    record = replace(RECORD, expires_ns=4_000_000_000 * NS + 123_456_789)
    signed = sign(record, KEY)
    name = str(KEY.name)
    answer = node({"read": name, "record": base64.b64encode(signed).decode()})
    assert answer == {
        "valid": True,
        "value": RECORD.value,
        "sequence": 7,
        "ttl": 60 * NS,
        "validity": "2096-10-02T07:06:40.123456789Z",
        "hasV1": True,
        "name": name,
    }
    bad = bytearray(signed)
    bad[-1] ^= 1
    assert not node({"read": name, "record": base64.b64encode(bad).decode()})["valid"]


@pytest.mark.node
@pytest.mark.parametrize("v1", [True, False])
def test_we_find_npm_ipns_s_records_good(v1: bool) -> None:
    asked = {"make": base64.b64encode(KEY.protobuf()).decode(), "sequence": 41, "ttl_ns": 5 * NS, "v1": v1}
    answer = node(asked | {"value": RECORD.value, "lifetime_ms": 60_000})
    assert answer["name"] == str(KEY.name)
    record = read(KEY.name, base64.b64decode(answer["record"]))
    assert (record.value, record.sequence, record.ttl_ns) == (RECORD.value, 41, 5 * NS)
