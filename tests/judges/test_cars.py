"""CARs between hlspub and others: ours are read by @ipld/car and Kubo, theirs are ours byte for byte."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hlspub.ipld import car, walk
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid
from hlspub.ipld.dag import walk_dag
from hlspub.ipld.profile import PROFILES, UNIXFS_V1_2025
from hlspub.ipld.tree import Tree
from hlspub.spool.pack import pack_bytes
from tests.dags import Dags
from tests.judges.forest import EDGES, MIB, grow
from tests.judges.kubo import Kubo

profiles = pytest.mark.parametrize("profile", PROFILES)


def taken(top: Path, profile: str, folder: Path) -> tuple[Cid, list[Path], dict[str, bytes]]:
    """A directory as hlspub publishes it: the root, the file CARs and the node CAR on disk, and the files."""
    chosen = PROFILES[profile]
    tree, cars = Tree(chosen), list[Path]()
    files = {path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()}
    folder.mkdir()
    for path, data in files.items():
        made, packed = pack_bytes(data, chosen)
        tree.put(path, packed.cid, packed.tsize)
        cars.append(folder / f"{packed.car.key}.car")
        cars[-1].write_bytes(made)
    root = tree.root().cid
    nodes, _ = car.node_car(root, tree.unpublished())
    cars.append(folder / f"{car.car_cid(nodes)}.car")
    cars[-1].write_bytes(nodes)
    return root, cars, files


@pytest.mark.kubo
@profiles
@pytest.mark.parametrize("seed", range(3))
def test_kubo_imports_our_cars_and_exports_what_we_export(
    tmp_path: Path, kubo: Callable[[str], Kubo], profile: str, seed: int
) -> None:
    judge = kubo(profile)
    root, cars, files = taken(grow(tmp_path / "tree", 200 + seed), profile, tmp_path / "cars")
    judge("dag", "import", "--pin-roots=false", *dict.fromkeys(cars))
    judge("pin", "add", str(root))  # everything below the root is there, or this fails
    path = max(files, key=lambda name: len(files[name]))
    assert judge("cat", f"/ipfs/{root}/{path}") == files[path]
    dags = Dags()
    for file in cars:
        dags.update({block.cid: block.data for block in CarReader(BytesIO(file.read_bytes()).read)})
    exported = b"".join(
        car.section_head(block.cid, len(block.data)) + block.data for block in walk.stream(walk_dag(root), dags.fetch)
    )
    assert judge("dag", "export", "--progress=false", str(root)) == car.header([root]) + exported


@pytest.mark.kubo
@profiles
def test_kubo_imports_a_sharded_directory_and_exports_what_we_export(
    tmp_path: Path, kubo: Callable[[str], Kubo], profile: str
) -> None:
    judge, chosen, dags = kubo(profile), PROFILES[profile], Dags()
    data = b"the same for all"
    made, packed = pack_bytes(data, chosen)
    tree = Tree(chosen)
    for i in range(6000):
        tree.put(f"v/seg_{i:05d}.ts", packed.cid, packed.tsize)
    root = tree.root().cid
    nodes, _ = car.node_car(root, tree.unpublished())
    for name, content in (("file.car", made), ("nodes.car", nodes)):
        (tmp_path / name).write_bytes(content)
        dags.update({block.cid: block.data for block in CarReader(BytesIO(content).read)})
    judge("dag", "import", "--pin-roots=false", tmp_path / "file.car", tmp_path / "nodes.car")
    assert judge("cat", f"/ipfs/{root}/v/seg_04711.ts") == data
    ours = b"".join(
        car.section_head(block.cid, len(block.data)) + block.data for block in walk.stream(walk_dag(root), dags.fetch)
    )
    assert judge("dag", "export", "--progress=false", str(root)) == car.header([root]) + ours


@pytest.mark.kubo
@profiles
def test_we_read_what_kubo_exports(tmp_path: Path, kubo: Callable[[str], Kubo], profile: str) -> None:
    judge = kubo(profile)
    top = grow(tmp_path / "tree", 300)
    root = Cid.parse(judge("add", "--recursive", "--hidden", "--empty-dirs=false", "--quieter", top).decode().strip())
    reader = CarReader(BytesIO(judge("dag", "export", "--progress=false", str(root))).read)
    assert reader.roots == (root,)
    blocks = {block.cid: block.data for block in reader}
    found = {entry.path: entry.cid for entry in walk.stream(walk.walk_tree(root), blocks.__getitem__)}
    for path in top.rglob("*"):
        if path.is_file():
            cid = found[path.relative_to(top).as_posix()]
            assert b"".join(walk.stream(walk.read_file(cid), blocks.__getitem__)) == path.read_bytes()


@pytest.mark.node
@profiles
@pytest.mark.parametrize("seed", range(2))
def test_ipld_car_reads_our_cars(tmp_path: Path, node: Callable[..., Any], profile: str, seed: int) -> None:
    _, cars, _ = taken(grow(tmp_path / "tree", 400 + seed), profile, tmp_path / "cars")
    for file in [*sorted(set(cars[:-1]), key=lambda path: path.stat().st_size)[::-6], cars[-1]]:
        reader = CarReader(BytesIO(file.read_bytes()).read)
        places = [[str(place.cid), place.offset, place.length] for place in reader.index()]
        assert node("read-car.mjs", file) == {"version": 1, "roots": [str(reader.roots[0])], "blocks": places}


@pytest.mark.node
@pytest.mark.parametrize("size", [*EDGES[1:], 9 * MIB + 3])
def test_ipfs_car_packs_a_file_as_we_do(tmp_path: Path, ipfs_car: Callable[[Path, Path], str], size: int) -> None:
    source, theirs = tmp_path / "source", tmp_path / "theirs.car"
    source.write_bytes(Random(size).randbytes(size))
    root = ipfs_car(source, theirs)
    ours, packed = pack_bytes(source.read_bytes(), UNIXFS_V1_2025)
    assert (root, theirs.read_bytes() == ours) == (str(packed.cid), True)


@pytest.mark.node
@pytest.mark.slow
def test_ipfs_car_packs_a_file_of_two_levels_as_we_do(tmp_path: Path, ipfs_car: Callable[[Path, Path], str]) -> None:
    source, theirs = tmp_path / "source", tmp_path / "theirs.car"
    with source.open("wb") as file:
        for i in range(1026):  # one leaf more than a node holds, and one after it
            file.write(Random(i).randbytes(188) * (MIB // 188) + bytes(MIB % 188))
    root = ipfs_car(source, theirs)
    ours, packed = pack_bytes(source.read_bytes(), UNIXFS_V1_2025)
    assert (root, theirs.stat().st_size) == (str(packed.cid), len(ours))
    assert theirs.read_bytes() == ours
