import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.hls.attributes import parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('METHOD=AES-128,URI="k.key",IV=0x01', {"METHOD": "AES-128", "URI": "k.key", "IV": "0x01"}),
        ('NAME="a, b=c",URI="x"', {"NAME": "a, b=c", "URI": "x"}),
        (' A = 1 , B = "2" ', {"A": "1", "B": "2"}),
        ("URI=bare.mp4", {"URI": "bare.mp4"}),
        ('URI="never ends', {"URI": "never ends"}),
        ('URI=""', {"URI": ""}),
        ("A=1,A=2", {"A": "2"}),
        ("junk,A=1,,B=2", {"A": "1", "B": "2"}),
        ('REQ-VIDEO-LAYOUT="CH-STEREO"', {"REQ-VIDEO-LAYOUT": "CH-STEREO"}),
        ("", {}),
    ],
)
def test_parse(text: str, expected: dict[str, str]) -> None:
    assert parse(text) == expected


@given(st.text(alphabet='AB=," x'))
def test_never_fails(text: str) -> None:
    parse(text)


def test_a_long_line_without_attributes_costs_one_pass() -> None:
    assert parse("x" * 3_000_000) == {}  # a second pass for each character would never end


values = st.text(alphabet="abc 0=,", max_size=5)


@given(st.dictionaries(st.sampled_from(["A", "B-C", "X-D"]), values))
def test_reads_what_was_written(attributes: dict[str, str]) -> None:
    assert parse(",".join(f'{name}="{value}"' for name, value in attributes.items())) == attributes
