import json

from hypothesis import assume, given
from hypothesis import strategies as st

from hlspub.hls.archive import MAX_HOLE, Archive, archived_name
from hlspub.hls.learning import Kept, KeptRange, KeptSegment
from hlspub.hls.playlist import ReferenceKind
from hlspub.hls.scan import scan
from hlspub.hls.window import State
from tests.hls.writers import Segment, Style, samples, streams, styles, whole, window

PATH = "live/i.m3u8"
HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n"


def feed(archive: Archive, *versions: str | bytes) -> list[Kept]:
    kept: list[Kept] = []
    for version in versions:
        data = version if isinstance(version, bytes) else version.encode()
        kept += archive.feed(data, scan(data, PATH))
    return kept


def archived(*versions: str) -> list[str]:
    archive = Archive()
    feed(archive, *versions)
    return archive.render().decode().split("\n")


def windows(stream: list[Segment], seen: list[tuple[int, int]], style: Style) -> list[bytes]:
    return [window(stream, first, last, style) for first, last in seen]


@given(st.data(), streams(), styles, st.integers(1, 8))
def test_however_the_windows_were_sampled(data: st.DataObject, stream: list[Segment], style: Style, size: int) -> None:
    assume(size > 1 or style.dates != "head")  # each segment heads a window of its own, and has a date there
    archive = Archive()
    feed(archive, *windows(stream, data.draw(samples(len(stream), size)), style))
    assert archive.render().decode() == whole(stream, style).decode()


@given(st.data(), streams(), styles, st.integers(2, 8), st.integers(0, 30))
def test_a_crash_forgets_nothing(
    data: st.DataObject, stream: list[Segment], style: Style, size: int, crash: int
) -> None:
    versions = windows(stream, data.draw(samples(len(stream), size)), style)
    before = Archive()
    journal = feed(before, *versions[:crash])
    after = Archive()
    after.restore(from_json(json.dumps(journal)))
    feed(after, *(versions[crash:] or versions[-1:]))
    assert after.render() == whole(stream, style)


def from_json(text: str) -> list[Kept]:
    """What a journal that holds plain values gives back."""
    kept: list[Kept] = []
    for row in json.loads(text):
        if len(row) == len(KeptRange._fields):
            kept.append(KeptRange(*row))
        else:
            keys, map_line, map_keys = row[2]
            kept.append(KeptSegment(row[0], row[1], State(tuple(keys), map_line, tuple(map_keys)), *row[3:]))
    return kept


@given(streams(), styles)
def test_a_growing_playlist(stream: list[Segment], style: Style) -> None:
    archive = Archive()
    feed(archive, *(window(stream, 0, last, style) for last in range(1, len(stream) + 1)))
    assert archive.render() == whole(stream, style)


def test_growth_alone_is_learned() -> None:
    archive = Archive()
    old = HEAD + '#EXTINF:2,\n0.ts\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:2,\n1.ts\n'
    feed(archive, old)
    learned = feed(archive, old + "#EXTINF:2,\n2.ts\n")
    assert [(item.sequence, item.text) for item in learned if isinstance(item, KeptSegment)] == [
        (2, "#EXTINF:2,\n2.ts")
    ]
    assert archive.render().decode().count("EXT-X-KEY") == 1


def test_low_latency_tags_do_not_come_along() -> None:
    lines = archived(
        HEAD + "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES\n#EXT-X-PART-INF:PART-TARGET=1\n"
        '#EXT-X-PART:DURATION=1,URI="0.0.m4s"\n#EXTINF:2,\n0.m4s\n#EXT-X-PART:DURATION=1,URI="1.0.m4s"\n'
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="1.1.m4s"\n#EXT-X-RENDITION-REPORT:URI="b.m3u8"\n'
    )
    assert lines == [
        "#EXTM3U",
        "#EXT-X-TARGETDURATION:2",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXTINF:2,",
        "0.m4s",
        "#EXT-X-ENDLIST",
        "",
    ]


def test_date_ranges_that_travel_with_the_head_are_all_kept() -> None:
    first = '#EXT-X-DATERANGE:ID="a",START-DATE="2026-01-01T00:00:09Z"'
    second = '#EXT-X-DATERANGE:ID="b",START-DATE="2026-01-01T00:00:03Z"'
    later = '#EXT-X-DATERANGE:ID="c",START-DATE="2026-01-01T00:00:20Z"'
    segments = [f"#EXTINF:2,\n{number}.ts\n" for number in range(6)]
    versions = [
        f"{HEAD}#EXT-X-MEDIA-SEQUENCE:{at}\n{ranges}" + "".join(segments[at : at + 3])
        for at, ranges in enumerate(
            (f"{first}\n", f"{first}\n{second}\n", f"{second}\n{first}\n", f"{second}\n{later}\n")
        )
    ]
    lines = archived(*versions)
    assert lines[4:8] == [second, first, "#EXTINF:2,", "0.ts"]
    assert lines.index(later) == lines.index("3.ts") - 2  # seen once: it may be the segment's own


def test_a_date_range_after_the_last_segment_stays_there() -> None:
    tail = '#EXT-X-DATERANGE:ID="a",START-DATE="2026-01-01T00:00:09Z"'
    assert archived(f"{HEAD}#EXTINF:2,\n0.ts\n{tail}\n")[-3:] == [tail, "#EXT-X-ENDLIST", ""]


def test_maps_and_several_keys_are_written_where_they_change() -> None:
    one, two, other = (
        '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://a",KEYFORMAT="com.apple.streamingkeydelivery"',
        '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k.bin"',
        '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k2.bin"',
    )
    clear = '#EXT-X-MAP:URI="clear.mp4"'
    body = f"{clear}\n{one}\n{two}\n#EXTINF:2,\n0.ts\n{other}\n#EXTINF:2,\n1.ts\n"
    body += f"#EXT-X-KEY:METHOD=NONE\n{two}\n#EXTINF:2,\n2.ts\n"
    expected = [clear, one, two, "0.ts", other, "1.ts", "#EXT-X-KEY:METHOD=NONE", two, "2.ts"]
    assert [line for line in archived(HEAD + body) if line in expected] == expected


def test_a_new_map_is_read_with_the_keys_that_stood_before_it() -> None:
    key, clear = '#EXT-X-KEY:METHOD=AES-128,URI="k"', '#EXT-X-MAP:URI="b.mp4"'
    body = (
        f'{key}\n#EXT-X-MAP:URI="a.mp4"\n#EXTINF:2,\n0.m4s\n#EXT-X-KEY:METHOD=NONE\n{clear}\n{key}\n#EXTINF:2,\n1.m4s\n'
    )
    lines = archived(HEAD + body)
    assert lines[lines.index("0.m4s") + 1 : -1] == [
        "#EXT-X-KEY:METHOD=NONE",
        clear,
        key,
        "#EXTINF:2,",
        "1.m4s",
        "#EXT-X-ENDLIST",
    ]


def test_lost_segments_become_gaps() -> None:
    archive = Archive()
    feed(archive, HEAD + "#EXTINF:2,\n0.ts\n#EXT-X-GAP\n#EXTINF:2,\n1.ts\n#EXTINF:2,\n2.ts\n")
    found = scan(archive.render(gaps={1, 2}), PATH)
    assert [reference.required for reference in found.references] == [True, False, False]
    assert archive.render(gaps={1}) == archive.render()


def test_segments_that_no_version_showed_keep_their_numbers() -> None:
    lines = archived(f"{HEAD}#EXTINF:2,\n0.ts\n", f"{HEAD}#EXT-X-MEDIA-SEQUENCE:3\n#EXTINF:2,\n3.ts\n")
    found = scan("\n".join(lines).encode(), PATH)
    assert [tuple(reference[:1]) + reference[2:] for reference in found.references] == [
        ("live/0.ts", True, 0),
        ("live/3.ts", False, 1),
        ("live/3.ts", False, 2),
        ("live/3.ts", True, 3),
    ]


def test_too_many_unseen_segments_are_a_discontinuity() -> None:
    lines = archived(f"{HEAD}#EXTINF:2,\n0.ts\n", f"{HEAD}#EXT-X-MEDIA-SEQUENCE:{MAX_HOLE + 2}\n#EXTINF:2,\n9.ts\n")
    assert lines[lines.index("0.ts") + 1 :] == ["#EXT-X-DISCONTINUITY", "#EXTINF:2,", "9.ts", "#EXT-X-ENDLIST", ""]


def test_an_earlier_version_of_a_reused_name_gets_a_name_of_its_own() -> None:
    archive = Archive()
    feed(archive, HEAD + "#EXTINF:2,\na%20b/s%200.ts?x=1\n#EXTINF:2,\na%20b/s%200.ts\n")
    name = archived_name("live/a b/s 0.ts", 0)
    assert name == "live/a b/s 0.0.ts"
    found = scan(archive.render(renamed={0: name}), PATH)
    assert list(found.references.paths) == [name, "live/a b/s 0.ts"]
    assert archived_name("a.b/noext", 3) == "a.b/noext.3"


def test_complete_is_what_ended_and_lists_everything() -> None:
    archive = Archive()
    both, last = "#EXTINF:2,\n0.ts\n#EXTINF:2,\n1.ts\n", "#EXT-X-MEDIA-SEQUENCE:1\n#EXTINF:2,\n1.ts\n"
    feed(archive, HEAD + both, HEAD + last)

    def complete(body: str) -> bool:
        return archive.is_complete(scan((HEAD + body).encode(), PATH))

    assert complete(both + "#EXT-X-ENDLIST\n")
    assert not complete(both)
    assert not complete(last + "#EXT-X-ENDLIST\n")


def test_the_archive_lists_what_it_is_given_in_bytes_that_are_not_utf8() -> None:
    archive = Archive()
    feed(archive, HEAD.encode() + b"#EXTINF:2,\ncaf\xe9.ts\n")
    assert b"\ncaf\xe9.ts\n" in archive.render()


def test_a_real_writer_with_a_window() -> None:
    """What ffmpeg writes with `-hls_list_size 3`: the date of each segment after its EXTINF."""
    segment = "#EXTINF:1.000000,\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:0{0}.083+0000\ns{0}.m4s\n"
    header = (
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{}\n" + '#EXT-X-MAP:URI="init.mp4"\n'
    )
    versions = [header.format(at) + "".join(map(segment.format, range(at, at + 3))) for at in range(5)]
    lines = archived(*versions)
    assert lines[:6] == [*header.format(0).split("\n")[:4], "#EXT-X-PLAYLIST-TYPE:VOD", '#EXT-X-MAP:URI="init.mp4"']
    assert "\n".join(lines[6:]) == "".join(map(segment.format, range(7))) + "#EXT-X-ENDLIST\n"
    found = scan("\n".join(lines).encode(), PATH)
    assert (found.segments, found.playlist_type, found.endlist) == (7, "VOD", True)
    assert next(iter(found.references)).kind is ReferenceKind.MAP
