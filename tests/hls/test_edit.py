import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.hls.edit import add_endlist, mark_gaps
from hlspub.hls.scan import scan
from tests.hls.oracle import HEADER, PATH, bodies, playlists_of_the_corpus

TWO = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.ts\n#EXTINF:2,\nb.ts\n"


def required(data: bytes) -> dict[str, bool]:
    return {reference.path: reference.required for reference in scan(data, PATH).references}


def test_a_lost_segment_is_marked() -> None:
    assert mark_gaps(TWO, PATH, {"live/b.ts"}) == TWO.replace(b"b.ts", b"#EXT-X-GAP\nb.ts")


def test_the_rest_keeps_its_bytes() -> None:
    data = b"\xef\xbb\xbf" + TWO.replace(b"\n", b"\r\n").replace(b",\r\n", b", t\xff \r\n") + b"\r\n# end"
    expected = data.replace(b"b.ts", b"#EXT-X-GAP\r\nb.ts")
    assert mark_gaps(data, PATH, {"live/b.ts"}) == expected


def test_a_segment_that_is_marked_already_stays() -> None:
    data = TWO.replace(b"#EXTINF:2,\nb.ts", b"#EXT-X-GAP\n#EXTINF:2,\nb.ts")
    assert mark_gaps(data, PATH, {"live/b.ts"}) == data


def test_every_listing_of_a_lost_file_is_marked() -> None:
    data = TWO.replace(b"a.ts", b"../live/%62.ts?x=1")
    assert mark_gaps(data, PATH, {"live/b.ts"}).count(b"#EXT-X-GAP") == 2


def test_a_lost_partial_segment_says_so_itself() -> None:
    data = TWO + b'#EXT-X-PART:DURATION=1,URI="p0.ts"\r\n#EXT-X-PART:DURATION=1,URI="p1.ts",GAP=YES\n'
    assert mark_gaps(data, PATH, {"live/p0.ts", "live/p1.ts"}) == data.replace(b'p0.ts"', b'p0.ts",GAP=YES')


def test_a_lost_map_takes_its_segments_along() -> None:
    data = TWO.replace(b"#EXTINF:2,\na", b'#EXT-X-MAP:URI="i.mp4"\n#EXTINF:2,\na')
    data += b'#EXT-X-MAP:URI="j.mp4"\n#EXTINF:2,\nc.ts\n'
    marked = required(mark_gaps(data, PATH, {"live/i.mp4"}))
    assert [marked[f"live/{name}.ts"] for name in "abc"] == [False, False, True]


def test_nothing_lost_changes_nothing() -> None:
    for name, data in playlists_of_the_corpus():
        if not name.startswith("hand_html"):
            assert mark_gaps(data, PATH, set()) == data


@given(bodies(), st.data())
def test_marked_is_what_was_lost(body: str, data: st.DataObject) -> None:
    text = (HEADER + body).encode()
    before = scan(text, PATH, partial=True)
    files = [reference.path for reference in before.references if reference.kind in {"segment", "part"}]
    lost = set(data.draw(st.lists(st.sampled_from(files)))) if files else set[str]()
    marked = mark_gaps(text, PATH, lost)
    after = scan(marked, PATH, partial=True)
    assert [reference.path for reference in after.references] == [reference.path for reference in before.references]
    for old, new in zip(before.references, after.references, strict=True):
        if old.kind in {"segment", "part"}:
            assert new.required == (old.required and old.path not in lost)
    assert mark_gaps(marked, PATH, lost) == marked


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (TWO, TWO + b"#EXT-X-ENDLIST\n"),
        (TWO[:-1], TWO + b"#EXT-X-ENDLIST\n"),
        (TWO.replace(b"\n", b"\r\n"), TWO.replace(b"\n", b"\r\n") + b"#EXT-X-ENDLIST\r\n"),
        (TWO + b"#EXT-X-ENDLIST", TWO + b"#EXT-X-ENDLIST"),
        (b"#EXTM3U\n#EXT-X-ENDLIST\r\n" + TWO[8:], b"#EXTM3U\n#EXT-X-ENDLIST\r\n" + TWO[8:]),
        (TWO + b"# #EXT-X-ENDLIST\n", TWO + b"# #EXT-X-ENDLIST\n#EXT-X-ENDLIST\n"),
    ],
)
def test_endlist(data: bytes, expected: bytes) -> None:
    assert add_endlist(data) == expected
    assert scan(expected, PATH).endlist
    assert add_endlist(expected) == expected


def test_a_lost_map_is_not_required_when_only_gaps_would_need_it() -> None:
    text = b'#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI="i.mp4"\n#EXTINF:2,\na.m4s\n'
    text += b'#EXT-X-MAP:URI="j.mp4"\n#EXTINF:2,\nb.m4s\n'
    assert not any(required(mark_gaps(text, PATH, {"live/i.mp4", "live/j.mp4"})).values())
    assert required(mark_gaps(text, PATH, {"live/j.mp4"})) == {
        "live/i.mp4": True,
        "live/a.m4s": True,
        "live/j.mp4": False,
        "live/b.m4s": False,
    }
    unused = scan(text + b'#EXT-X-MAP:URI="k.mp4"\n', PATH)
    assert unused.references[-1].required  # the next segment will need it
