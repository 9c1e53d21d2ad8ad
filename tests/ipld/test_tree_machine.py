"""A tree driven by hypothesis against the plain builder: around the threshold, inside deep collisions, across marks."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hlspub.errors import DataError
from hlspub.ipld.cid import Cid
from hlspub.ipld.dagpb import decode
from hlspub.ipld.profile import UNIXFS_V0_2015, UNIXFS_V1_2025, Profile
from hlspub.ipld.tree import Tree
from tests.ipld import collisions, plain

# Fourteen short entries or so are over it, so that a few steps cross it, and a burst crosses it twice over.
PROFILES = [
    replace(UNIXFS_V1_2025, hamt_threshold=640),
    replace(UNIXFS_V0_2015, hamt_threshold=480),
    replace(UNIXFS_V1_2025, hamt_threshold=0),
]
NAMES = [
    *[f"{i}.ts" for i in range(10)],
    *[name for pair in collisions.PAIRS.values() for name in pair],
    collisions.SAME[1],
    *collisions.beside("0.ts", 8, 6),
    *collisions.beside("0.ts", 16, 2),
    *["0A", "FF", "00", "é", "e\u0301", "\U0001d11e"],
    "n" * 130,
]
PATHS = [*NAMES, *[f"v/{name}" for name in NAMES], *[f"v/w/{name}" for name in NAMES[:20]], "0.ts/x", "a/b/c/d"]
TSIZES = [0, 1, 127, 128, 16_383, 16_384, 2_000_000, 2**28, 2**40]

paths = st.sampled_from(PATHS)
# Few of them, so that equal subtrees and ways back to an earlier state happen.
values = st.tuples(st.sampled_from([bytes((i,)) * 32 for i in range(3)]), st.sampled_from(TSIZES))


class Machine(RuleBasedStateMachine):
    profile: Profile
    tree: Tree

    @initialize(profile=st.sampled_from(PROFILES))
    def start(self, profile: Profile) -> None:
        self.profile, self.tree = profile, Tree(profile)
        self.files: dict[str, plain.Value] = {}
        self.rooted: plain.Blocks = {}  # the blocks of the last root that was asked for
        self.marked: plain.Blocks = {}  # the blocks of the root that was marked
        self.root_cid = self.marked_root = b""
        self.fresh = False  # nothing changed since the last root

    def cid(self, digest: bytes) -> Cid:
        return Cid((b"\x12\x20" if self.profile.cid_version == 0 else b"\x01\x55\x12\x20") + digest)

    def has_room(self, path: str) -> bool:
        """Whether the plain model says that `path` can be put."""
        for other in self.files:
            if other.startswith(path + "/") or path.startswith(other + "/"):
                return False
        parts = path.split("/")
        for depth, name in enumerate(parts):
            beside = {other.split("/")[depth] for other in self.files if other.split("/")[:depth] == parts[:depth]}
            if any(other != name and collisions.hashed(other) == collisions.hashed(name) for other in beside):
                return False
        return True

    @rule(path=paths, value=values)
    def put(self, path: str, value: tuple[bytes, int]) -> None:
        cid, tsize = self.cid(value[0]), value[1]
        if self.has_room(path):
            self.tree.put(path, cid, tsize)
            self.files[path] = (cid.raw, tsize)
        else:
            with pytest.raises(DataError):
                self.tree.put(path, cid, tsize)
        self.fresh = False

    @rule(count=st.integers(1, len(NAMES)), folder=st.sampled_from(["", "v/"]), value=values)
    def burst(self, count: int, folder: str, value: tuple[bytes, int]) -> None:
        for name in NAMES[:count]:
            self.put(folder + name, value)

    @rule(path=paths)
    def remove(self, path: str) -> None:
        if path in self.files:
            self.tree.remove(path)
            del self.files[path]
            self.fresh = False
        else:
            with pytest.raises(DataError):
                self.tree.remove(path)

    @rule(count=st.integers(1, 20), folder=st.sampled_from(["", "v/"]))
    def purge(self, count: int, folder: str) -> None:
        for path in [path for path in self.files if path.startswith(folder)][:count]:
            self.remove(path)

    @rule()
    def root(self) -> None:
        """The root is that of the from-scratch build, and what is new with what was marked is all of it."""
        self.rooted, self.fresh = {}, True
        root = plain.tree(
            self.files, version=self.profile.cid_version, threshold=self.profile.hamt_threshold, blocks=self.rooted
        )
        assert (self.tree.root().cid.raw, self.tree.root().tsize) == root
        new = self.tree.unpublished()
        made = {block.cid.raw: block.data for block in new}
        assert len(made) == len(new)
        assert made.items() <= self.rooted.items()
        assert self.rooted.keys() <= made.keys() | self.marked.keys()
        assert not new or new[-1].cid.raw == root[0]
        seen = set(self.marked)
        for block in new:
            assert {link.cid.raw for link in decode(block.data).links} & self.rooted.keys() <= seen
            seen.add(block.cid.raw)
        if root[0] == self.marked_root:
            assert new == []
        self.root_cid = root[0]

    @rule()
    def mark(self) -> None:
        """Also when the tree has moved on since the last root."""
        self.tree.mark_published()
        self.marked, self.marked_root = self.rooted, self.root_cid

    @precondition(lambda self: self.fresh)
    @rule()
    def publish(self) -> None:
        self.mark()
        assert self.tree.unpublished() == []

    @rule()
    def rebuild(self) -> None:
        """As after a restart: built from what is known, and nothing marked."""
        self.tree = Tree.build(self.profile, list(self.tree))
        self.rooted, self.marked, self.fresh = {}, {}, False
        self.root_cid = self.marked_root = b""

    @invariant()
    def holds_the_files(self) -> None:
        if hasattr(self, "tree"):
            assert len(self.tree) == len(self.files)
            assert {path: (cid.raw, tsize) for path, cid, tsize in self.tree} == self.files


def run(examples: int, steps: int) -> None:
    chosen = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    run_state_machine_as_test(Machine, settings=chosen)  # pyright: ignore[reportUnknownMemberType]


def test_thousands_of_steps() -> None:
    run(100, 60)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_tens_of_thousands_of_steps() -> None:
    run(400, 100)
