"""Damaged playlists: whatever is in the file, a scan ends with a playlist or a PlaylistError."""

import random
from collections.abc import Iterator
from contextlib import suppress

import pytest

from hlspub.errors import PlaylistError
from hlspub.hls import runs
from hlspub.hls.archive import Archive
from hlspub.hls.edit import add_endlist, mark_gaps
from hlspub.hls.playlist import Playlist, PlaylistKind
from hlspub.hls.scan import rescan, scan
from hlspub.hls.variants import read_variants
from tests.hls.oracle import PATH, playlists_of_the_corpus

PIECES = [
    b"\n", b"\r\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b" ", b"\t", b"#", b'"', b",", b"=", b":", b"%", b"%00", b"%5c",
    b"../", b"//", b"\\", b"?", b"{$x}", b"#EXT", b"#EXTM3U\n", b"#EXTINF:", b"#EXTINF:1,\ns.ts\n", b"#EXT-X-GAP\n",
    b"#EXT-X-ENDLIST\n", b"#EXT-X-STREAM-INF:BANDWIDTH=1\n", b"#EXT-X-BYTERANGE:1@2\n", b"#EXT-X-MEDIA-SEQUENCE:",
    b"#EXT-X-SKIP:SKIPPED-SEGMENTS=", b'#EXT-X-PART:URI="p"\n', b'#EXT-X-DEFINE:NAME="x",VALUE="{$x}"\n', b"9" * 30, b"nan",
    b"\xe2\x80\xa8", b"\x0b", b"\x1c", b"https:", b"data:,", b"file:///", b"C:\\",
]  # fmt: skip


def mutants(count: int, seed: int) -> Iterator[bytes]:
    """Playlists of the corpus with one to four changes each."""
    dice = random.Random(seed)
    corpus = [data[:4000] for _, data in playlists_of_the_corpus()]
    for form in (b"#EXTINF:1,\nn%d.ts\n", b"#EXTINF:1,\n#EXT-X-BYTERANGE:9@%d\nall.ts\n"):
        corpus.append(corpus[0] + b"".join(form % n for n in range(2 * runs.FIRST_ROWS)))
    for _ in range(count):
        data = bytearray(dice.choice(corpus))
        for _ in range(dice.randint(1, 4)):
            at, length = dice.randrange(len(data) + 1), dice.choice((0, 0, 1, 3, 40))
            match dice.randrange(4):
                case 0:
                    data[at : at + length] = dice.choice(PIECES)
                case 1:
                    data[at : at + length] = dice.randbytes(length)
                case 2:
                    start = dice.randrange(len(data) + 1)
                    data[at:at] = data[start : start + 60]
                case _:
                    del data[at : at + dice.choice((1, 3, 40, 4000))]
        yield bytes(data)


def read(data: bytes, previous: Playlist | None) -> Playlist | None:
    """The playlist, if it is one; PlaylistError is the only exception there may be, from a scan and a rescan alike."""
    try:
        playlist = scan(data, PATH)
    except PlaylistError:
        playlist = None
    try:
        again = rescan(data, PATH, previous) if previous else playlist
    except PlaylistError:
        again = None
    assert again == playlist
    return playlist


def make_use_of(data: bytes, playlist: Playlist | None) -> None:
    """What else is done with a playlist's bytes. What comes out of a whole one is whole."""
    with suppress(PlaylistError):
        scan(data, PATH, partial=True)
    if playlist is None:
        return
    lost = frozenset(playlist.references.paths[::2])
    edited = scan(add_endlist(mark_gaps(data, PATH, lost)), PATH)
    assert edited.references.paths == playlist.references.paths
    if playlist.kind is PlaylistKind.MEDIA:
        archive = Archive()
        archive.feed(data, playlist)
        assert scan(archive.render(), PATH).segments == playlist.segments


def run(count: int, seed: int) -> tuple[int, int]:
    """Read `count` mutants; how many were playlists, and how many were not."""
    previous, good, bad = None, 0, 0
    for number, data in enumerate(mutants(count, seed)):
        playlist = read(data, previous)
        if number % 5 == 0:
            make_use_of(data, playlist)
        previous = playlist or previous
        good, bad = good + (playlist is not None), bad + (playlist is None)
    return good, bad


def test_a_damaged_playlist_raises_nothing_else() -> None:
    good, bad = run(20_000, seed=1)
    assert good > 4000
    assert bad > 4000


def test_a_damaged_playlist_never_stops_the_variants_report() -> None:
    found = [read_variants(data) for data in mutants(2_000, seed=2)]
    assert any(variants.problem for variants in found)
    assert any(variants.variants for variants in found)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_million_damaged_playlists() -> None:
    good, bad = run(1_000_000, seed=3)
    assert good > 200_000
    assert bad > 200_000
