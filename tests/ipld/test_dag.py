from dataclasses import replace

import dag_cbor
import multiformats
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hlspub.ipld import walk
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dag import Recorded, Scope, links, select, walk_dag
from hlspub.ipld.dagpb import Link
from hlspub.ipld.profile import PROFILES, UNIXFS_V1_2025, Profile
from hlspub.ipld.unixfs import DIRECTORY_DATA
from hlspub.ipld.walk import Resolution
from tests.dags import Dags

NARROW = replace(UNIXFS_V1_2025, chunk_size=10, max_links=3)
both = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())


def cids(walked: Recorded[Resolution] | walk.Stream[Block], dags: Dags) -> list[Cid]:
    blocks = list(walk.stream(walked, dags.fetch))
    assert all(dags[block.cid] == block.data for block in blocks)
    assert len({block.cid for block in blocks}) == len(blocks)
    return [block.cid for block in blocks]


def in_order(cid: Cid, dags: Dags, seen: list[Cid]) -> list[Cid]:
    """DFS pre-order, by recursion."""
    if cid not in seen:
        seen.append(cid)
        for link in links(cid, dags[cid]):
            in_order(link, dags, seen)
    return seen


@both
def test_all_is_every_block_once_parents_first(profile: Profile) -> None:
    dags = Dags()
    files = {f"a/{i}": b"%d" % (i % 3) * 50 for i in range(30)} | {"b/c": bytes(range(100)), "d": b"0" * 50}
    root = dags.tree(files, replace(profile, chunk_size=10, max_links=3))
    found = cids(walk_dag(root), dags)
    assert found == in_order(root, dags, [])
    assert set(found) == set(dags)


@both
def test_the_entity_of_a_directory_is_its_shards_alone(profile: Profile) -> None:
    dags = Dags()
    root = dags.tree({f"d/seg_{i:05d}.ts": b"x%d" % i for i in range(6000)} | {"d/e/f": b"y"}, profile)
    shards = cids(select(root, ["d"], Scope.ENTITY), dags)
    assert shards[0] == root
    kept = {cid: dags[cid] for cid in shards}
    names = walk.run(walk.list_directory(shards[1]), kept.__getitem__)  # nothing is missing
    assert len(names) == 6001
    assert not set(shards) & {link.cid for link in names}
    flat = walk.run(walk.resolve(shards[1], ["e"]), dags.fetch).cid
    assert cids(walk_dag(flat, Scope.ENTITY), dags) == [flat]


def test_the_entity_of_a_file_is_the_whole_of_it() -> None:
    dags = Dags()
    cid, _ = dags.file(bytes(range(200)), NARROW)
    assert cids(walk_dag(cid, Scope.ENTITY), dags) == cids(walk_dag(cid), dags) == in_order(cid, dags, [])
    assert cids(walk_dag(cid, Scope.BLOCK), dags) == [cid]


def test_the_entity_of_what_is_no_file_is_its_block() -> None:
    dags = Dags()
    block = dag_cbor.encode({"x": multiformats.CID.decode(str(dags.raw(b"x")))})
    cid = dags.keep(Cid.of_data(Codec.DAG_CBOR, block), block)
    assert cids(walk_dag(cid, Scope.ENTITY), dags) == [cid]
    assert cids(walk_dag(cid), dags) == [cid, dags.raw(b"x")]


def test_blocks_in_their_own_cid_are_walked_through_and_not_put_out() -> None:
    dags = Dags()
    leaf = dags.raw(b"x")
    inline = Cid.of_inline(Codec.DAG_PB, b"\x12\x2a\x0a\x24" + leaf.raw + b"\x12\x00\x18\x01")
    root = dags.node([Link("a", inline, 1), Link("b", Cid.of_inline(Codec.RAW, b"y"), 1)], DIRECTORY_DATA)
    assert cids(walk_dag(root), dags) == [root, leaf]
    assert inline not in dags.asked


@pytest.mark.parametrize("scope", Scope)
def test_a_path_comes_before_what_it_leads_to(scope: Scope) -> None:
    dags = Dags()
    root = dags.tree({"a/b/f": bytes(range(100)), "a/g": b"other"}, NARROW)
    found = walk.run(walk.resolve(root, ["a", "b", "f"]), dags.fetch)
    whole = in_order(found.cid, dags, [])
    expected = [*found.trail, *whole[1:]] if scope is not Scope.BLOCK else list(found.trail)
    assert cids(select(root, ["a", "b", "f"], scope), dags) == expected


def test_a_path_that_leads_nowhere_is_shown_by_the_blocks_on_it() -> None:
    dags = Dags()
    root = dags.tree({"a/b": b"x"})
    found = walk.run(walk.resolve(root, ["a", "c", "d"]), dags.fetch)
    assert found.remaining == ("c", "d")
    assert cids(select(root, ["a", "c", "d"]), dags) == list(found.trail) == [root, found.cid]


SIZE = 200


@example(-SIZE - 20, 0)
@example(-SIZE, 0)
@given(st.integers(-SIZE - 20, SIZE + 20), st.none() | st.integers(-SIZE - 20, SIZE + 20))
def test_entity_bytes_are_the_blocks_of_the_range_and_no_others(first: int, last: int | None) -> None:
    dags = Dags()
    data = bytes(range(SIZE))
    root = dags.tree({"d/f": data}, NARROW)
    start = max(SIZE + first, 0) if first < 0 else first
    end = SIZE if last is None else (SIZE + last if last < 0 else last) + 1
    found = cids(select(root, ["d", "f"], entity_bytes=(first, last)), dags)
    file = walk.run(walk.resolve(root, ["d", "f"]), dags.fetch)
    assert found[: len(file.trail)] == list(file.trail)
    held = {cid: dags[cid] for cid in found}
    assert b"".join(walk.stream(walk.read_file(file.cid, start, end), held.__getitem__)) == data[start : max(end, 0)]
    leaves = [cid for cid in found if cid.codec is Codec.RAW]
    overlap = [i for i in range(0, SIZE, 10) if i < end and i + 10 > start and start < end]
    assert leaves == [Cid.of_data(Codec.RAW, data[i : i + 10]) for i in overlap]
    if not overlap:
        assert found == list(file.trail)


def test_entity_bytes_mean_nothing_to_a_directory() -> None:
    dags = Dags()
    root = dags.tree({"d/f": b"x"})
    directory = walk.run(walk.resolve(root, ["d"]), dags.fetch).cid
    assert cids(select(root, ["d"], entity_bytes=(0, 5)), dags) == [root, directory]


def test_what_was_sent_is_not_sent_again_but_followed() -> None:
    dags = Dags()
    root = dags.tree({"a": b"1", "b": b"2"})
    sent = {root, dags.raw(b"1")}
    assert cids(walk_dag(root, sent=sent), dags) == [dags.raw(b"2")]
    assert sent == {root, dags.raw(b"1"), dags.raw(b"2")}


def test_a_path_leads_through_dag_cbor_to_what_it_links() -> None:
    dags = Dags()
    tree = dags.tree({"files/a.ts": b"segment"})
    block = dag_cbor.encode({"show": [{"tree": multiformats.CID.decode(str(tree))}, 7]})
    root = dags.keep(Cid.of_data(Codec.DAG_CBOR, block), block)
    found = walk.run(walk.resolve(root, ["show", "0", "tree", "files", "a.ts"]), dags.fetch)
    assert (found.remaining, found.cid.codec) == ((), Codec.RAW)
    assert cids(select(root, ["show", "0", "tree", "files", "a.ts"]), dags) == list(found.trail)
    assert len(found.trail) == 4
    for path in (["show"], ["show", "1"], ["show", "2"], ["show", "-1"], ["show", "00", "tree"], ["none", "a"]):
        assert walk.run(walk.resolve(root, path), dags.fetch).remaining == tuple(path)
