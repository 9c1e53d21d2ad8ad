import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hlspub.errors import PlaylistError
from hlspub.hls import runs
from hlspub.hls.playlist import Key, Playlist, PlaylistKind, Reference, ReferenceKind
from hlspub.hls.scan import scan
from tests.hls.oracle import HEADER, PATH, bodies, line_by_line

Kind = ReferenceKind


def read(body: str, path: str = PATH, header: str = HEADER) -> Playlist:
    return scan((header + body).encode(), path)


def references(playlist: Playlist) -> list[tuple[str, ReferenceKind, bool, int]]:
    return [tuple(reference) for reference in playlist.references]


def test_a_segment_has_its_path_and_media_sequence_number() -> None:
    playlist = read("#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:4.5,\na.ts\n#EXTINF:3,title\nb.ts\n#EXT-X-ENDLIST\n")

    assert references(playlist) == [
        ("live/a.ts", Kind.SEGMENT, True, 7),
        ("live/b.ts", Kind.SEGMENT, True, 8),
    ]
    assert playlist.kind is PlaylistKind.MEDIA
    assert (playlist.media_sequence, playlist.last_sequence, playlist.segments) == (7, 8, 2)
    assert (playlist.total_duration_s, playlist.target_duration, playlist.endlist) == (7.5, 4.0, True)


def test_no_segment_yet() -> None:
    playlist = read("#EXT-X-MEDIA-SEQUENCE:5\n")
    assert (playlist.media_sequence, playlist.last_sequence, playlist.segments) == (5, 4, 0)
    assert list(playlist.references) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('#EXT-X-MAP:URI="init.mp4",BYTERANGE="40@0"\n', [("live/init.mp4", Kind.MAP, True, -1)]),
        ('#EXT-X-KEY:METHOD=AES-128,URI="k.key"\n', [("live/k.key", Kind.KEY, False, -1)]),
        ("#EXT-X-KEY:METHOD=NONE\n", []),
        ('#EXT-X-PART:DURATION=1,URI="p.m4s"\n', [("live/p.m4s", Kind.PART, True, 0)]),
        ('#EXT-X-PART:DURATION=1,URI="p.m4s",GAP=YES\n', [("live/p.m4s", Kind.PART, False, 0)]),
        ('#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p.m4s"\n', [("live/p.m4s", Kind.PRELOAD_HINT, False, -1)]),
        ('#EXT-X-RENDITION-REPORT:URI="b.m3u8"\n', [("live/b.m3u8", Kind.RENDITION_REPORT, False, -1)]),
        ('#EXT-X-DATERANGE:ID="a",X-ASSET-URI="ad.m3u8"\n', [("live/ad.m3u8", Kind.ASSET, False, -1)]),
        ('#EXT-X-DATERANGE:ID="a",X-ASSET-LIST="ads.json"\n', [("live/ads.json", Kind.ASSET, False, -1)]),
        (
            "#EXT-X-GAP\n#EXTINF:1,\na.ts\n#EXTINF:1,\nb.ts\n",
            [("live/a.ts", Kind.SEGMENT, False, 0), ("live/b.ts", Kind.SEGMENT, True, 1)],
        ),
        ("#EXT-X-SKIP:SKIPPED-SEGMENTS=4\n#EXTINF:1,\na.ts\n", [("live/a.ts", Kind.SEGMENT, True, 4)]),
        ('#EXT-X-VENDOR:URI="v.bin"\n#EXT-X-MAP:URI="init.mp4",X-NEW="1,2"\n', [("live/init.mp4", Kind.MAP, True, -1)]),
        ('#EXT-X-DEFINE:NAME="n",VALUE="seg"\n#EXTINF:1,\n{$n}1.ts\n', [("live/seg1.ts", Kind.SEGMENT, True, 0)]),
        ('#EXT-X-DEFINE:NAME="n",VALUE="x"\n#EXT-X-MAP:URI="{$n}.mp4"\n', [("live/x.mp4", Kind.MAP, True, -1)]),
        ('#EXT-X-DEFINE:QUERYPARAM="t"\n#EXTINF:1,\na.ts?t={$t}\n', [("live/a.ts", Kind.SEGMENT, True, 0)]),
    ],
)
def test_media_playlist_tags(body: str, expected: list[tuple[str, ReferenceKind, bool, int]]) -> None:
    assert references(read(body)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="en",URI="a.m3u8"\n', ("a.m3u8", Kind.PLAYLIST, True, -1)),
        ('#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i.m3u8"\n', ("i.m3u8", Kind.PLAYLIST, True, -1)),
        ('#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=1,URI="t.m3u8"\n', ("t.m3u8", Kind.PLAYLIST, True, -1)),
        ('#EXT-X-SESSION-DATA:DATA-ID="d",URI="d.json"\n', ("d.json", Kind.SESSION_DATA, False, -1)),
        ('#EXT-X-SESSION-KEY:METHOD=AES-128,URI="k.key"\n', ("k.key", Kind.KEY, False, -1)),
        ('#EXT-X-CONTENT-STEERING:SERVER-URI="s.json"\n', ("s.json", Kind.STEERING, False, -1)),
    ],
)
def test_multivariant_playlist_tags(body: str, expected: tuple[str, ReferenceKind, bool, int]) -> None:
    playlist = read(body + "#EXT-X-STREAM-INF:BANDWIDTH=1\nv/i.m3u8\n", "m.m3u8", "#EXTM3U\n")
    assert playlist.kind is PlaylistKind.MULTIVARIANT
    assert references(playlist) == [expected, ("v/i.m3u8", Kind.PLAYLIST, True, -1)]


def test_every_key_that_a_viewer_needs_is_named() -> None:
    playlist = read(
        '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://a",KEYFORMAT="com.apple.streamingkeydelivery"\n'
        '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k2.bin",KEYFORMAT="identity"\n'
        '#EXT-X-KEY:METHOD=AES-128,URI="data:;base64,AAAA"\n'
    )
    assert playlist.keys == (
        Key("SAMPLE-AES", "skd://a", "com.apple.streamingkeydelivery", None),
        Key("SAMPLE-AES", "k2.bin", "identity", "live/k2.bin"),
    )
    assert playlist.remote == ("skd://a",)


def test_imports_take_the_multivariant_playlists_variables() -> None:
    text = (HEADER + '#EXT-X-DEFINE:IMPORT="n"\n#EXTINF:1,\n{$n}.ts\n').encode()
    without = scan(text, PATH)
    assert without.imports == ("n",)
    assert [tuple(refused) for refused in without.refused] == [("{$n}.ts", "undefined-variable")]
    assert [reference.path for reference in scan(text, PATH, variables={"n": "seg"}).references] == ["live/seg.ts"]


def test_byte_ranges_say_how_long_their_file_must_be() -> None:
    playlist = read(
        '#EXT-X-MAP:URI="all.mp4",BYTERANGE="40@0"\n#EXTINF:1,\n#EXT-X-BYTERANGE:60@40\nall.mp4\n'
        "#EXTINF:1,\n#EXT-X-BYTERANGE:88\nall.mp4\n#EXTINF:1,\n#EXT-X-BYTERANGE:5\nother.mp4\n"
    )
    assert playlist.extents == {"live/all.mp4": 188, "live/other.mp4": 5}


def test_the_media_sequence_counts_from_before_the_first_segment() -> None:
    playlist = read("#EXTINF:1,\na.ts\n#EXT-X-MEDIA-SEQUENCE:9\n")
    assert (playlist.media_sequence, playlist.last_sequence) == (0, 0)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"#EXT-X-VERSION:3\n#EXTM3U\n", "does not start with #EXTM3U"),
        (b"#EXTM3U8\n", "does not start with #EXTM3U"),
        (b"\x0b\n", "does not start with #EXTM3U"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n\0\0\0", "NUL bytes (at byte 32)"),
        ("#EXTM3U\n#EXT-X-TARGETDURATION:4\n".encode("utf-16"), "NUL bytes"),
        (b"#EXTM3U\n", "neither segments nor variant streams"),
        (b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:x\n", "EXT-X-MEDIA-SEQUENCE needs a number, not 'x'"),
        (b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:" + b"9" * 5000 + b"\n", "EXT-X-MEDIA-SEQUENCE needs a number"),
        (b"#EXTM3U\n#EXT-X-SKIP:SKIPPED-SEGMENTS=-1\n", "SKIPPED-SEGMENTS needs a number"),
        (b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n#EXTINF:1,\na.ts\n", "both EXT-X-STREAM-INF and EXTINF"),
        (b"#EXTM3U\n#EXTINF:1,\na.ts\n#EXTINF:1,\n", "after #EXTINF the line with the URI is missing"),
        (b"#EXTM3U\n#EXTINF:1,\na.ts\n#EXT-X-BYTERANGE:1@2\n", "after #EXT-X-BYTERANGE the line"),
        (b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n", "after #EXT-X-STREAM-INF the line"),
        (b'#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI="a.m3u8"\n', "lists no variant stream yet"),
        (b"#EXTM3U\n#EXTINF:1,\ns1.ts\n#EXTINF:1,\ns1", "breaks off in its last line, after 's1'"),
        (b"#EXTM3U\n#EXTINF:1,\ns1.ts\n#EXTINF:1,\ns1.t", "breaks off"),
        (b"#EXTM3U\n#EXTINF:1,\ns1.ts\n#EXTINF:1,\ns1.ts?t", "breaks off"),
        (b"#EXTM3U\n#EXTINF:1,\ns1.ts\n#EXT-X-ENDLI", "breaks off"),
        (b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u", "breaks off"),
    ],
)
def test_what_is_no_playlist_or_not_whole_says_so(data: bytes, says: str) -> None:
    with pytest.raises(PlaylistError, match=r"i\.m3u8") as caught:
        scan(data, PATH)
    assert says in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    "tail",
    [
        "#EXT-X-ENDLIST",
        "#EXT-X-ENDLIST\n# end",
        "#EXTINF:1,\nc.ts",
        "#EXTINF:1,\nc.weird",
        "#EXTINF:1,\n#EXT-X-ENDLIST",
        "#EXT-X-DISCONTINUITY\n",
    ],
)
def test_what_is_whole_without_a_last_newline(tail: str) -> None:
    playlist = read("#EXTINF:1,\na.weird\n" + tail)
    assert playlist.source.resume is None or tail.endswith("\n")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("#EXTINF:1,\n\ufefft.ts\n" + "#" * 4097 + "\n", "line-too-long"),
        ("stray.ts\n", "stray-uri"),
        ("#EXTINF:1,\na.ts\n#EXT-X-DISCONTINUITY\n", "discontinuity"),
        ("#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n", "delta-update-on-disk"),
        ("#EXT-X-PART-INF:PART-TARGET=1\n", "ll-hls-needs-dynamic-origin"),
        ("#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=12\n", "ll-hls-needs-dynamic-origin"),
        ('#EXT-X-KEY:METHOD=AES-128,URI="https://x.example/k"\n', "remote-key"),
        ("#EXTINF:1,\nhttps://x.example/a.ts\n", "all-segments-remote"),
        ("#EXTINF:1,\n\udce9.ts\n", "not-utf8"),
    ],
)
def test_warnings(body: str, code: str) -> None:
    assert scan((HEADER + body).encode("utf-8", "surrogateescape"), PATH).warn == (code,)


def test_an_ordinary_playlist_has_no_warnings() -> None:
    lines = "#" * 4096 + "\n#EXT-X-DISCONTINUITY\n#EXT-X-SERVER-CONTROL:HOLD-BACK=12\n#EXTINF:1,\na.ts\n"
    assert read(lines).warn == ()


def test_without_a_target_duration_the_longest_segment_stands_in() -> None:
    playlist = read("#EXTINF:1,\na.ts\n#EXTINF:2.5,\nb.ts\n#EXTINF:2,\nc.ts\n", header="#EXTM3U\n")
    assert (playlist.target_duration, playlist.warn) == (2.5, ("no-target-duration",))


def test_a_partial_read_keeps_what_is_there() -> None:
    playlist = scan(b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ns1.ts\n#EXTINF:1,\ns", "i.m3u8", partial=True)
    assert [reference.path for reference in playlist.references] == ["s1.ts", "s"]
    assert playlist.warn == ("truncated",)


def assert_as_line_by_line(data: bytes, path: str = PATH) -> None:
    fast, slow = scan(data, path, partial=True), line_by_line(data, path)
    for name in Playlist.__dataclass_fields__:
        if name not in {"source", "warn"}:
            assert getattr(fast, name) == getattr(slow, name), name
    assert set(fast.warn) - {"truncated", "line-too-long"} == set(slow.warn)


@given(bodies(), st.sampled_from([PATH, "i.m3u8", "a/b/i.m3u8"]), st.sampled_from(["\n", "\r\n", " \n", "\n\n"]))
def test_runs_are_read_as_line_by_line(body: str, path: str, end: str) -> None:
    assert_as_line_by_line((HEADER + body).replace("\n", end).encode(), path)


LENGTHS = st.one_of(
    st.integers(0, 99999).map(str),
    st.sampled_from(
        ["", "007", "1" * 20, "1" * 21, "0" * 21, "-1", "1.5", "1e3", " 5", "\u0665", "1" * 5000, "7@", "x", "[1]"]
    ),
)


@given(
    st.lists(st.tuples(LENGTHS, LENGTHS), min_size=1, max_size=3),
    st.sampled_from(["{length}", "{length}@{place}", "{length}@{place}", "{length}@{offset}"]),
    st.sampled_from(["all.ts", "all.ts", "all{n}.ts", "{n}"]),
)
@example([("1", "2@3"), ("4", "5")], "{length}@{place}", "all.ts")
@example([("1", "1" * 20)], "{length}@{place}", "all.ts")
@example([("1", "1" * 21)], "{length}@{place}", "all.ts")
@example([("1", "0" * 20 + "7")], "{length}@{place}", "all.ts")
@example([("5", "#EXT-X-BYTERANGE:5")], "{length}@{place}", "all.ts")
def test_runs_of_byte_ranges_are_read_as_line_by_line(odd: list[tuple[str, str]], form: str, name: str) -> None:
    ranges = [("9", "4"), ("8", "800"), ("7", "90")] * 30
    ranges[40:40] = odd
    lines = [
        f"#EXTINF:1,\n#EXT-X-BYTERANGE:{form.format(length=length, place=place, offset=100 * n)}\n"
        f"{name.format(n=n // 20 % 3)}\n"
        for n, (length, place) in enumerate(ranges)
    ]
    assert_as_line_by_line((HEADER + "".join(lines)).encode(), "i.m3u8")


def test_an_empty_byte_range_alone_is_read_as_line_by_line() -> None:
    assert_as_line_by_line(f"{HEADER}#EXTINF:1,\n#EXT-X-BYTERANGE:\nall.ts\n#EXTINF:1,\ns.ts\n".encode())


@pytest.mark.parametrize("every", [1, 7, runs.FIRST_ROWS, 100])
@pytest.mark.parametrize(
    "tag", ["#EXT-X-DISCONTINUITY", "#EXT-X-GAP", '#EXT-X-KEY:METHOD=AES-128,URI="k"', '#EXT-X-MAP:URI="i.mp4"', "#"]
)
def test_what_interrupts_at_intervals_is_read_as_line_by_line(tag: str, every: int) -> None:
    lines = [("" if n % every else f"{tag}\n") + f"#EXTINF:{n % 3},\ns{n}.ts\n" for n in range(450)]
    assert_as_line_by_line((HEADER + "".join(lines)).encode())


def test_durations_that_do_not_repeat_are_read_as_line_by_line() -> None:
    lines = [f"#EXTINF:{1 + n / 10_000},{'a title' * (n % 5000 == 9)}\ns.ts\n" for n in range(2 * runs.MAX_KNOWN)]
    assert_as_line_by_line((HEADER + "".join(lines)).encode())


def test_references_are_a_sequence() -> None:
    playlist = read(
        '#EXT-X-MEDIA-SEQUENCE:3\n#EXT-X-MAP:URI="i.mp4"\n' + "".join(f"#EXTINF:1,\n{n}.ts\n" for n in range(90))
    )
    found = list(playlist.references)
    assert len(playlist.references) == len(found) == 91
    assert [playlist.references[place] for place in range(-91, 91)] == found * 2
    assert playlist.references[88:] == tuple(found[88:])
    assert found[-1] == Reference("live/89.ts", Kind.SEGMENT, required=True, sequence=92)
    assert list(playlist.references.of_kind(Kind.MAP)) == found[:1]
    assert type(playlist.references).of(found) == playlist.references
    with pytest.raises(IndexError):
        playlist.references[91]
