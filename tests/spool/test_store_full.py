"""A disk with no room, and one that goes bad at any byte: nothing is left behind, and the next try works."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hlspub.errors import StorageError
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.profile import UNIXFS_V1_2025
from hlspub.model import Car, CarKind
from hlspub.spool.publications import PublicationLog, PublishedLine
from hlspub.spool.store import CarStore
from tests.disks import seen

DATA = bytes(range(256)) * 4000  # a megabyte
PROFILE = UNIXFS_V1_2025


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: a disk that refuses, for any user."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def put_file(store: CarStore, file: Path) -> object:
    return store.put_file(file, seen(file), PROFILE)


def put_data(store: CarStore, file: Path) -> object:
    return store.put_data(file.read_bytes(), PROFILE)


def put_car(store: CarStore, file: Path) -> object:
    data = file.read_bytes()
    cid = Cid.of_data(Codec.CAR, data)
    return store.put_car(data, Car(str(cid), CarKind.NODES, cid, len(data), ()))


WAYS = pytest.mark.parametrize("put", [put_file, put_data, put_car], ids=lambda put: put.__name__)


@WAYS
def test_a_full_disk_is_said_and_nothing_is_left(
    small_disk: Path, tmp_path: Path, put: Callable[[CarStore, Path], object]
) -> None:
    store = CarStore(small_disk / "spool")
    store.prepare()
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(3 << 19))
    source = tmp_path / "seg.ts"
    source.write_bytes(DATA)
    with pytest.raises(StorageError, match="No space left") as caught:
        put(store, source)
    assert "room" in caught.value.hint.lower()
    assert list(store.keys()) == list((store.root / "tmp").iterdir()) == []
    ballast.unlink()
    put(store, source)
    assert store.usage()[0] == 1


@WAYS
def test_a_disk_that_refuses_leaves_nothing(tmp_path: Path, put: Callable[[CarStore, Path], object]) -> None:
    store = CarStore(tmp_path / "spool")
    store.prepare()
    source = tmp_path / "seg.ts"
    source.write_bytes(DATA)
    for size in (0, 1, 100, 65_536, len(DATA) - 1):
        with largest_file(size), pytest.raises(StorageError, match="File too large"):
            put(store, source)
        assert list(store.keys()) == list((store.root / "tmp").iterdir()) == []
    put(store, source)
    assert store.usage()[0] == 1


def test_a_copy_that_finds_no_room_leaves_nothing(small_disk: Path, tmp_path: Path) -> None:
    store, local = CarStore(tmp_path / "spool"), CarStore(small_disk / "local")
    store.prepare()
    local.prepare()
    key = store.put_data(DATA, PROFILE).car.key
    (ballast := small_disk / "ballast").write_bytes(bytes(3 << 19))
    with pytest.raises(StorageError, match="No space left"):
        local.adopt(key, store)
    assert list(local.keys()) == list((local.root / "tmp").iterdir()) == []
    ballast.unlink()
    local.adopt(key, store)
    assert local.path(key).read_bytes() == store.path(key).read_bytes()


def test_a_publication_that_finds_no_room_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    log = PublicationLog(tmp_path / "publications.jsonl")
    root = Cid.of_data(Codec.DAG_PB, b"root")
    line = PublishedLine("main", "s1", 1, root, "a.m3u8", final=False, settings="{}", published_at=1.0)
    log.append(line)
    size = log.path.stat().st_size
    with largest_file(size + 20), pytest.raises(StorageError, match="File too large"):
        log.append(line)
    assert log.path.stat().st_size == size
    log.append(line)
    assert log.read() == ([line, line], [])
