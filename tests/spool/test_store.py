import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hlspub.errors import CarError, FileChanged, InputError, StorageError
from hlspub.ipld.block import Block
from hlspub.ipld.car import car_cid, node_car
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.profile import UNIXFS_V0_2015, UNIXFS_V1_2025
from hlspub.model import Car, CarKind, FileIdentity
from hlspub.spool.store import CarStore
from tests.disks import seen

PROFILE = UNIXFS_V1_2025


@pytest.fixture
def store(tmp_path: Path) -> CarStore:
    store = CarStore(tmp_path / "spool")
    store.prepare()
    return store


def written(folder: Path, data: bytes, name: str = "seg.m4s") -> tuple[Path, FileIdentity]:
    """A file and its state."""
    path = folder / name
    path.write_bytes(data)
    return path, seen(path)


def nodes(name: bytes) -> tuple[bytes, Car]:
    """A CAR of one block, as the publisher makes them."""
    cid = Cid.of_data(Codec.DAG_PB, name)
    data, places = node_car(cid, [Block(cid, name)])
    return data, Car(str(car_cid(data)), CarKind.NODES, cid, len(data), places)


def leftovers(store: CarStore) -> list[str]:
    return [path.name for path in (store.root / "tmp").iterdir()]


@pytest.mark.parametrize("size", [0, 1, 500_000, 3 * 1024 * 1024 + 1])
def test_a_file_becomes_a_car_that_others_read(store: CarStore, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    path, identity = written(tmp_path, data)
    packed = store.put_file(path, identity, PROFILE)
    with store.open(packed.car.key) as file:
        reader = CarReader(file.read)
        assert reader.roots == (packed.cid,)
        blocks = list(reader)
    assert b"".join(block.data for block in blocks if block.cid.codec is Codec.RAW) == data
    assert [store.read(packed.car.key, at.offset, at.length) for at in packed.car.blocks] == [b.data for b in blocks]
    assert packed.size_bytes == size
    assert leftovers(store) == []


def place(car: Car, cid: Cid) -> tuple[int, int]:
    return next((block.offset, block.length) for block in car.blocks if block.cid == cid)


@pytest.mark.parametrize("profile", [UNIXFS_V1_2025, UNIXFS_V0_2015], ids=lambda profile: profile.name)
def test_cars_fan_out_by_the_two_characters_before_the_last(store: CarStore, tmp_path: Path, profile: object) -> None:
    path, identity = written(tmp_path, b"media")
    key = store.put_file(path, identity, profile).car.key  # type: ignore[arg-type]
    assert store.path(key) == store.root / key[-3:-1] / f"{key}.car"
    assert store.path(key).is_file()


def test_a_key_is_never_a_way_out(store: CarStore) -> None:
    for key in ("../../etc/passwd", "a/b", "", ".", "a\0b"):
        with pytest.raises(ValueError, match="not a key"):
            store.path(key)


def test_equal_content_is_kept_once_and_not_written_again(store: CarStore, tmp_path: Path) -> None:
    first = store.put_file(*written(tmp_path, b"media", "a.ts"), PROFILE)
    inode = store.path(first.car.key).stat().st_ino
    assert store.put_file(*written(tmp_path, b"media", "b.ts"), PROFILE) == first
    assert store.put_data(b"media", PROFILE).car.key == first.car.key
    assert store.path(first.car.key).stat().st_ino == inode
    assert list(store.keys()) == [first.car.key]
    assert leftovers(store) == []


def test_a_car_of_another_size_is_replaced(store: CarStore, tmp_path: Path) -> None:
    path, identity = written(tmp_path, b"media")
    key = store.put_file(path, identity, PROFILE).car.key
    whole = store.path(key).read_bytes()
    os.truncate(store.path(key), 10)
    store.put_file(path, identity, PROFILE)
    assert store.path(key).read_bytes() == whole


def test_data_gives_what_a_file_gives(store: CarStore, tmp_path: Path) -> None:
    text = b"#EXTM3U\n" * 1000
    from_file = store.put_file(*written(tmp_path, text), PROFILE)
    other = CarStore(tmp_path / "other")
    other.prepare()
    from_data = other.put_data(text, PROFILE)
    assert (from_data.cid, from_data.tsize, from_data.car.blocks) == (
        from_file.cid,
        from_file.tsize,
        from_file.car.blocks,
    )
    assert other.path(from_data.car.key).read_bytes() == store.path(from_file.car.key).read_bytes()


def test_a_node_car_is_kept_as_it_is(store: CarStore) -> None:
    data, car = nodes(b"a directory")
    assert store.put_car(data, car) is car
    with store.open(car.key) as file:
        assert file.read() == data
    assert store.read(car.key, *place(car, car.root)) == b"a directory"
    assert store.has(car.key)
    with pytest.raises(StorageError, match="instead of"):
        store.put_car(b"short", nodes(b"another")[1])
    assert leftovers(store) == []


def test_what_is_not_there_is_said_so(store: CarStore) -> None:
    key = nodes(b"never kept")[1].key
    assert not store.has(key)
    store.remove(key)
    for ask in (lambda: store.open(key), lambda: store.read(key, 0, 1), lambda: store.adopt(key, store)):
        with pytest.raises(InputError, match=key):
            ask()


def test_a_truncated_car_is_said_so(store: CarStore) -> None:
    data, car = nodes(b"a directory")
    store.put_car(data, car)
    os.truncate(store.path(car.key), car.size_bytes - 1)
    with pytest.raises(CarError, match="truncated"):
        store.read(car.key, *place(car, car.root))


def test_prepare_drops_what_a_crash_left(store: CarStore, tmp_path: Path) -> None:
    kept = store.put_file(*written(tmp_path, b"media"), PROFILE)
    (store.root / "tmp" / "half.car").write_bytes(b"half")
    again = CarStore(store.root)
    again.prepare()
    assert leftovers(again) == []
    assert list(again.keys()) == [kept.car.key]


def test_keys_and_usage_count_cars_alone(store: CarStore, tmp_path: Path) -> None:
    cars = [
        store.put_file(*written(tmp_path, bytes([number]) * 1000, f"{number}.ts"), PROFILE).car for number in range(50)
    ]
    (store.root / "tmp" / "half.car").write_bytes(b"half")
    (store.root / "README").write_text("not a CAR")
    assert sorted(store.keys()) == sorted(car.key for car in cars)
    assert store.usage() == (50, sum(car.size_bytes for car in cars))
    store.remove(cars[0].key)
    store.remove(cars[0].key)
    assert store.usage()[0] == 49


def test_many_threads_may_put(store: CarStore, tmp_path: Path) -> None:
    files = [written(tmp_path, os.urandom(20_000 + number % 7), f"{number}.ts") for number in range(60)]
    with ThreadPoolExecutor(8) as pool:
        packed = list(pool.map(lambda file: store.put_file(*file, PROFILE), files * 2))
    assert len(set(store.keys())) == 60
    for result in packed:
        assert store.path(result.car.key).stat().st_size == result.car.size_bytes
    assert leftovers(store) == []


def test_adopting_makes_one_file_stand_in_both(store: CarStore, tmp_path: Path) -> None:
    local = CarStore(tmp_path / "local")
    local.prepare()
    data, car = nodes(b"a directory")
    store.put_car(data, car)
    local.adopt(car.key, store)
    local.adopt(car.key, store)
    assert local.path(car.key).samefile(store.path(car.key))
    store.remove(car.key)
    local.adopt(car.key, store)
    assert local.read(car.key, 0, len(data)) == data
    assert leftovers(local) == leftovers(store) == []


def test_adopting_replaces_a_car_that_is_not_whole(store: CarStore, tmp_path: Path) -> None:
    local = CarStore(tmp_path / "local")
    local.prepare()
    data, car = nodes(b"a directory")
    store.put_car(data, car)
    local.path(car.key).parent.mkdir()
    local.path(car.key).write_bytes(b"torn")
    local.adopt(car.key, store)
    assert local.path(car.key).read_bytes() == data


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")  # noqa: S108 -- its only use
def test_adopting_across_file_systems_copies(store: CarStore, tmp_path: Path) -> None:
    root = Path("/dev/shm") / f"hlspub-test-{os.getpid()}"  # noqa: S108 -- as above
    if Path("/dev/shm").stat().st_dev == tmp_path.stat().st_dev:  # noqa: S108 -- as above
        pytest.skip("the temporary directory lies on the same file system")
    local = CarStore(root)
    local.prepare()
    try:
        data, car = nodes(b"a directory")
        store.put_car(data, car)
        local.adopt(car.key, store)
        assert local.path(car.key).read_bytes() == data
        assert leftovers(local) == []
        local.remove(car.key)
    finally:
        for folder in root.iterdir():
            folder.rmdir()
        root.rmdir()


def test_a_store_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="preparing"):
        CarStore(tmp_path / "file" / "spool").prepare()


def test_nothing_is_kept_of_a_file_that_changed(store: CarStore, tmp_path: Path) -> None:
    path, identity = written(tmp_path, b"media")
    path.write_bytes(b"other media")
    with pytest.raises(FileChanged):
        store.put_file(path, identity, PROFILE)
    assert list(store.keys()) == leftovers(store) == []
