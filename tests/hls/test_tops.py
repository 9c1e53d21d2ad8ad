from hlspub.hls.tops import PROVEN, Side, tops


def media(*, versions: int = PROVEN, endlist: bool = False, rests: bool = False) -> Side:
    return Side(multivariant=False, lists=frozenset(), endlist=endlist, versions=versions, rests=rests)


def multivariant(*lists: str) -> Side:
    return Side(multivariant=True, lists=frozenset(lists), endlist=False, versions=1, rests=False)


def test_names_that_begin_alike_are_streams_of_their_own() -> None:
    assert tops({"cam1.m3u8": media(), "cam10.m3u8": media(), "cam1_low.m3u8": media()}) == [
        "cam1.m3u8",
        "cam10.m3u8",
        "cam1_low.m3u8",
    ]


def test_what_another_lists_is_none() -> None:
    assert tops({"a.m3u8": multivariant("hi.m3u8", "lo.m3u8"), "hi.m3u8": media(), "lo.m3u8": media()}) == ["a.m3u8"]


def test_a_media_playlist_must_prove_itself() -> None:
    assert tops({"a.m3u8": media(versions=PROVEN - 1)}) == []
    assert tops({"a.m3u8": media(versions=1, endlist=True)}) == ["a.m3u8"]
    assert tops({"a.m3u8": media(versions=1, rests=True)}) == ["a.m3u8"]


def test_one_that_lists_itself_is_a_stream_and_two_that_list_each_other_are_none() -> None:
    assert tops({"a.m3u8": multivariant("a.m3u8")}) == ["a.m3u8"]
    assert tops({"a.m3u8": multivariant("b.m3u8"), "b.m3u8": multivariant("a.m3u8")}) == []
