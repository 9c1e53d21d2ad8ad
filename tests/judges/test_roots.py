"""Equal roots: what hlspub computes, Kubo and js-ipfs compute too."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hlspub.cli.cid import cid_of
from hlspub.ipld.profile import PROFILES
from tests.judges.forest import EDGES, crowd, grow
from tests.judges.kubo import Kubo

profiles = pytest.mark.parametrize("profile", PROFILES)
CROWDS = [0, 1000, 4400, 4700, 5690, 5710]  # files: both sides of both profiles' thresholds


def ours(path: Path, profile: str) -> str:
    return str(cid_of(path, PROFILES[profile], hidden=True)["cid"])


@pytest.mark.kubo
@profiles
def test_kubo_computes_our_roots_of_random_trees(tmp_path: Path, kubo: Callable[[str], Kubo], profile: str) -> None:
    judge = kubo(profile)
    for seed in range(12):
        top = grow(tmp_path / f"tree-{seed}", seed)
        assert judge.root_of(top) == ours(top, profile), seed


@pytest.mark.kubo
@profiles
def test_kubo_computes_our_roots_of_crowds(tmp_path: Path, kubo: Callable[[str], Kubo], profile: str) -> None:
    judge = kubo(profile)
    for before, count in pairwise(CROWDS):
        top = crowd(tmp_path / "crowd", range(before, count))
        assert judge.root_of(top) == ours(top, profile), count


@pytest.mark.kubo
@profiles
def test_kubo_computes_our_cids_of_files(tmp_path: Path, kubo: Callable[[str], Kubo], profile: str) -> None:
    judge = kubo(profile)
    chunk, width = PROFILES[profile].chunk_size, PROFILES[profile].max_links
    for size in [*EDGES, 45_613_056, *((chunk * width, chunk * width + 1) if width < 200 else ())]:
        path = tmp_path / str(size)
        path.write_bytes(bytes(i * 31 % 251 for i in range(251)) * (size // 251) + bytes(size % 251))
        assert judge.root_of(path) == ours(path, profile), size


@pytest.mark.node
@profiles
@pytest.mark.parametrize("seed", range(3))
def test_js_ipfs_computes_our_roots_of_random_trees(
    tmp_path: Path, node: Callable[..., Any], profile: str, seed: int
) -> None:
    top = grow(tmp_path / "tree", 100 + seed)
    assert node("import.mjs", profile, top)["root"] == ours(top, profile)


@pytest.mark.node
@profiles
def test_js_ipfs_computes_our_root_of_a_crowd(tmp_path: Path, node: Callable[..., Any], profile: str) -> None:
    top = crowd(tmp_path / "crowd", range(5800))
    assert node("import.mjs", profile, top)["root"] == ours(top, profile)


@pytest.mark.node
@profiles
@pytest.mark.parametrize("size", [0, 1 << 20, (3 << 20) + 17])
def test_js_ipfs_computes_our_cids_and_sizes_of_files(
    tmp_path: Path, node: Callable[..., Any], profile: str, size: int
) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(range(256)) * (size // 256) + bytes(size % 256))
    assert node("import.mjs", profile, path)["root"] == ours(path, profile)
