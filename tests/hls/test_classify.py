import pytest

from hlspub.hls.classify import classify, is_temporary, may_be_key, numbered, rendition_of, suffix_of
from hlspub.hls.media_types import MEDIA_TYPES, UNKNOWN, media_type, sniff, type_of_name
from hlspub.model import FileKind


@pytest.mark.parametrize(
    "path",
    [
        "index.m3u8.tmp",
        "hi/index0.ts.TMP",
        "chunk-stream0-00001.m4s.tmp",
        ".goutputstream-7K2QS2",
        "a/.goutputstream-7K2QS2",
        "packager-tempfile-4242-7f00-3",
        "v/packager-tempfile-4242-7f00-3",
        "playlist.m3u8.AB12cd",
        ".seg1.ts.Xy12Zz",
        ".hidden/seg1.ts",
        "seg1.ts~",
        "#index.m3u8#",
        "seg1.ts.part",
        "seg1.ts.filepart",
        "index.m3u8.sb-1a2b3c4d-XyZ123",
    ],
)
def test_temporary(path: str) -> None:
    assert is_temporary(path)


@pytest.mark.parametrize(
    "path",
    [
        "index.m3u8",
        "seg.temporary.ts",
        "tmp.ts",
        "part1.ts",
        "v1.2/seg.ts",
        "a.m3u8.old",
        "index.m3u8.gz",
        "#1.ts",
        "tmp/s.ts",
    ],
)
def test_not_temporary(path: str) -> None:
    assert not is_temporary(path)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("INDEX.M3U8", FileKind.PLAYLIST),
        ("old.m3u", FileKind.PLAYLIST),
        ("a/SEG0.TS", FileKind.MEDIA),
        ("init.mp4", FileKind.MEDIA),
        ("s.m4s", FileKind.MEDIA),
        ("s.cmfv", FileKind.MEDIA),
        ("s.vtt", FileKind.MEDIA),
        ("enc.key", FileKind.KEY),
        ("manifest.mpd", FileKind.OTHER),
        ("recording.mkv", FileKind.OTHER),
        ("a.ts/readme", FileKind.OTHER),
        (".ts", FileKind.OTHER),
    ],
)
def test_classify(path: str, kind: FileKind) -> None:
    assert classify(path) is kind


@pytest.mark.parametrize(
    ("path", "suffix"), [("a.b/c", ""), ("a.b/c.TS", "ts"), ("a.tar.gz", "gz"), (".key", ""), ("a.", "")]
)
def test_suffix(path: str, suffix: str) -> None:
    assert suffix_of(path) == suffix


def test_files_of_one_rendition_share_a_key() -> None:
    assert rendition_of("hi/seg001.m4s") == rendition_of("hi/seg002.m4s") == "hi/seg#.m4s"
    assert rendition_of("2026/11/24/07-05.ts") == "2026/11/24/#-#.ts"
    others = {"lo/seg001.m4s", "hi/seg001.ts", "hi/audio001.m4s", "hi2/seg001.m4s"}
    assert len({rendition_of(path) for path in others | {"hi/seg001.m4s"}}) == 5


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a1/s2_03.m4s", ("a1/s2_#.m4s", 3)),
        ("7.ts", ("#.ts", 7)),
        ("init.mp4", None),
        ("s" + "1" * 5000 + ".ts", ("s" + "1" * 4980 + "#.ts", int("1" * 20))),
    ],
)
def test_numbered(path: str, expected: tuple[str, int] | None) -> None:
    assert numbered(path) == expected


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("a/INDEX.M3U8", b"", "application/vnd.apple.mpegurl"),
        ("s.ts", b"#EXTM3U", "video/mp2t"),
        ("s.m4s", b"", "video/iso.segment"),
        ("init.mp4", b"", "video/mp4"),
        ("a.m4a", b"", "audio/mp4"),
        ("a.aac", b"", "audio/aac"),
        ("s.vtt", b"", "text/vtt; charset=utf-8"),
        ("enc.key", b"", "application/octet-stream"),
        ("playlist", b"\xef\xbb\xbf#EXTM3U\n", "application/vnd.apple.mpegurl"),
        ("noname", (b"\x47" + bytes(187)) * 2, "video/mp2t"),
        ("noname", b"\x47" + bytes(187), UNKNOWN),
        ("noname", b"\0\0\0\x18ftypiso6", "video/mp4"),
        ("noname", b"\0\0\0\x18stypmsdh", "video/iso.segment"),
        ("noname", b"WEBVTT\n", "text/vtt; charset=utf-8"),
        ("page", b"<html><script>", UNKNOWN),
        ("page.html", b"<html>", UNKNOWN),
        ("empty", b"", UNKNOWN),
    ],
)
def test_media_type(name: str, head: bytes, expected: str) -> None:
    assert media_type(name, head) == expected


def test_a_name_alone() -> None:
    assert type_of_name("x.weird") is None
    assert type_of_name("x.ts") == "video/mp2t"
    assert sniff(b"") == UNKNOWN


def test_nothing_that_a_browser_would_run() -> None:
    assert not [kind for kind in MEDIA_TYPES.values() if "html" in kind or "svg" in kind or "javascript" in kind]


@pytest.mark.parametrize(
    ("path", "size", "may"),
    [
        ("k.ts", 16, True),
        ("k.ts", 32, True),
        ("k.bin", 16, True),
        ("seg1.ts", 188, False),
        ("k.ts", 17, False),
        ("cue.vtt", 16, False),
        ("i.m3u8", 16, False),
    ],
)
def test_a_file_as_short_as_a_key_may_be_one(path: str, size: int, may: bool) -> None:
    assert may_be_key(path, size) is may
