import pytest

from hlspub.errors import InputError
from hlspub.hls.codes import REASONS, WARNINGS
from hlspub.hls.inspect import Inspection, Node, NodeKind, inspect
from hlspub.hls.variants import Variant, read_variants

HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n"


def look(files: dict[str, str], entry: str = "auto", **nodes: NodeKind) -> Inspection:
    listing = {path: Node(NodeKind.FILE, len(text)) for path, text in files.items()}
    listing |= {path: Node(kind) for path, kind in nodes.items()}
    return inspect(listing, lambda path: files[path].encode(), entry=entry)


def test_an_empty_directory() -> None:
    found = look({})
    assert (found.entry, found.kind, found.warn, found.complete) == (None, "invalid", ("no-playlist",), False)


def test_several_candidates_are_left_to_the_reader() -> None:
    files = {"cam1.m3u8": f"{HEAD}#EXTINF:1,\ncam10.ts\n", "cam10.m3u8": f"{HEAD}#EXTINF:1,\ncam100.ts\n"}
    found = look(files)
    assert (found.entry, found.candidates, found.warn) == (None, ("cam1.m3u8", "cam10.m3u8"), ("needs-entry",))
    chosen = look(files, entry="cam10.m3u8")
    assert (chosen.entry, chosen.kind, chosen.missing, chosen.orphans) == (
        "cam10.m3u8",
        "media",
        ("cam100.ts",),
        ("cam1.m3u8",),
    )


def test_playlists_that_number_the_same_segments_twice_are_left_to_the_reader() -> None:
    body = f"{HEAD}#EXTINF:1,\ns0.ts\n#EXTINF:1,\ns1.ts\n"
    assert look({"a.m3u8": body, "b.m3u8": body}).entry is None


def test_an_entry_with_any_name_may_be_given() -> None:
    files = {"playlist.txt": f"{HEAD}#EXTINF:1,\ns0.ts\n#EXT-X-ENDLIST\n", "s0.ts": "x"}
    assert look(files, entry="playlist.txt").complete
    assert look(files | {"note.txt": "hello"}, entry="note.txt").kind == "invalid"
    with pytest.raises(InputError, match=r"there is no nope\.m3u8"):
        look(files, entry="nope.m3u8")


def test_variables_reach_the_media_playlists() -> None:
    found = look(
        {
            "m.m3u8": '#EXTM3U\n#EXT-X-DEFINE:NAME="n",VALUE="seg"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv/i.m3u8\n',
            "v/i.m3u8": f'{HEAD}#EXT-X-DEFINE:IMPORT="n"\n#EXTINF:1,\n{{$n}}1.ts\n#EXT-X-ENDLIST\n',
            "v/seg1.ts": "x",
        }
    )
    assert (found.files, found.refuse, found.complete) == (("v/i.m3u8", "v/seg1.ts"), (), True)


def test_a_listed_playlist_that_is_none() -> None:
    found = look({"m.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n", "v.m3u8": "<html>"})
    assert (found.files, found.complete, found.warn) == (("v.m3u8",), False, ("not-a-playlist",))


def test_one_rendition_that_goes_on_makes_it_incomplete() -> None:
    masters = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\nb.m3u8\n"
    ended = {"m.m3u8": masters, "a.m3u8": HEAD + "#EXT-X-ENDLIST\n", "b.m3u8": HEAD + "#EXT-X-ENDLIST\n"}
    assert look(ended).complete
    assert not look(ended | {"b.m3u8": HEAD}).complete


@pytest.mark.parametrize(
    ("body", "nodes", "missing", "warn"),
    [
        ('#EXT-X-MAP:URI="i.mp4"\n', {}, ("i.mp4",), ("missing-map",)),
        ('#EXT-X-PART:DURATION=1,URI="p.ts"\n', {}, ("p.ts",), ("ll-hls-needs-dynamic-origin", "missing-segment")),
        ('#EXT-X-KEY:METHOD=AES-128,URI="k"\n', {}, ("k",), ("missing-key",)),
        ("#EXT-X-GAP\n#EXTINF:1,\ns.ts\n", {}, (), ()),
        ("#EXTINF:1,\n#EXT-X-BYTERANGE:9\nshort\n", {}, (), ("range-beyond-file",)),
        ("#EXTINF:1,\n.hidden.ts\n", {}, (), ("temporary-name",)),
        ("#EXTINF:1,\ns3.ts\n#EXTINF:1,\ns0.ts\n", {}, (), ("reused-names",)),
        ("#EXTINF:1,\nad1.ts\n#EXTINF:1,\nb3.ts\n#EXTINF:1,\nad1.ts\n#EXTINF:1,\nb4.ts\n", {}, (), ()),
    ],
)
def test_warnings(body: str, nodes: dict[str, NodeKind], missing: tuple[str, ...], warn: tuple[str, ...]) -> None:
    there = dict.fromkeys(("short", ".hidden.ts", "s3.ts", "s0.ts", "ad1.ts", "b3.ts", "b4.ts"), "12345")
    found = look({"i.m3u8": HEAD + body, **there}, **nodes)
    assert (found.missing, found.warn) == (missing, warn)


def test_what_is_no_regular_file_is_refused() -> None:
    found = look({"i.m3u8": f"{HEAD}#EXTINF:1,\na\n#EXTINF:1,\nb\n"}, a=NodeKind.OTHER, b=NodeKind.ESCAPE)
    assert [tuple(refused) for refused in found.refuse] == [("a", "not-a-file"), ("b", "symlink-escape")]
    assert (found.missing, found.files, found.orphans) == ((), (), ("a", "b"))


def test_every_code_that_can_be_said_has_its_sentence() -> None:
    assert all(sentence.endswith(".") for sentence in WARNINGS.values())
    assert all(reason.startswith("it ") for reason in REASONS.values())


def test_variants() -> None:
    found = read_variants(
        b'#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",LANGUAGE="en",URI="a.m3u8"\n'
        b'#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="c",NAME="cc",INSTREAM-ID="CC1"\n'
        b'#EXT-X-STREAM-INF:BANDWIDTH=2000,AVERAGE-BANDWIDTH=1500,RESOLUTION=1280x720,CODECS="avc1.64001f,mp4a.40.2",'
        b'FRAME-RATE=25.000,AUDIO="a"\nv.m3u8\n'
        b'#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=100,RESOLUTION=1280x720,CODECS="avc1.64001f",URI="i.m3u8"\n'
    )
    assert found.problem == ""
    assert found.variants == (
        Variant(
            uri="v.m3u8",
            kind="variant",
            bandwidth=2000,
            average_bandwidth=1500,
            resolution=(1280, 720),
            codecs="avc1.64001f,mp4a.40.2",
            frame_rate=25.0,
        ),
        Variant(uri="i.m3u8", kind="i-frame", bandwidth=100, resolution=(1280, 720), codecs="avc1.64001f"),
        Variant(uri="a.m3u8", kind="audio", name="English", language="en"),
    )


def test_variants_that_the_library_cannot_read() -> None:
    found = read_variants(b"#EXTM3U\n#EXT-X-STREAM-INF:RESOLUTION=1x1\nv.m3u8\n")
    assert (found.variants, found.problem) == ((), "KeyError: 'bandwidth'")
