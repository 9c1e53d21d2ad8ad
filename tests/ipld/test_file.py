from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.ipld import dagpb, unixfs
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.file import Layout, Part, leaf
from hlspub.ipld.profile import PROFILES, UNIXFS_V0_2015, UNIXFS_V1_2025, Profile
from tests import recipes

FILES = recipes.vectors("file")
SLOW = 1 << 28  # bytes


class Built:
    """A file's tree, built from pieces; `blocks` keeps the nodes alone, so that a file of any size fits."""

    def __init__(self, pieces: Iterable[bytes], profile: Profile) -> None:
        self.layout, self.cids, self.written = Layout(profile), set[Cid](), 0
        self.blocks, self.leaves = dict[Cid, bytes](), dict[Cid, bytes]()
        for piece in pieces:
            for at in range(0, len(piece), profile.chunk_size):
                self.add(memoryview(piece)[at : at + profile.chunk_size], profile)
        if not self.cids:
            self.add(memoryview(b""), profile)
        nodes, self.root = self.layout.finish()
        self.keep(nodes)

    def add(self, chunk: memoryview, profile: Profile) -> None:
        made = leaf(chunk, profile)
        if made.length < 4096:
            self.leaves[made.cid] = made.head + bytes(chunk) + made.tail
        self.cids.add(made.cid)
        self.written += 1
        self.keep(self.layout.push(Part(made.cid, len(chunk), made.length)))

    def keep(self, nodes: list[Block]) -> None:
        self.blocks |= {block.cid: block.data for block in nodes}
        self.cids |= {block.cid for block in nodes}
        self.written += len(nodes)


def profile_of(vector: dict[str, Any]) -> Profile:
    changes = {key: vector[key] for key in ("chunk_size", "max_links") if key in vector}
    return replace(PROFILES[vector["profile"]], **changes)


@pytest.mark.parametrize(
    "vector",
    [pytest.param(v, id=v["id"], marks=pytest.mark.slow if v["content"].get("size", 0) >= SLOW else ()) for v in FILES],
)
def test_vectors(vector: dict[str, Any]) -> None:
    built = Built(recipes.content(vector["content"]), profile_of(vector))
    assert (str(built.root.cid), built.root.tsize) == (vector["root"], vector["tsize"])
    assert (len(built.cids), built.written) == (vector["blocks_unique"], vector["blocks_written"])
    if "root_block_hex" in vector:
        assert (built.leaves | built.blocks)[built.root.cid].hex() == vector["root_block_hex"]


@given(st.sampled_from([UNIXFS_V0_2015, UNIXFS_V1_2025]), st.integers(2, 4), st.integers(0, 300))
def test_every_leaf_lies_at_one_depth_and_in_order(profile: Profile, width: int, size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    built = Built([data], replace(profile, chunk_size=3, max_links=width))
    assert built.root.size == size

    def depths(cid: Cid) -> tuple[set[int], bytes]:
        if cid in built.leaves and cid not in built.blocks:
            block = built.leaves[cid]
            return {0}, block if profile.raw_leaves else unixfs.decode(dagpb.decode(block).data).data or b""
        node = dagpb.decode(built.blocks[cid])
        assert 1 <= len(node.links) <= width
        below = [depths(link.cid) for link in node.links]
        assert [len(text) for _, text in below] == list(unixfs.decode(node.data).blocksizes)
        return {1 + depth for found, _ in below for depth in found}, b"".join(text for _, text in below)

    found, text = depths(built.root.cid)
    assert len(found) == 1
    assert text == data


def test_memory_is_bound_by_depth_and_width() -> None:
    layout = Layout(replace(UNIXFS_V1_2025, chunk_size=1, max_links=4))
    for _ in range(5000):
        layout.push(Part(Cid.of_data(Codec.RAW, b"x"), 1, 1))
    assert sum(len(level) for level in layout._levels) <= (4 + 1) * 7
    assert layout.finish()[1].size == 5000


def test_nodes_come_when_the_next_child_has_no_place() -> None:
    layout = Layout(replace(UNIXFS_V1_2025, chunk_size=1, max_links=2))
    made = [len(layout.push(Part(Cid.of_data(Codec.RAW, bytes((i,))), 1, 1))) for i in range(5)]
    assert made == [0, 0, 1, 0, 1]
    nodes, root = layout.finish()
    assert nodes[-1].cid == root.cid
    assert len(nodes) == 4  # over the fifth leaf, over the first two nodes, over the third, and the root


def test_a_file_without_a_leaf_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one leaf"):
        Layout(UNIXFS_V1_2025).finish()
