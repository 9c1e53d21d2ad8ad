from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from hlspub.errors import PlaylistError
from hlspub.hls.playlist import Playlist
from hlspub.hls.scan import rescan, scan
from tests.hls.oracle import HEADER, PATH, bodies, outcome


def outcome_after(data: bytes, previous: Playlist) -> Playlist | str:
    try:
        return rescan(data, PATH, previous)
    except PlaylistError as why:
        return str(why)


@given(
    bodies(most=40),
    st.integers(0, 400),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "#EXT-X-ENDL", "\udce9", "\0"]),
)
@example(body='#EXT-X-MAP:URI="i"\n#EXT-X-GAP\n#EXTINF:1,\ns.ts\n#EXTINF:1,\nt.ts\n', cut=4, end="\n", tail="")
@example(body="#EXT-X-GAP\n#EXTINF:1,\ns.ts\n", cut=1, end="\n", tail="")
@example(
    body="#EXT-X-BYTERANGE:9@1\n#EXTINF:1,\ns.ts\n#EXT-X-BYTERANGE:9\n#EXTINF:1,\ns.ts\n", cut=3, end="\n", tail=""
)
def test_a_playlist_that_grew_reads_as_a_whole_one(body: str, cut: int, end: str, tail: str) -> None:
    lines = (HEADER + body).replace("\n", end).encode().splitlines(keepends=True)
    whole = b"".join(lines) + tail.encode("utf-8", "surrogateescape")
    before = outcome(b"".join(lines[: 3 + cut]))
    if isinstance(before, Playlist):
        assert outcome_after(whole, before) == outcome(whole)


@given(bodies(most=40), st.integers(0, 4000))
def test_a_playlist_that_was_cut_anywhere_reads_as_a_whole_one(body: str, cut: int) -> None:
    whole = (HEADER + body).encode()
    before = outcome(whole[:cut])
    if isinstance(before, Playlist):
        assert outcome_after(whole, before) == outcome(whole)


@given(bodies(most=20), bodies(most=20))
def test_a_playlist_that_did_not_grow_is_read_anew(one: str, other: str) -> None:
    before = outcome((HEADER + one).encode())
    if isinstance(before, Playlist):
        assert outcome_after((HEADER + other).encode(), before) == outcome((HEADER + other).encode())


def test_an_unchanged_playlist_is_the_same_object() -> None:
    data = (HEADER + "#EXTINF:1,\na.ts\n").encode()
    before = scan(data, PATH)
    assert rescan(data, PATH, before) is before


def test_one_changed_byte_in_the_old_part_is_noticed() -> None:
    old = (HEADER + "#EXTINF:1,\na.ts\n#EXTINF:1,\nb.ts\n").encode()
    new = old.replace(b"a.ts", b"c.ts") + b"#EXTINF:1,\nd.ts\n"
    found = rescan(new, PATH, scan(old, PATH))
    assert [reference.path for reference in found.references] == ["live/c.ts", "live/b.ts", "live/d.ts"]


def test_growth_alone_is_parsed() -> None:
    old = (HEADER + "#EXTINF:1,\na.ts\n").encode()
    before = scan(old, PATH)
    found = rescan(old + b"#EXTINF:1,\nb.ts\n", PATH, before)
    assert found.references.paths[0] is before.references.paths[0]


def test_another_path_or_other_variables_are_read_anew() -> None:
    data = (HEADER + '#EXT-X-DEFINE:IMPORT="n"\n#EXTINF:1,\n{$n}.ts\n').encode()
    before = scan(data, PATH, variables={"n": "x"})
    assert rescan(data, "i.m3u8", before, variables={"n": "x"}).references.paths == ("x.ts",)
    assert rescan(data, PATH, before, variables={"n": "y"}).references.paths == ("live/y.ts",)
    assert rescan(data, PATH, before).refused
    assert rescan(data, PATH, before, variables={"n": "x"}) is before


def test_a_path_is_in_memory_once() -> None:
    text = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ns0.ts\n#EXTINF:2,\ns1.ts\n"
    known = {path: "".join(path) for path in ("v/s0.ts", "v/s1.ts", "v/s2.ts")}
    first = scan(text, "v/index.m3u8")
    shared = first.references.sharing(lambda path: known.get(path, path))
    assert shared == first.references
    assert all(path is known[path] for path in shared.paths)
    grown = rescan(text + b"#EXTINF:2,\ns2.ts\n", "v/index.m3u8", replace(first, references=shared))
    asked: list[str] = []
    again = grown.references.sharing(lambda path: (asked.append(path), known[path])[1], shared)
    assert (asked, again) == (["v/s2.ts"], grown.references)
    assert all(path is known[path] for path in again.paths)
    slid = scan(b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:1\n#EXTINF:2,\ns1.ts\n", "v/index.m3u8")
    assert slid.references.sharing(known.__getitem__, again).paths[0] is known["v/s1.ts"]
