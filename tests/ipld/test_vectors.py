"""The vectors of directories and trees: every root, size and number of blocks, as Kubo and js-ipfs make them."""

from functools import cache
from hashlib import sha256
from typing import Any

import pytest

from hlspub.errors import BlockError
from hlspub.ipld import unixfs
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid
from hlspub.ipld.dagpb import decode
from hlspub.ipld.profile import PROFILES, Profile
from hlspub.ipld.tree import Tree
from tests import recipes
from tests.ipld import plain

DIRLINKS = [vector for vector in recipes.vectors("dirlinks") if "full64" not in vector["id"]]
SAME_HASH = [vector for vector in recipes.vectors("dirlinks") if "full64" in vector["id"]]
BIG = 1 << 28  # bytes of content


def with_id(vector: dict[str, Any]) -> Any:
    files = recipes.files(vector["files"]) if "files" in vector else ()
    size = sum(content.get("size", 0) for _, content in files)
    return pytest.param(vector, id=vector["id"], marks=pytest.mark.slow if size >= BIG else ())


def filled(profile: Profile, recipe: list[dict[str, Any]]) -> Tree:
    return Tree.build(profile, recipes.links(recipe, profile.name))


def as_expected(tree: Tree, vector: dict[str, Any]) -> None:
    root, blocks = tree.root(), tree.unpublished()
    assert (str(root.cid), root.tsize) == (vector["root"], vector["tsize"])
    assert blocks[-1].cid == root.cid
    assert is_hamt(blocks[-1]) is vector["hamt"]
    if "root_block_hex" in vector:
        assert blocks[-1].data.hex() == vector["root_block_hex"]
    if "root_block_sha256" in vector:
        assert sha256(blocks[-1].data).hexdigest() == vector["root_block_sha256"]
    if "dir_blocks" in vector:
        assert len(blocks) == vector["dir_blocks"]
    if "dir_bytes" in vector:
        assert sum(len(block.data) for block in blocks) == vector["dir_bytes"]


def is_hamt(block: Block) -> bool:
    return unixfs.decode(decode(block.data).data).kind is unixfs.Kind.HAMT_SHARD


def test_none_is_missing() -> None:
    counts = [len(recipes.vectors(kind)) for kind in ("dirlinks", "incremental", "tree")]
    assert (counts, len(SAME_HASH)) == ([86, 8, 14], 1)


@pytest.mark.parametrize("vector", DIRLINKS, ids=lambda vector: vector["id"])
def test_directories(vector: dict[str, Any]) -> None:
    tree = filled(PROFILES[vector["profile"]], vector["recipe"])
    assert len(tree) == vector["entries"]
    as_expected(tree, vector)


@pytest.mark.parametrize("vector", [v for v in DIRLINKS if v["entries"] < 10_000], ids=lambda vector: vector["id"])
def test_directories_filled_backwards_one_by_one(vector: dict[str, Any]) -> None:
    tree = Tree(PROFILES[vector["profile"]])
    for link in reversed(list(recipes.links(vector["recipe"], vector["profile"]))):
        tree.put(*link)
    as_expected(tree, vector)


@pytest.mark.parametrize("vector", SAME_HASH, ids=lambda vector: vector["id"])
def test_the_same_hash_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(BlockError, match="same 64-bit hash"):
        filled(PROFILES[vector["profile"]], vector["recipe"])


@pytest.mark.parametrize("vector", recipes.vectors("incremental"), ids=lambda vector: vector["id"])
@pytest.mark.parametrize("mark", [False, True], ids=["all", "marked"])
def test_directories_changed_in_place(vector: dict[str, Any], mark: bool) -> None:
    profile = PROFILES[vector["profile"]]
    tree = Tree(profile)
    for step in vector["steps"]:
        for link in recipes.links(step["recipe"], profile.name):
            if step["op"] == "remove":
                tree.remove(link.name)
            else:
                tree.put(*link)
        root = tree.root()
        assert (str(root.cid), root.tsize, len(tree)) == (step["root"], step["tsize"], step["entries"])
        blocks = tree.unpublished()
        if mark:
            assert len(blocks) <= step["dir_blocks"]
            tree.mark_published()
        else:
            assert len(blocks) == step["dir_blocks"]
            assert is_hamt(blocks[-1]) is step["hamt"]


@cache
def file_of(recipe: tuple[tuple[str, Any], ...], profile: str) -> plain.Value:
    choices = PROFILES[profile]
    content = recipes.whole(dict(recipe))
    return plain.file(content, version=choices.cid_version, chunk=choices.chunk_size, width=choices.max_links)


@pytest.mark.parametrize("vector", [with_id(vector) for vector in recipes.vectors("tree")])
def test_trees(vector: dict[str, Any]) -> None:
    profile = PROFILES[vector["profile"]]
    files = {path: file_of(tuple(content.items()), profile.name) for path, content in recipes.files(vector["files"])}
    tree = Tree.build(profile, ((path, Cid(cid), tsize) for path, (cid, tsize) in files.items()))
    as_expected(tree, vector)
    made = {str(block.cid): block for block in tree.unpublished()}
    for directory in vector.get("dirs", {}).values():
        assert is_hamt(made[directory["cid"]]) is directory["hamt"]
    by_hand = Tree(profile)
    for path in sorted(files, reverse=True):
        by_hand.put(path, Cid(files[path][0]), files[path][1])
        if len(by_hand) % 97 == 0:
            by_hand.root()
    assert by_hand.root() == tree.root()
