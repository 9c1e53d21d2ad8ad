from dataclasses import replace

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlspub.errors import BlockError
from hlspub.ipld import walk
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dagpb import Link
from hlspub.ipld.hamt import name_hash
from hlspub.ipld.node import Kind
from hlspub.ipld.profile import PROFILES, Profile
from hlspub.ipld.unixfs import DIRECTORY_DATA, hamt_data
from tests.dags import Dags

edges = st.integers(0, 450)
profiles = st.sampled_from(list(PROFILES.values()))
narrow = st.builds(replace, profiles, chunk_size=st.integers(1, 30), max_links=st.integers(2, 4))
both = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
MANY = 6000  # entries: sharded in both profiles


def many(count: int = MANY) -> dict[str, bytes]:
    return {f"seg_{i:05d}.ts": b"%d" % (i % 7) for i in range(count)}


@given(narrow, st.binary(max_size=400), edges, edges)
def test_reads_any_range_from_the_blocks_that_hold_it(profile: Profile, data: bytes, start: int, end: int) -> None:
    dags, chunk = Dags(), profile.chunk_size
    cid, _ = dags.file(data, profile)
    assert walk.run(walk.file_size(cid), dags.fetch) == len(data)
    assert b"".join(walk.stream(walk.read_file(cid), dags.fetch)) == data
    assert b"".join(walk.stream(walk.read_file(cid, start), dags.fetch)) == data[start:]
    dags.asked.clear()
    assert b"".join(walk.stream(walk.read_file(cid, start, end), dags.fetch)) == data[start:end]
    leaves = [asked for asked in dags.asked if asked != cid and len(dags[asked]) <= chunk + 14]
    assert len(leaves) <= max(end - start, 0) // chunk + 2
    needed = set(dags.asked)
    for other in set(dags) - needed:
        del dags[other]
    assert b"".join(walk.stream(walk.read_file(cid, start, end), dags.fetch)) == data[start:end]


@both
def test_resolves_through_plain_and_sharded_directories(profile: Profile) -> None:
    files = {f"a/b/{name}": data for name, data in many().items()} | {"a/index.m3u8": b"#EXTM3U"}
    dags = Dags()
    root = dags.tree(files, profile)
    for path in ("a/index.m3u8", "a/b/seg_00000.ts", "a/b/seg_05999.ts"):
        dags.asked.clear()
        found = walk.run(walk.resolve(root, path.split("/")), dags.fetch)
        assert (found.kind, found.size, found.remaining) == (Kind.FILE, len(files[path]), ())
        assert (found.cid, found.block) == (dags.file(files[path], profile)[0], dags[found.cid])
        assert (len(found.roots), found.roots[0], found.roots[-1]) == (len(path.split("/")) + 1, root, found.cid)
        assert list(found.trail) == dags.asked
        assert set(found.roots) <= set(found.trail)
    assert len(walk.run(walk.resolve(root, ["a", "b", "seg_00001.ts"]), dags.fetch).trail) > 4  # shards between


@both
def test_a_path_that_leads_nowhere_says_where_it_ends(profile: Profile) -> None:
    dags = Dags()
    root = dags.tree({f"b/{name}": data for name, data in many().items()} | {"f": b""}, profile)

    def end(*path: str) -> tuple[str, ...]:
        return walk.run(walk.resolve(root, path), dags.fetch).remaining

    assert end("c") == ("c",)
    assert end("b", "c", "d") == ("c", "d")
    assert end("b", "seg_99999.ts") == ("seg_99999.ts",)
    assert end("b", "") == ("",)
    assert end("f", "x") == ("x",)
    assert end("b", "seg_00000.ts", "x", "y") == ("x", "y")
    assert end() == end("b") == ()


@both
@pytest.mark.parametrize("count", [0, 1, 300, MANY])
def test_lists_a_directory_by_the_bytes_of_its_names(profile: Profile, count: int) -> None:
    files = many(count) | dict.fromkeys(("é", "Z", "a", "日本", "\U0001d11e", "\uffee", "~"), b"x")
    dags = Dags()
    links = walk.run(walk.list_directory(dags.tree(files, profile)), dags.fetch)
    assert [link.name for link in links] == sorted(files, key=str.encode)
    assert [(link.cid, link.tsize) for link in links] == [dags.file(files[link.name], profile) for link in links]


@both
def test_walks_a_tree(profile: Profile) -> None:
    files = {f"v/{name}": data for name, data in many(700).items()} | {"m.m3u8": b"x", "v/d/e/f.ts": bytes(3_000_000)}
    dags = Dags()
    entries = list(walk.stream(walk.walk_tree(dags.tree(files, profile)), dags.fetch))
    assert {e.path for e in entries if e.kind is Kind.FILE} == files.keys()
    assert [e.path for e in entries if e.kind is Kind.DIRECTORY] == ["v", "v/d", "v/d/e"]
    assert all(e.cid == dags.file(files[e.path], profile)[0] for e in entries if e.kind is Kind.FILE)


def test_a_tree_with_too_many_paths_ends() -> None:
    dags = Dags()
    below = dags.raw(b"x")
    for _ in range(60):  # 2^60 paths in 61 blocks
        below = dags.node([Link("a", below, 1), Link("b", below, 1)], DIRECTORY_DATA)
    walked = walk.stream(walk.walk_tree(below, max_paths=1000), dags.fetch)
    with pytest.raises(BlockError, match="more than 1000 paths"):
        list(walked)
    assert len(dags.asked) < 5000


def test_a_tree_that_is_too_deep_ends() -> None:
    dags = Dags()
    below = dags.raw(b"x")
    for _ in range(walk.MAX_DEPTH + 3):
        below = dags.node([Link("a", below, 1)], DIRECTORY_DATA)
    with pytest.raises(BlockError, match="levels"):
        list(walk.stream(walk.walk_tree(below), dags.fetch))


def test_blocks_in_their_own_cid_are_not_asked_for() -> None:
    dags = Dags()
    leaf = Cid.of_inline(Codec.RAW, b"hello")
    root = dags.node([Link("f", dags.inner((leaf, 5), (leaf, 5)), 10), Link("i", leaf, 5)], DIRECTORY_DATA)
    file = walk.run(walk.resolve(root, ["f"]), dags.fetch).cid
    assert b"".join(walk.stream(walk.read_file(file), dags.fetch)) == b"hellohello"
    assert walk.run(walk.resolve(root, ["i"]), dags.fetch).block == b"hello"
    assert leaf not in dags.asked


def test_data_in_an_inner_node_comes_before_its_parts() -> None:
    dags = Dags()
    cid = dags.inner((dags.raw(b"cd"), 2), (dags.inner((dags.raw(b"fg"), 2), own=b"e"), 3), own=b"ab")
    for start in range(8):
        for end in range(9):
            assert b"".join(walk.stream(walk.read_file(cid, start, end), dags.fetch)) == b"abcdefg"[start:end]


def test_a_symlink_reads_as_its_target_but_is_no_part_of_a_file() -> None:
    dags = Dags()
    link = dags.node([], b"\x08\x04\x12\x03a/b")
    assert b"".join(walk.stream(walk.read_file(link), dags.fetch)) == b"a/b"
    found = walk.run(walk.resolve(link, ["x"]), dags.fetch)
    assert (found.kind, found.size, found.remaining) == (Kind.SYMLINK, 3, ("x",))
    with pytest.raises(BlockError, match=r"not a file \(symlink\)"):
        list(walk.stream(walk.read_file(dags.inner((link, 3))), dags.fetch))


def test_sizes_that_contradict_one_another_are_refused() -> None:
    dags = Dags()
    with pytest.raises(BlockError, match="has 2 bytes where its parent says 3"):
        list(walk.stream(walk.read_file(dags.inner((dags.raw(b"ab"), 3))), dags.fetch))
    with pytest.raises(BlockError, match="not a file"):
        list(walk.stream(walk.read_file(dags.node([], DIRECTORY_DATA)), dags.fetch))
    with pytest.raises(BlockError, match="not a directory"):
        walk.run(walk.list_directory(dags.raw(b"x")), dags.fetch)
    with pytest.raises(BlockError, match="not a file"):
        walk.run(walk.file_size(dags.node([], DIRECTORY_DATA)), dags.fetch)


def test_parts_without_bytes_are_never_followed() -> None:
    dags = Dags()
    empty = dags.raw(b"")
    for _ in range(60):  # 2^60 ways to read nothing
        empty = dags.inner((empty, 0), (empty, 0))
    cid = dags.inner((empty, 0), (dags.raw(b"x"), 1))
    assert b"".join(walk.stream(walk.read_file(cid), dags.fetch)) == b"x"
    assert len(dags.asked) == 2


def test_a_file_that_is_too_deep_is_refused() -> None:
    dags = Dags()
    cid = dags.raw(b"x")
    for _ in range(walk.MAX_DEPTH):
        cid = dags.inner((cid, 1))
    assert b"".join(walk.stream(walk.read_file(cid), dags.fetch)) == b"x"
    with pytest.raises(BlockError, match="levels"):
        list(walk.stream(walk.read_file(dags.inner((cid, 1))), dags.fetch))


def shard(dags: Dags, links: dict[str, Cid], fanout: int = 256) -> Cid:
    width = len(f"{fanout - 1:X}")
    taken = sum(1 << int(name[:width], 16) for name in links)
    return dags.node([Link(name, cid, 1) for name, cid in sorted(links.items())], hamt_data(taken, fanout))


@pytest.mark.parametrize("fanout", [8, 16, 256, 1024])
def test_reads_hamts_of_any_fanout(fanout: int) -> None:
    dags = Dags()
    bits = fanout.bit_length() - 1
    width = len(f"{fanout - 1:X}")
    leaf = dags.raw(b"x")

    def build(names: list[str], level: int) -> Cid:
        slots: dict[int, list[str]] = {}
        for name in names:
            slot = name_hash(name.encode()) >> 64 - bits * (level + 1) & (fanout - 1)
            slots.setdefault(slot, []).append(name)
        links = {
            f"{slot:0{width}X}" + (inside[0] if len(inside) == 1 else ""): (
                leaf if len(inside) == 1 else build(inside, level + 1)
            )
            for slot, inside in slots.items()
        }
        return shard(dags, links, fanout)

    names = [f"n{i}" for i in range(500)]
    root = build(names, 0)
    assert [link.name for link in walk.run(walk.list_directory(root), dags.fetch)] == sorted(names)
    assert all(not walk.run(walk.resolve(root, [name]), dags.fetch).remaining for name in names)
    assert walk.run(walk.resolve(root, ["n500"]), dags.fetch).remaining


def test_an_entry_in_a_strange_slot_of_a_hamt_is_refused() -> None:
    dags = Dags()
    leaf = dags.raw(b"x")
    slot = name_hash(b"name") >> 56
    strange = shard(dags, {f"{slot ^ 1:02X}name": leaf})
    with pytest.raises(BlockError, match="slot that is not its own"):
        walk.run(walk.list_directory(strange), dags.fetch)
    assert walk.run(walk.resolve(strange, ["name"]), dags.fetch).remaining == ("name",)


def test_a_hamt_that_shares_shards_to_grow_without_end_is_refused() -> None:
    dags = Dags()
    below = shard(dags, {"00name": dags.raw(b"x")})
    for _ in range(7):
        below = shard(dags, {f"{slot:02X}": below for slot in range(256)})
    with pytest.raises(BlockError, match="slot that is not its own"):
        walk.run(walk.list_directory(below), dags.fetch)
    assert len(dags.asked) <= 8


def test_a_hamt_deeper_than_its_hash_is_refused() -> None:
    dags = Dags()
    name = "name"
    slots = name_hash(name.encode()).to_bytes(8, "big")
    below = shard(dags, {"00" + name: dags.raw(b"x")})
    for slot in reversed(slots):
        below = shard(dags, {f"{slot:02X}": below})
    with pytest.raises(BlockError, match="not a shard of the HAMT"):
        walk.run(walk.resolve(below, [name]), dags.fetch)
    with pytest.raises(BlockError, match="not a shard of the HAMT"):
        walk.run(walk.list_directory(below), dags.fetch)


@pytest.mark.parametrize("kind", ["empty", "flat", "fanout", "file"])
def test_what_is_no_shard_cannot_hang_in_a_hamt(kind: str) -> None:
    dags = Dags()
    slot = name_hash(b"name") >> 56
    other = {
        "empty": shard(dags, {}),
        "flat": dags.node([Link("name", dags.raw(b"x"), 1)], DIRECTORY_DATA),
        "fanout": shard(dags, {"0name": dags.raw(b"x")}, 16),
        "file": dags.inner((dags.raw(b"x"), 1)),
    }[kind]
    root = shard(dags, {f"{slot:02X}": other})
    for attempt in (walk.resolve(root, ["name"]), walk.list_directory(root)):
        with pytest.raises(BlockError, match="not a shard of the HAMT"):
            walk.run(attempt, dags.fetch)


def test_what_the_source_raises_comes_through() -> None:
    dags = Dags()
    root = dags.tree({"a/b": b"x"})
    for cid in [cid for cid in dags if cid != root]:
        del dags[cid]
    with pytest.raises(KeyError):
        walk.run(walk.resolve(root, ["a", "b"]), dags.fetch)
    with pytest.raises(KeyError):
        list(walk.stream(walk.walk_tree(root), dags.fetch))


@settings(max_examples=20)
@given(profiles, st.binary(max_size=300))
def test_a_loop_drives_as_a_thread_does(profile: Profile, data: bytes) -> None:
    dags = Dags()
    root = dags.tree({"d/f": data}, replace(profile, chunk_size=7, max_links=3))

    async def main() -> bytes:
        found = await walk.run_async(walk.resolve(root, ["d", "f"]), dags.fetch_soon)
        return b"".join([view async for view in walk.stream_async(walk.read_file(found.cid), dags.fetch_soon)])

    assert anyio.run(main) == data


@both
def test_the_views_are_not_copies(profile: Profile) -> None:
    dags = Dags()
    cid, _ = dags.file(b"x" * 100, profile)
    assert all(isinstance(view, memoryview) for view in walk.stream(walk.read_file(cid), dags.fetch))
