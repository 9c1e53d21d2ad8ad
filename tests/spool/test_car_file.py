from pathlib import Path

import pytest

from hlspub.errors import CarError, InputError
from hlspub.ipld import car
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid, Codec
from hlspub.spool.car_file import CarFile

BLOCKS = [Block(Cid.of_data(Codec.RAW, data), data) for data in (b"", b"one", b"two" * 100_000, b"one")]
ROOT = BLOCKS[1].cid


def written(tmp_path: Path) -> Path:
    path = tmp_path / "x.car"
    path.write_bytes(car.node_car(ROOT, BLOCKS)[0])
    return path


def test_gives_every_block_and_none_that_it_has_not(tmp_path: Path) -> None:
    with CarFile(written(tmp_path)) as file:
        assert (file.roots, len(file)) == ((ROOT,), 3)
        assert [file.get(block.cid) for block in reversed(BLOCKS)] == [block.data for block in reversed(BLOCKS)]
        assert file.get(Cid.of_data(Codec.RAW, b"other")) is None


def test_believes_nothing_and_checks_nothing(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"one", b"0ne"))
    with CarFile(path) as file:
        assert file.get(ROOT) == b"0ne"


@pytest.mark.parametrize("cut", [1, 100])
def test_a_file_that_is_cut_off_is_refused_by_name(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(CarError, match=r"x\.car: .*cut off"):
        CarFile(path)


def test_a_file_that_becomes_shorter_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path)
    with CarFile(path) as file:
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(CarError, match="became shorter"):
            file.get(BLOCKS[2].cid)


def test_what_is_no_car_file_is_refused_by_name(tmp_path: Path) -> None:
    for path in (tmp_path / "none.car", tmp_path):
        with pytest.raises(InputError, match="no such CAR file"):
            CarFile(path)
    (tmp_path / "page.car").write_bytes(b"<!DOCTYPE html>" * 100)
    with pytest.raises(CarError, match=r"page\.car"):
        CarFile(tmp_path / "page.car")
