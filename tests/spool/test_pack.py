import os
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from hlspub.errors import FileChanged, StorageError
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.profile import PROFILES, UNIXFS_V1_2025, Profile
from hlspub.model import CarKind, Packed
from hlspub.spool.pack import BATCH, LANES, LANES_FROM, measure_file, pack_bytes, pack_file
from tests import recipes

MIB = 1 << 20
SIZES = [0, 1, 188, 256 * 1024, MIB - 1, MIB, MIB + 1, LANES_FROM - 1, LANES_FROM, LANES_FROM + 5 * MIB + 7]


@contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    fd = os.open(path, flags, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def pack(source: Path, car: Path, profile: Profile = UNIXFS_V1_2025, *, want_car_hash: bool = False) -> Packed:
    with opened(source, os.O_RDONLY) as source_fd, opened(car, os.O_RDWR | os.O_CREAT | os.O_TRUNC) as car_fd:
        return pack_file(source_fd, car_fd, profile, want_car_hash=want_car_hash)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
@pytest.mark.parametrize("size", SIZES)
def test_a_file_of_any_size_becomes_the_car_that_is_made_in_memory(tmp_path: Path, profile: Profile, size: int) -> None:
    data = recipes.whole({"kind": "chacha20", "seed": "pack", "size": size})
    source, car = tmp_path / "source", tmp_path / "car"
    source.write_bytes(data)
    made = pack(source, car, profile, want_car_hash=True)
    assert (car.read_bytes(), made) == pack_bytes(data, profile)
    assert (made.cid, made.size_bytes) == (made.car.root, size)
    assert (made.car.key, made.car.kind) == (str(made.cid), CarKind.FILE)
    assert made.car.sha256 == sha256(car.read_bytes()).digest()
    assert made.car.size_bytes == car.stat().st_size
    blocks = {block.cid: block.data for block in CarReader(BytesIO(car.read_bytes()).read)}
    text = car.read_bytes()
    assert all(blocks[place.cid] == text[place.offset : place.offset + place.length] for place in made.car.blocks)
    without = pack(source, car, profile)
    assert without.car.sha256 is None
    with opened(source, os.O_RDONLY) as fd:
        assert measure_file(fd, profile) == without


@pytest.mark.parametrize("vector", [v for v in recipes.vectors("car") if v["kind"] == "file"], ids=lambda v: v["id"])
def test_writes_the_cars_of_ipfs_car(tmp_path: Path, vector: dict[str, Any]) -> None:
    (tmp_path / "source").write_bytes(recipes.whole(vector["content"]))
    made = pack(tmp_path / "source", tmp_path / "car", want_car_hash=True)
    assert str(made.cid) == vector["root"]
    assert sha256((tmp_path / "car").read_bytes()).hexdigest() == vector["car_sha256"]


def test_no_thread_is_started_for_a_segment_and_none_is_left_by_a_long_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(LANES_FROM + MIB))
    before = threading.active_count()
    pack(source, tmp_path / "car")
    assert threading.active_count() == before


def test_a_file_that_is_longer_than_stat_said_has_changed(tmp_path: Path) -> None:
    """What /proc serves has a length of 0 and bytes all the same, like a file that grew after `stat`."""
    path = Path("/proc/self/status")
    with pytest.raises(FileChanged, match="of 0 bytes changed its length"):
        pack(path, tmp_path / "car")
    with opened(path, os.O_RDONLY) as fd, pytest.raises(FileChanged, match="changed its length"):
        measure_file(fd, UNIXFS_V1_2025)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
def test_a_file_that_is_truncated_while_it_is_read_has_changed(tmp_path: Path, profile: Profile) -> None:
    source, car = tmp_path / "source", tmp_path / "car"
    source.touch()
    os.truncate(source, 64 << 30)  # sparse; reading all of it would outlast the test
    car.touch()

    def truncate_once_begun() -> None:
        while car.stat().st_size < 4 * MIB and not done.wait(0.001):
            pass
        os.truncate(source, 100)

    done = threading.Event()
    writer = threading.Thread(target=truncate_once_begun)
    writer.start()
    try:
        with pytest.raises(FileChanged, match="changed its length"):
            pack(source, car, profile)
    finally:
        done.set()
        writer.join()


@pytest.mark.parametrize("size", [100, LANES_FROM + MIB])
def test_a_full_disk_is_a_storage_error(tmp_path: Path, size: int) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(size))
    before = threading.active_count()
    with pytest.raises(StorageError, match="writing the CAR: No space left") as caught:
        pack(source, Path("/dev/full"))
    assert "room" in caught.value.hint
    assert isinstance(caught.value.__cause__, OSError)
    assert threading.active_count() == before


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
def test_memory_is_a_buffer_a_lane_whatever_the_size(tmp_path: Path, profile: Profile) -> None:
    source = tmp_path / "source"
    source.touch()
    os.truncate(source, 100 * MIB)
    tracemalloc.start()
    try:
        pack(source, tmp_path / "car", profile, want_car_hash=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert LANES * BATCH <= peak < LANES * BATCH + 2 * MIB
