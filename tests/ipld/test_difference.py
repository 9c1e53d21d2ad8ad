"""What a newer tree brought: every new file, every new directory node, and little else."""

from dataclasses import replace

import pytest

from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid
from hlspub.ipld.dag import walk_dag
from hlspub.ipld.difference import added
from hlspub.ipld.node import Kind, read
from hlspub.ipld.profile import UNIXFS_V1_2025
from hlspub.ipld.walk import stream, walk_tree
from tests.dags import Dags

SMALL = replace(UNIXFS_V1_2025, chunk_size=100, hamt_threshold=500)  # files of several blocks, directories of shards


def files(count: int, first: int = 0) -> dict[str, bytes]:
    return {f"v{n % 3}/segment-{n:03}.ts": b"%d " % n * (n % 60 + 1) for n in range(first, count)}


def brought(dags: Dags, new: Cid, old: Cid | None) -> tuple[list[Cid], list[Cid]]:
    """The new files and the new directory nodes."""
    steps = list(stream(added(new, old), dags.fetch))
    return (
        [one.cid for one in steps if not isinstance(one, Block)],
        [one.cid for one in steps if isinstance(one, Block)],
    )


def nodes(dags: Dags, root: Cid) -> set[Cid]:
    """Every node of every directory."""
    blocks = stream(walk_dag(root), dags.fetch)
    return {block.cid for block in blocks if read(block.cid, block.data).kind is Kind.DIRECTORY}


def paths(dags: Dags, root: Cid) -> dict[str, Cid]:
    return {one.path: one.cid for one in stream(walk_tree(root), dags.fetch) if one.kind is Kind.FILE}


@pytest.mark.parametrize(("before", "after"), [(1, 2), (3, 30), (29, 30), (90, 91), (60, 120)])
def test_what_came_and_nothing_that_stayed(before: int, after: int) -> None:
    dags = Dags()
    old = dags.tree(files(before), SMALL)
    new = dags.tree(files(after), SMALL)
    came, made = brought(dags, new, old)
    assert set(came) >= set(paths(dags, new).values()) - set(paths(dags, old).values())
    assert set(made) >= nodes(dags, new) - nodes(dags, old)
    assert set(made) <= nodes(dags, new)
    assert brought(dags, new, new) == ([], [])


def test_without_a_tree_before_it_is_everything() -> None:
    dags = Dags()
    root = dags.tree(files(40), SMALL)
    came, made = brought(dags, root, None)
    assert sorted(map(str, came)) == sorted(map(str, paths(dags, root).values()))
    assert set(made) == nodes(dags, root)


def test_one_more_file_costs_its_way_and_not_the_tree() -> None:
    dags = Dags()
    old = dags.tree(files(300), SMALL)
    new = dags.tree(files(301), SMALL)
    dags.asked.clear()
    came, made = brought(dags, new, old)
    assert len(came) == 1
    assert len(made) <= 5
    assert len(dags.asked) <= 11
