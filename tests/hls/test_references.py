from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.hls.references import Inline, Local, Refused, Remote, decode, resolve

BASE = "live/hi/i.m3u8"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("s.ts", "live/hi/s.ts"),
        (" s.ts ", "live/hi/s.ts"),
        ("a b.ts", "live/hi/a b.ts"),
        ("./s.ts", "live/hi/s.ts"),
        ("a//./b.ts", "live/hi/a/b.ts"),
        ("../lo/s.ts", "live/lo/s.ts"),
        ("../../s.ts", "s.ts"),
        ("a/../b.ts", "live/hi/b.ts"),
        ("%2e%2e/s.ts", "live/s.ts"),
        ("a%2Fb.ts", "live/hi/a/b.ts"),
        ("%252e%252e/s.ts", "live/hi/%2e%2e/s.ts"),
        ("my%20seg%230.ts?t=../x#frag", "live/hi/my seg#0.ts"),
        ("100%.ts", "live/hi/100%.ts"),
        ("caf%C3%A9.ts", "live/hi/caf\u00e9.ts"),
        ("caf%E9.ts", "live/hi/caf\udce9.ts"),
        ("caf\udcc3%A9.ts", "live/hi/caf\u00e9.ts"),
        ("cafe\u0301.ts", "live/hi/cafe\u0301.ts"),
        ("12:30.ts", "live/hi/12:30.ts"),
        ("seg_12:30.ts", "live/hi/seg_12:30.ts"),
        ("s.ts?u=https://x", "live/hi/s.ts"),
        (".hidden.ts", "live/hi/.hidden.ts"),
    ],
)
def test_local(uri: str, path: str) -> None:
    assert resolve(uri, BASE) == Local(path)


@pytest.mark.parametrize(
    "uri",
    ["https://x.example/s.ts", "HTTP://x.example/s.ts", "//x.example/s.ts", "skd://a", "urn:uuid:1", "seg-1:2.ts"],
)
def test_remote(uri: str) -> None:
    assert resolve(uri, BASE) == Remote(uri)


def test_inline() -> None:
    assert resolve("data:text/plain;base64,AA==", BASE) == Inline("data:text/plain;base64,AA==")


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("../../../etc/passwd", "escapes-root"),
        ("%2e%2e/%2e%2e/%2e%2e/x", "escapes-root"),
        ("../../../live/hi/s.ts", "escapes-root"),
        ("/etc/passwd", "absolute"),
        ("%2Fetc/passwd", "absolute"),
        ("C:/x.ts", "absolute"),
        ("file:///etc/passwd", "file-url"),
        ("FILE:x.ts", "file-url"),
        ("..\\x.ts", "backslash"),
        ("a%5Cx.ts", "backslash"),
        ("a%00.ts", "nul"),
        ("", "empty"),
        ("?only=query", "empty"),
        ("..", "not-a-file"),
        ("a/", "not-a-file"),
        ("a/.", "not-a-file"),
    ],
)
def test_refused(uri: str, reason: str) -> None:
    assert resolve(uri, BASE) == Refused(uri, reason)


@given(
    st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=4).map("/".join), st.sampled_from([BASE, "i.m3u8"])
)
def test_nothing_leads_out(uri: str, base: str) -> None:
    found = resolve(uri, base)
    if isinstance(found, Local):
        steps = found.path.split("/")
        assert not {"", ".", ".."} & set(steps)
        assert "\\" not in found.path
        assert "\0" not in found.path


@given(st.text())
def test_decoding_undoes_one_encoding(text: str) -> None:
    assert decode(quote(text)) == text
    assert decode(quote(quote(text))) == quote(text)
