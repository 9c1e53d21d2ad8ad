import pytest

from tests.gateway.house import House

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("master.m3u8", "application/vnd.apple.mpegurl"), ("SEG.TS", "video/mp2t"), ("s.m4s", "video/iso.segment"),
        ("init.mp4", "video/mp4"), ("a.m4a", "audio/mp4"), ("a.aac", "audio/aac"), ("sub.vtt", "text/vtt; charset=utf-8"),
        ("x.key", "application/octet-stream"), ("poster.jpg", "image/jpeg"), ("readme", "application/octet-stream"),
        ("data.json", "application/json"), ("page.html", "text/html; charset=utf-8"), ("logo.svg", "image/svg+xml"),
        ("subs.ttml", "application/ttml+xml"), ("stream.mpd", "application/dash+xml"), ("feed.xml", "application/xml"),
    ],
)  # fmt: skip
async def test_the_name_says_the_type(house: House, name: str, media_type: str) -> None:
    root = house.blocks.tree({name: b"\x00\x01"})
    answer = await house.get(f"/ipfs/{root}/{name}")
    assert answer.headers["content-type"] == media_type
    assert answer.headers["x-content-type-options"] == "nosniff"
    is_active = media_type.startswith("text/html") or "xml" in media_type
    assert ("content-security-policy" in answer.headers) is is_active


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"#EXTM3U\n#EXT-X-VERSION:3\n", "application/vnd.apple.mpegurl"),
        (b"WEBVTT\n\n", "text/vtt; charset=utf-8"),
        ((b"\x47" + b"\0" * 187) * 3, "video/mp2t"),
        (b"\0\0\0\x18ftypisom", "video/mp4"),
        (b"\0\0\0\x18stypmsdh", "video/iso.segment"),
        (b"", "application/octet-stream"),
        (b"<script>alert(1)</script>", "application/octet-stream"),
    ],
)
async def test_without_a_name_the_bytes_say_it(house: House, head: bytes, media_type: str) -> None:
    cid, _ = house.blocks.file(head)
    for method in ("GET", "HEAD"):
        assert (await house.get(f"/ipfs/{cid}", method=method)).headers["content-type"] == media_type
