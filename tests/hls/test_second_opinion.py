"""The m3u8 library reads the same segments, where it reads at all."""

import m3u8
import pytest
from hypothesis import assume, given, reject

from hlspub.hls.playlist import Playlist, PlaylistKind, ReferenceKind
from hlspub.hls.references import Local, resolve
from hlspub.hls.scan import scan
from tests.hls.oracle import HEADER, PATH, bodies, playlists_of_the_corpus

# What the library is known to misread: variables, a delta update's numbering, URIs without EXTINF behind an
# EXT-X-BYTERANGE, bytes that are not UTF-8, other than playlists.
MISREAD = ("hand_bad_utf8", "hand_html_error_page")


def segments(playlist: Playlist) -> list[str]:
    return [reference.path for reference in playlist.references.of_kind(ReferenceKind.SEGMENT)]


def theirs(text: str, path: str) -> tuple[list[str], list[str]]:
    """The local segments and the listed playlists that m3u8 finds."""
    found = m3u8.loads(text)
    listed = [*found.media, *found.playlists, *found.iframe_playlists]
    uris = [segment.uri for segment in found.segments if segment.uri], [item.uri for item in listed if item.uri]
    local, playlists = ([where.path for uri in part if isinstance(where := resolve(uri, path), Local)] for part in uris)
    return local, playlists


@pytest.mark.parametrize(
    ("name", "data"),
    [case for case in playlists_of_the_corpus() if not case[0].startswith(MISREAD)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_corpus(name: str, data: bytes) -> None:
    playlist = scan(data, name, partial=True)
    local, playlists = theirs(data.decode("utf-8-sig"), name)
    assert segments(playlist) == local
    listed = playlist.references.of_kind(ReferenceKind.PLAYLIST)
    assert sorted(reference.path for reference in listed) == sorted(playlists)
    assert playlist.kind is (PlaylistKind.MULTIVARIANT if playlists else PlaylistKind.MEDIA)


@given(bodies(most=20))
def test_generated_playlists(body: str) -> None:
    assume(not any(misread in body for misread in ("{$", "EXT-X-SKIP", "stray.ts")))
    try:
        local, _ = theirs(HEADER + body, PATH)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        reject()
    assert segments(scan((HEADER + body).encode(), PATH, partial=True)) == local
