from pathlib import Path

import pytest

from hlspub.errors import CarError, StorageError
from hlspub.ipld.block import Block
from hlspub.ipld.car import car_cid, header, node_car, section_head
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.profile import PROFILES
from hlspub.model import Car, CarKind
from hlspub.spool.pack import pack_bytes
from hlspub.spool.whole import read_whole

DATA = b"".join(number.to_bytes(4, "big") for number in range(640_000))  # three leaves and a node


@pytest.fixture(params=PROFILES.values(), ids=str)
def packed(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Car]:
    data, packed = pack_bytes(DATA, request.param)
    path = tmp_path / "one.car"
    path.write_bytes(data)
    return path, packed.car


def test_a_file_car_is_what_was_packed(packed: tuple[Path, Car]) -> None:
    path, car = packed
    found = read_whole(path, car.key)
    assert (found.key, found.kind, found.root, found.size_bytes) == (car.key, CarKind.FILE, car.root, car.size_bytes)
    assert found.blocks == car.blocks


def test_any_other_byte_is_noticed(packed: tuple[Path, Car]) -> None:
    path, car = packed
    good = path.read_bytes()
    for at in (*range(110), *range(110, len(good), 199_999), len(good) - 1):
        path.write_bytes(good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :])
        with pytest.raises(CarError, match=r"one\.car"):
            read_whole(path, car.key)


def test_any_missing_end_is_noticed(packed: tuple[Path, Car]) -> None:
    path, car = packed
    good = path.read_bytes()
    ends = {block.offset + block.length for block in car.blocks} - {len(good)}
    for end in (0, 1, 58, *ends, len(good) - 1):
        path.write_bytes(good[:end])
        with pytest.raises(CarError):
            read_whole(path, car.key)


def test_a_file_car_without_one_of_its_blocks_is_not_whole(tmp_path: Path) -> None:
    data, packed = pack_bytes(DATA, PROFILES["unixfs-v1-2025"])
    car = packed.car
    first = car.blocks[0]
    head = len(header([car.root])), first.offset + first.length
    path = tmp_path / "one.car"
    path.write_bytes(data[: head[0]] + data[head[1] :])
    with pytest.raises(CarError, match="lacks 1 blocks"):
        read_whole(path, car.key)


def test_a_node_car_is_its_bytes(tmp_path: Path) -> None:
    block = Block(Cid.of_data(Codec.DAG_PB, b"\x0a\x02\x08\x01"), b"\x0a\x02\x08\x01")
    data, spots = node_car(block.cid, [block])
    path, key = tmp_path / "nodes.car", str(car_cid(data))
    path.write_bytes(data)
    assert read_whole(path, key) == Car(key, CarKind.NODES, block.cid, len(data), spots)
    path.write_bytes(data + section_head(block.cid, len(block.data)) + block.data)  # good blocks, another CAR
    with pytest.raises(CarError, match="not those that its name is made of"):
        read_whole(path, key)


def test_a_car_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"none\.car"):
        read_whole(tmp_path / "none.car", "none")
