"""Directories: what one more entry costs, what it weighs, and what a rebuild takes, as ratios measured side by side.

    python bench/bench_directories.py [--json]

The yardstick of the rebuild is `tests/ipld/plain.py`, a from-scratch builder in plain Python. Exit status 1 when a figure
misses what it must reach. Times are of the processor, since all of this is one thread and no waiting.
"""

import gc
import sys
import tracemalloc
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from statistics import median
from time import process_time

sys.path.insert(0, str(Path(__file__).parents[1]))

from rows import Row, main

from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.profile import PROFILES, Profile
from hlspub.ipld.tree import Tree
from tests.ipld import plain

SMALL, LARGE = 1_000, 100_000  # entries
UPDATES = 300
ROUNDS = 5
MIB = 1 << 20

Entry = tuple[str, Cid, int]


def entries(start: int, stop: int, profile: Profile) -> list[Entry]:
    """Segments as an archive lists them."""
    made: list[Entry] = []
    for i in range(start, stop):
        digest = sha256(b"%d" % i).digest()
        cid = Cid.v0_of_digest(digest) if profile.cid_version == 0 else Cid.of_digest(Codec.RAW, digest)
        made.append((f"seg_{i:06d}.ts", cid, 1_800_000 + i * 3571 % 400_000))
    return made


def seconds(work: Callable[[], object]) -> float:
    gc.collect()
    start = process_time()
    work()
    return process_time() - start


def published(profile: Profile, count: int) -> Tree:
    tree = Tree.build(profile, entries(0, count, profile))
    tree.root()
    tree.mark_published()
    return tree


def updates(profile: Profile) -> tuple[float, float, float, float]:
    """Seconds of one more entry with a new root at `SMALL` and at `LARGE`; new blocks and their bytes at `LARGE`."""
    trees = {count: published(profile, count) for count in (SMALL, LARGE)}
    more = {count: entries(count, count + UPDATES, profile) for count in trees}
    took: dict[int, list[float]] = {count: [] for count in trees}
    blocks: list[int] = []
    sizes: list[int] = []
    for i in range(UPDATES):
        for count, tree in trees.items():
            start = process_time()
            tree.put(*more[count][i])
            tree.root()
            took[count].append(process_time() - start)
            new = tree.unpublished()
            tree.mark_published()
            if count == LARGE:
                blocks.append(len(new))
                sizes.append(sum(len(block.data) for block in new))
    return median(took[SMALL]), median(took[LARGE]), median(blocks), median(sizes)


def rebuilds(profile: Profile) -> tuple[float, float]:
    """Seconds of a rebuild with its root, and of the plain builder's; the best of some, turn by turn."""
    listed = entries(0, LARGE, profile)
    files = {path: (cid.raw, tsize) for path, cid, tsize in listed}
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(ROUNDS):
        ours.append(seconds(lambda: Tree.build(profile, listed).root()))
        theirs.append(seconds(lambda: plain.tree(files, version=profile.cid_version)))
    assert Tree.build(profile, listed).root().cid.raw == plain.tree(files, version=profile.cid_version)[0]
    return min(ours), min(theirs)


def memory(profile: Profile) -> float:
    """Bytes that a published directory of `LARGE` entries holds."""
    listed = entries(0, LARGE, profile)
    gc.collect()
    tracemalloc.start()
    tree = Tree.build(profile, listed)
    tree.root()
    tree.mark_published()
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(tree) == LARGE
    return held


def measure(profile: Profile) -> list[Row]:
    small, large, blocks, size = updates(profile)
    rebuild, from_scratch = rebuilds(profile)
    at = f"{LARGE:,}"
    return [
        Row(
            f"one more entry at {at}, time against one at {SMALL:,}", large / small, "x", 3, 1.5,
            note=f"{large * 1e6:.0f} against {small * 1e6:.0f} us",
        ),
        Row(f"one more entry at {at}, new blocks", blocks, "blocks", 4, 3),
        Row(
            f"one more entry at {at}, new bytes", size / 1000, "kB", 28, 24,
            note="the format's limit for these names",
        ),
        Row(
            f"one more entry at {at}, faster than a full rebuild", rebuild / large, "x", 300, 1000, at_least=True,
            note=f"{large * 1e6:.0f} us against {rebuild * 1e3:.0f} ms",
        ),
        Row(f"memory of {at} entries", memory(profile) / MIB, "MiB", 64, 32),
        Row(
            f"rebuild of {at} entries against the plain builder", rebuild / from_scratch, "x", 1.5, 1.0,
            note=f"{rebuild * 1e3:.0f} against {from_scratch * 1e3:.0f} ms",
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main("measure directories", lambda: {profile.name: measure(profile) for profile in PROFILES.values()}))
