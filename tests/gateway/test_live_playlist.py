import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.gateway.live_playlist import static

HEAD = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n"
TAIL = b"#EXT-X-PART-INF:PART-TARGET=0.33334\n#EXTINF:4,\nseg1.mp4\n"
CONTROL = b"#EXT-X-SERVER-CONTROL:"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.0,CAN-SKIP-UNTIL=24.0", b"PART-HOLD-BACK=1.0"),
        (b"CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24.0,CAN-SKIP-DATERANGES=YES,HOLD-BACK=12", b"HOLD-BACK=12"),
        (b"HOLD-BACK=12, CAN-BLOCK-RELOAD=YES ,PART-HOLD-BACK=1", b"HOLD-BACK=12,PART-HOLD-BACK=1"),
        (b"HOLD-BACK=12.0,PART-HOLD-BACK=1.0", b"HOLD-BACK=12.0,PART-HOLD-BACK=1.0"),
        (b'X-COM="a,CAN-BLOCK-RELOAD=YES",CAN-BLOCK-RELOAD=YES', b'X-COM="a,CAN-BLOCK-RELOAD=YES"'),
        (b"CAN-BLOCK-RELOAD=NO,HOLD-BACK=12", b"HOLD-BACK=12"),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_what_needs_a_dynamic_origin_is_left_out(before: bytes, after: bytes, end: bytes) -> None:
    head, tail = HEAD.replace(b"\n", end), TAIL.replace(b"\n", end)
    assert static(head + CONTROL + before + end + tail) == head + CONTROL + after + end + tail


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_a_tag_with_nothing_left_goes_with_its_line(end: bytes) -> None:
    assert static(HEAD + CONTROL + b"CAN-BLOCK-RELOAD=YES" + end) == HEAD


def test_a_tag_in_the_middle_of_a_line_is_not_a_tag() -> None:
    text = HEAD + b"#EXTINF:4," + CONTROL + b"CAN-BLOCK-RELOAD=YES\nseg.ts\n"
    assert static(text) == text


@given(st.binary())
def test_a_playlist_without_the_tag_is_the_same_object(text: bytes) -> None:
    playlist = text.replace(CONTROL, b"")
    assert static(playlist) is playlist


@given(st.binary(), st.binary())
def test_every_other_byte_stays(before: bytes, after: bytes) -> None:
    before, after = before.replace(b"#", b" ") + b"\n", after.replace(b"#", b" ")
    assert static(before + CONTROL + b"CAN-BLOCK-RELOAD=YES\n" + after) == before + after
