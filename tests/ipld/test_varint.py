import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import varint as judge

from hlspub.errors import CarError, DataError
from hlspub.ipld import varint

EDGES = sorted({(1 << bits) + step for bits in range(7, 64, 7) for step in (-1, 0)} - {varint.MAX_VALUE + 1})


@pytest.mark.parametrize("value", [0, 1, *EDGES])
def test_agrees_with_multiformats_on_the_edges(value: int) -> None:
    assert varint.encode(value) == judge.encode(value)
    assert varint.decode(varint.encode(value)) == (value, len(judge.encode(value)))


@given(st.integers(0, varint.MAX_VALUE))
def test_agrees_with_multiformats(value: int) -> None:
    written = varint.encode(value)
    assert written == judge.encode(value)
    assert varint.decode(b"\xff" + written + b"\xff", 1) == (value, 1 + len(written))


@pytest.mark.parametrize("value", [-1, varint.MAX_VALUE + 1])
def test_encode_refuses_what_does_not_fit(value: int) -> None:
    with pytest.raises(ValueError, match="varint holds"):
        varint.encode(value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "cut off"),
        (b"\x80", "cut off"),
        (b"\xff\xff", "cut off"),
        (b"\x80\x00", "shortest"),
        (b"\x81\x80\x00", "shortest"),
        (b"\xff" * 8 + b"\x80\x01", "longer than nine"),
        (b"\x80" * 40, "longer than nine"),
    ],
)
def test_decode_refuses(data: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason) as caught:
        varint.decode(b"\x01\x01" + data, 2)
    assert caught.value.offset == 2


def test_the_longest_value_takes_nine_bytes() -> None:
    assert varint.decode(b"\xff" * 8 + b"\x7f") == (varint.MAX_VALUE, varint.MAX_SIZE)


def test_raises_the_callers_error() -> None:
    with pytest.raises(CarError):
        varint.decode(b"", error=CarError)
