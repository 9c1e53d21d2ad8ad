from dataclasses import replace
from hashlib import sha256

import pytest

from hlspub.errors import DataError
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dagpb import decode
from hlspub.ipld.profile import UNIXFS_V0_2015, UNIXFS_V1_2025, Profile
from hlspub.ipld.tree import MAX_TSIZE, Tree
from tests.ipld import collisions, plain

SMALL = replace(UNIXFS_V1_2025, hamt_threshold=600)
CID = Cid.of_digest(Codec.RAW, bytes(32))
OTHER = Cid.of_digest(Codec.DAG_PB, bytes(32))
HLS = ["master.m3u8", *[f"{v}/{name}" for v in ("1080p", "360p") for name in ("index.m3u8", "seg_1.ts", "seg_2.ts")]]


def cid_of(path: str) -> Cid:
    return Cid.of_digest(Codec.RAW, sha256(path.encode()).digest())


def tree_of(*paths: str, profile: Profile = UNIXFS_V1_2025) -> Tree:
    tree = Tree(profile)
    for path in paths:
        tree.put(path, cid_of(path), 1000)
    return tree


def whole(tree: Tree, profile: Profile) -> plain.Blocks:
    """Every block of the tree's DAG, by the plain builder."""
    blocks: plain.Blocks = {}
    files = {path: (cid.raw, tsize) for path, cid, tsize in tree}
    root = plain.tree(files, version=profile.cid_version, threshold=profile.hamt_threshold, blocks=blocks)
    assert root == (tree.root().cid.raw, tree.root().tsize)
    return blocks


def new(tree: Tree) -> plain.Blocks:
    return {block.cid.raw: block.data for block in tree.unpublished()}


@pytest.mark.parametrize(
    ("profile", "root"),
    [
        (UNIXFS_V1_2025, "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"),
        (UNIXFS_V0_2015, "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_an_empty_tree_is_the_empty_directory(profile: Profile, root: str) -> None:
    for tree in (Tree(profile), Tree.build(profile, [])):
        assert (str(tree.root().cid), tree.root().tsize, len(tree), list(tree)) == (root, 4, 0, [])
        assert [block.data.hex() for block in tree.unpublished()] == ["0a020801"]


def test_files_are_held_and_found() -> None:
    tree = tree_of(*HLS)
    assert sorted(tree) == sorted((path, cid_of(path), 1000) for path in HLS)
    assert len(tree) == len(HLS)
    assert tree.get("360p/seg_2.ts") == (cid_of("360p/seg_2.ts"), 1000)
    for absent in ("", "/", "360p", "360p/", "360p/seg_3.ts", "master.m3u8/x", "a/b/c", "..", "\udce4"):
        assert tree.get(absent) is None
    tree.put("360p/seg_2.ts", OTHER, 7)
    assert tree.get("360p/seg_2.ts") == (OTHER, 7)
    assert len(tree) == len(HLS)
    assert len(whole(tree, UNIXFS_V1_2025)) == 3


def test_the_order_of_the_calls_leaves_no_trace() -> None:
    one, other = tree_of(*HLS), tree_of("x/y/z", *reversed(HLS), "1080p/old")
    other.root()
    other.remove("x/y/z")
    other.remove("1080p/old")
    built = Tree.build(UNIXFS_V1_2025, list(other))
    assert one.root() == other.root() == built.root()
    assert len(other) == len(built) == len(HLS)


def test_directories_go_with_their_last_file() -> None:
    tree = tree_of("a", "d/e/f/g", "d/x")
    tree.remove("d/e/f/g")
    assert tree.root() == tree_of("a", "d/x").root()
    tree.remove("d/x")
    assert tree.root() == tree_of("a").root()
    tree.put("d", CID, 1)  # the name is free again
    tree.remove("d")
    tree.remove("a")
    assert tree.root() == Tree(UNIXFS_V1_2025).root()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "./a",
        "a/..",
        "a/../b",
        "a/.",
        "a\0b",
        "d/\0",
        "\udce4.ts",
        "d/" + "n" * 4097,
    ],
)
def test_what_is_no_path_is_refused_by_name(path: str) -> None:
    tree = tree_of("d/f")
    before = tree.root()
    for attempt in (
        lambda: tree.put(path, CID, 1),
        lambda: tree.remove(path),
        lambda: Tree.build(UNIXFS_V1_2025, [("d/f", CID, 1), (path, CID, 1)]),
    ):
        with pytest.raises(DataError) as caught:
            attempt()
        assert repr(path)[1:20].rstrip("'") in str(caught.value)
        assert caught.value.hint
    assert (tree.root(), len(tree)) == (before, 1)


def test_strange_names_are_names() -> None:
    paths = ["...", " ", "a\\b", "%2e%2e", "0A/FF", "c:/d", "\n", "n" * 4096, "é", "e\u0301"]
    tree = tree_of(*paths)
    assert len(tree) == len(paths)
    whole(tree, UNIXFS_V1_2025)


@pytest.mark.parametrize(
    ("held", "path", "said"),
    [
        ("a", "a/b", "'a' is a file"),
        ("a/b", "a", "'a' is a directory"),
        ("a/b", "a/b/c/d", "'a/b' is a file"),
        ("a/b/c", "a/b", "'a/b' is a directory"),
    ],
)
def test_a_path_is_a_file_or_a_directory(held: str, path: str, said: str) -> None:
    tree = tree_of(held)
    before = tree.root()
    with pytest.raises(DataError, match=said):
        tree.put(path, CID, 1)
    assert (tree.root(), len(tree), list(tree)) == (before, 1, [(held, cid_of(held), 1000)])
    with pytest.raises(DataError, match=said.split(" is", maxsplit=1)[0]):
        Tree.build(UNIXFS_V1_2025, [(held, CID, 1), (path, CID, 1)])
    with pytest.raises(DataError, match="no file"):
        tree.remove(path)


@pytest.mark.parametrize("tsize", [-1, MAX_TSIZE + 1])
def test_a_size_that_cannot_be_is_refused(tsize: int) -> None:
    with pytest.raises(DataError, match=str(tsize)):
        tree_of("a").put("b", CID, tsize)


def test_the_same_hash_is_refused_for_files_and_directories() -> None:
    one, other = collisions.SAME
    tree = tree_of(f"d/{one}/f")
    before = tree.root()
    for path in (f"d/{other}", f"d/{other}/f"):
        with pytest.raises(DataError, match="same 64-bit hash"):
            tree.put(path, CID, 1)
        with pytest.raises(DataError, match="same 64-bit hash"):
            Tree.build(UNIXFS_V1_2025, [*tree, (path, CID, 1)])
    assert (tree.root(), len(tree)) == (before, 1)
    tree.put(other, CID, 1)  # elsewhere it is welcome


def test_the_last_of_a_path_counts_when_it_is_built() -> None:
    tree = Tree.build(UNIXFS_V1_2025, [("d/a", CID, 1), ("d/b", CID, 1), ("d/a", OTHER, 2)])
    assert sorted(tree) == [("d/a", OTHER, 2), ("d/b", CID, 1)]
    assert len(tree) == 2


def test_a_tree_deeper_than_pythons_stack() -> None:
    path = "/".join(["d"] * 3000)
    for tree in (tree_of(path), Tree.build(UNIXFS_V1_2025, [(path, cid_of(path), 1000)])):
        assert len(tree.unpublished()) == 3000
        tree.mark_published()
        tree.put("x", CID, 1)
        assert len(tree.unpublished()) == 1
        assert {entry[0] for entry in tree} == {path, "x"}
        tree.remove(path)
        assert tree.root() == Tree.build(UNIXFS_V1_2025, [("x", CID, 1)]).root()


def test_new_blocks_are_what_the_marked_root_did_not_have() -> None:
    tree = tree_of(*HLS)
    assert new(tree) == whole(tree, UNIXFS_V1_2025)
    tree.mark_published()
    assert tree.unpublished() == []
    tree.put("360p/seg_3.ts", CID, 5)
    first = tree.unpublished()
    assert [len(decode(block.data).links) for block in first] == [4, 3]
    assert first[-1].cid == tree.root().cid
    tree.put("1080p/seg_3.ts", CID, 5)
    assert len(tree.unpublished()) == 3  # both: nothing was marked between
    tree.remove("1080p/seg_3.ts")
    assert tree.unpublished() == first
    tree.remove("360p/seg_3.ts")
    assert tree.unpublished() == []


def test_a_state_before_the_mark_is_new_again() -> None:
    """A target may have dropped what the last marked root did not need."""
    tree = tree_of(*HLS)
    tree.root()
    tree.mark_published()
    tree.put("360p/seg_3.ts", CID, 5)
    tree.root()
    tree.mark_published()
    tree.remove("360p/seg_3.ts")
    assert len(tree.unpublished()) == 2


def test_a_mark_speaks_of_the_last_root_not_of_later_changes() -> None:
    tree = tree_of("a", "d/b")
    tree.root()
    for path in ("c", "d/c", "e/f/g"):
        tree.put(path, CID, 1)
    tree.mark_published()
    assert new(tree).keys() == whole(tree, UNIXFS_V1_2025).keys()


def test_equal_directories_are_one_block() -> None:
    tree = Tree(UNIXFS_V1_2025)
    for path in ("a/x", "b/x", "c/d/x"):
        tree.put(path, CID, 1)
    assert len(tree.unpublished()) == 3
    tree.mark_published()
    tree.put("b/y", CID, 1)
    assert len(tree.unpublished()) == 2


def test_one_more_entry_at_a_hundred_thousand_makes_three_blocks() -> None:
    paths = [f"1080p/seg_{i:06d}.ts" for i in range(100_000)]
    tree = Tree.build(UNIXFS_V1_2025, ((path, CID, 1_800_000) for path in paths))
    assert len(tree.unpublished()) == 30_139 + 1
    tree.mark_published()
    sizes: list[int] = []
    for i in range(100_000, 100_020):
        tree.put(f"1080p/seg_{i:06d}.ts", CID, 1_800_000)
        blocks = tree.unpublished()[:-1]  # without the top, of 52 bytes
        tree.mark_published()
        assert 2 <= len(blocks) <= 4
        sizes.append(sum(len(block.data) for block in blocks))
    assert sum(sizes) / len(sizes) < 24_000


def test_new_blocks_are_exactly_those_that_the_dag_did_not_have() -> None:
    names = [f"seg_{i:06d}.ts" for i in range(6000)]
    tree = Tree.build(UNIXFS_V1_2025, ((name, CID, 1_800_000) for name in names))
    before = whole(tree, UNIXFS_V1_2025)
    tree.mark_published()
    for i in range(10):
        tree.put(f"more_{i}.ts", OTHER, 5)
        tree.remove(names[i * 7])
        after = whole(tree, UNIXFS_V1_2025)
        assert new(tree) == {cid: block for cid, block in after.items() if cid not in before}
        tree.mark_published()
        before = after


def test_children_come_before_parents_and_each_block_once() -> None:
    tree = tree_of(*[f"{d}/{i}" for d in "abc" for i in range(60)], profile=SMALL)
    blocks = tree.unpublished()
    seen: set[Cid] = set()
    made = {block.cid for block in blocks}
    assert len(made) == len(blocks) == len(whole(tree, SMALL))
    for block in blocks:
        assert SMALL.node_cid(block.data) == block.cid
        assert {link.cid for link in decode(block.data).links} & made <= seen
        seen.add(block.cid)
    assert blocks[-1].cid == tree.root().cid
