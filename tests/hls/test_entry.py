import pytest

from hlspub.hls.entry import EntryFound, NeedsEntry, NoEntryYet, Seen, candidates, find_entry
from hlspub.hls.scan import scan


def master(*lists: str) -> Seen:
    return Seen(multivariant=True, lists=frozenset(lists), endlist=False)


def media(updates: int = 1, *, endlist: bool = False, lists: tuple[str, ...] = ()) -> Seen:
    return Seen(multivariant=False, lists=frozenset(lists), endlist=endlist, updates=updates)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({}, NoEntryYet()),
        ({"m.m3u8": master("hi/i.m3u8"), "hi/i.m3u8": media(9)}, EntryFound("m.m3u8")),
        ({"m.m3u8": master("hi/i.m3u8"), "other.m3u8": media(9)}, EntryFound("m.m3u8")),
        ({"old/m.m3u8": master(), "m.m3u8": master()}, EntryFound("m.m3u8")),
        ({"a.m3u8": master(), "b.m3u8": master()}, NeedsEntry(("a.m3u8", "b.m3u8"))),
        ({"a.m3u8": master("b.m3u8"), "b.m3u8": master("a.m3u8")}, EntryFound("a.m3u8")),
        ({"b.m3u8": master("x/a.m3u8"), "x/a.m3u8": master()}, EntryFound("b.m3u8")),
        ({"a.m3u8": master(), "z.m3u8": master("a.m3u8")}, EntryFound("z.m3u8")),
        ({"i.m3u8": media(1)}, NoEntryYet(("i.m3u8",))),
        ({"i.m3u8": media(2)}, EntryFound("i.m3u8")),
        ({"i.m3u8": media(1, endlist=True)}, EntryFound("i.m3u8")),
        ({"i.m3u8": media(2, lists=("ad.m3u8",)), "ad.m3u8": media(1)}, EntryFound("i.m3u8")),
        ({"hi.m3u8": media(2), "lo.m3u8": media(1)}, NoEntryYet(("hi.m3u8", "lo.m3u8"))),
        ({"hi.m3u8": media(2), "lo.m3u8": media(2)}, NeedsEntry(("hi.m3u8", "lo.m3u8"))),
        ({"i.m3u8": media(2), "old.m3u": media(2)}, EntryFound("i.m3u8")),
        ({"old.m3u": media(2)}, EntryFound("old.m3u")),
    ],
)
def test_auto(seen: dict[str, Seen], expected: object) -> None:
    assert find_entry(seen) == expected


def test_in_a_finished_directory_nothing_more_will_come() -> None:
    assert find_entry({"i.m3u8": media(1)}, finished=True) == EntryFound("i.m3u8")
    assert find_entry({}, finished=True) == NoEntryYet()


def test_the_entry_moves_only_from_a_media_to_a_multivariant_playlist() -> None:
    both = {"i.m3u8": media(5), "j.m3u8": media(5)}
    assert find_entry(both, current="i.m3u8") == EntryFound("i.m3u8")
    assert find_entry(both | {"m.m3u8": master("i.m3u8")}, current="i.m3u8") == EntryFound("m.m3u8")
    assert find_entry({"a.m3u8": master(), "m.m3u8": master()}, current="m.m3u8") == EntryFound("m.m3u8")
    assert find_entry({}, current="gone.m3u8") == EntryFound("gone.m3u8")


def test_under_flat_each_playlist_that_no_other_lists_is_a_stream() -> None:
    seen = {
        "cam1.m3u8": master("cam1_low.m3u8"),
        "cam1_low.m3u8": media(),
        "cam10.m3u8": media(),
        "a/cam.m3u8": media(),
    }
    assert candidates(seen) == ["cam1.m3u8", "cam10.m3u8", "a/cam.m3u8"]


def test_what_a_playlist_lists() -> None:
    text = b'#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI="a.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=1\n../v/i.m3u8\n'
    assert Seen.of(scan(text, "x/m.m3u8"), 3) == Seen(True, frozenset({"x/a.m3u8", "v/i.m3u8"}), False, 3)  # noqa: FBT003 -- a tuple's fields
    text = (
        b'#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-RENDITION-REPORT:URI="b.m3u8"\n#EXT-X-ENDLIST\n'
        b'#EXT-X-DATERANGE:ID="1",X-ASSET-URI="ad.m3u8"\n#EXT-X-DATERANGE:ID="2",X-ASSET-LIST="ads.json"\n'
    )
    assert Seen.of(scan(text, "i.m3u8")) == media(endlist=True, lists=("ad.m3u8",))
