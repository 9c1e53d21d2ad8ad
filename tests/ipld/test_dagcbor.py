from typing import Any

import dag_cbor
import multiformats
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.errors import BlockError
from hlspub.ipld import dagcbor
from hlspub.ipld.cid import Cid, Codec

cids = st.builds(Cid.of_data, st.just(Codec.RAW), st.binary(max_size=4))
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30)
    | st.binary(max_size=300)
    | cids
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5)
)


def for_judge(value: Any) -> Any:
    match value:
        case Cid():
            return multiformats.CID.decode(str(value))
        case list():
            return [for_judge(item) for item in value]
        case dict():
            return {key: for_judge(item) for key, item in value.items()}
        case _:
            return value


def links_in(value: Any) -> list[Cid]:
    match value:
        case Cid():
            return [value]
        case list():
            return [cid for item in value for cid in links_in(item)]
        case dict():
            return [cid for item in value.values() for cid in links_in(item)]
        case _:
            return []


@given(values)
def test_reads_what_dag_cbor_writes(value: Any) -> None:
    written = dag_cbor.encode(for_judge(value))
    found = dagcbor.decode(written)
    assert found == value
    assert list(dagcbor.links(written)) == links_in(found)


@given(values)
def test_writes_what_dag_cbor_writes(value: Any) -> None:
    assert dagcbor.encode(value) == dag_cbor.encode(for_judge(value))


def test_writes_no_integer_of_more_than_64_bits() -> None:
    with pytest.raises(ValueError, match="64 bits"):
        dagcbor.encode([1 << 64])


@given(values, st.data())
def test_what_is_cut_off_is_refused(value: Any, more: st.DataObject) -> None:
    written = dag_cbor.encode(for_judge(value))
    cut = more.draw(st.integers(0, len(written) - 1))
    with pytest.raises(BlockError):
        dagcbor.decode(written[:cut])


EDGES = [0, *((1 << bits) + step for bits in (3, 8, 16, 32, 63) for step in (-1, 0, 1)), 23, 24, 25, 2**64 - 1]


@pytest.mark.parametrize("edge", EDGES)
def test_the_edges_of_numbers(edge: int) -> None:
    for number in (edge, -1 - edge):
        assert dagcbor.decode(dag_cbor.encode(number)) == number


@pytest.mark.parametrize("shell", [b"\x81", b"\xa1\x60"], ids=["lists", "maps"])
def test_the_deepest_value(shell: bytes) -> None:
    assert dagcbor.links(shell * dagcbor.MAX_DEPTH + LINK) == (Cid.of_data(Codec.RAW, b""),)
    with pytest.raises(BlockError, match="deeper"):
        dagcbor.decode(shell * (dagcbor.MAX_DEPTH + 1) + LINK)


LINK = b"\xd8\x2a\x58\x25\x00" + Cid.of_data(Codec.RAW, b"").raw


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "cut off"),
        (b"\x00\x00", "bytes behind"),
        (b"\x18\x17", "shortest"),
        (b"\x1b" + bytes(7) + b"\x01", "shortest"),
        (b"\x9f\xff", "indefinite"),
        (b"\x7b" + b"\xff" * 8, "cut off"),
        (b"\x9b" + b"\xff" * 8, "cut off"),
        (b"\x61\xff", "UTF-8"),
        (b"\xa1\x01\x02", "key that is not text"),
        (b"\xa2\x61a\x01\x61a\x02", "twice"),
        (b"\xc0\x61a", "tag 0"),
        (b"\xd8\x2a\x61a", "no link"),
        (b"\xd8\x2a\x40", "leading zero"),
        (LINK[:3] + b"\x25\x01" + LINK[5:], "leading zero"),
        (LINK[:-1], "cut off"),
        (b"\xd8\x2a\x42\x00\x01", "a link to what is"),
        (b"\xf7", "simple type 23"),
        (b"\xf9\x00\x00", "simple type 25"),
        (b"\x81" * 200 + b"\x00", "deeper than"),
    ],
)
def test_refuses(data: bytes, reason: str) -> None:
    with pytest.raises(BlockError, match=reason):
        dagcbor.decode(data)
