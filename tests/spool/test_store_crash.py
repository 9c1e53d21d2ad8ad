"""What a killed process and a power cut leave of the spool: whole CARs, and every one that was reported."""

import errno
import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hlspub.errors import StorageError
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.profile import UNIXFS_V1_2025
from hlspub.spool.disk import Disk
from hlspub.spool.publications import PublicationLog, PublishedLine
from hlspub.spool.store import CarStore
from tests.disks import seen

PROFILE = UNIXFS_V1_2025
ROUNDS = 8
PATIENCE_S = 30.0

_PUTTER = """
import sys
from pathlib import Path
from hlspub.ipld.profile import UNIXFS_V1_2025
from hlspub.spool.store import CarStore
from tests.disks import seen
store, file = CarStore(Path(sys.argv[1])), Path(sys.argv[2])
store.prepare()
for number in range(int(sys.argv[3]), 10**9):
    file.write_bytes(b"%d " % number * 30_000)
    print(store.put_file(file, seen(file), UNIXFS_V1_2025).car.key, flush=True)
"""


def test_a_killed_process_leaves_whole_cars_and_all_it_reported(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    chance = random.Random(request.config.getoption("randomly_seed", 0))
    store, reported = CarStore(tmp_path / "spool"), set[str]()
    for turn in range(ROUNDS):
        with subprocess.Popen(
            [sys.executable, "-c", _PUTTER, str(store.root), str(tmp_path / "seg.ts"), str(turn * 1_000_000)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as process:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], PATIENCE_S)[0], "nothing was put"
            time.sleep(
                chance.uniform(0, 0.1)
            )  # the instant of the crash is the test's random input, nothing is awaited
            process.send_signal(signal.SIGKILL)
            reported.update(process.stdout.read().split("\n")[:-1])
        store.prepare()
        assert list((store.root / "tmp").iterdir()) == []
        keys = set(store.keys())
        assert reported <= keys
        for key in keys:
            with store.open(key) as file:
                reader = CarReader(file.read)
                assert [str(root) for root in reader.roots] == [key]
                assert list(reader), "every block is there and hashes to its CID"
    assert len(reported) > ROUNDS


class RecordingDisk(Disk):
    """Remembers what was synced, and so what a power cut would leave below `top`; the rest may be lost."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.bytes: dict[int, bytes] = {}
        self.names: dict[Path, dict[str, int]] = {}

    def sync_file(self, handle: int) -> None:
        self.bytes[os.fstat(handle).st_ino] = Path(f"/proc/self/fd/{handle}").read_bytes()

    def sync_folder(self, folder: Path) -> None:
        self.names[folder] = {entry.name: entry.inode() for entry in os.scandir(folder)}

    def after_power_cut(self) -> dict[Path, bytes]:
        """Every file whose name is durable, and its durable bytes; none where they are not."""
        found: dict[Path, bytes] = {}
        waiting = [self.top]
        while waiting:
            folder = waiting.pop()
            for name, inode in self.names.get(folder, {}).items():
                if (path := folder / name) in self.names:
                    waiting.append(path)
                elif "." in name:
                    found[path] = self.bytes.get(inode, b"")
        return found


@pytest.fixture
def disk(tmp_path: Path) -> RecordingDisk:
    return RecordingDisk(tmp_path)


@pytest.fixture
def store(tmp_path: Path, disk: RecordingDisk) -> CarStore:
    store = CarStore(tmp_path / "spool", disk)
    store.prepare()
    return store


def safe(disk: RecordingDisk, store: CarStore, key: str) -> bool:
    """Whether a power cut now would leave this CAR as it is."""
    return disk.after_power_cut().get(store.path(key)) == store.path(key).read_bytes()


def test_what_is_put_survives_a_power_cut(tmp_path: Path, disk: RecordingDisk, store: CarStore) -> None:
    keys: list[str] = []
    for number in range(20):
        file = tmp_path / f"{number}.ts"
        file.write_bytes(os.urandom(1000))
        keys.append(store.put_file(file, seen(file), PROFILE).car.key)
        keys.append(store.put_data(os.urandom(1000), PROFILE).car.key)
        assert all(safe(disk, store, key) for key in keys)


def test_a_car_that_was_found_there_is_made_durable_too(disk: RecordingDisk, store: CarStore) -> None:
    key = store.put_data(b"media", PROFILE).car.key
    del disk.names[store.path(key).parent]  # whoever put it died before its folder was synced
    assert not safe(disk, store, key)
    store.put_data(b"media", PROFILE)
    assert safe(disk, store, key)


def test_nothing_torn_stands_in_a_cars_place(disk: RecordingDisk, store: CarStore) -> None:
    """At every sync on the way, what is durable in a CAR's place is the CAR."""

    class Watching(RecordingDisk):
        def sync_folder(self, folder: Path) -> None:
            super().sync_folder(folder)
            places = {path: data for path, data in self.after_power_cut().items() if "tmp" not in path.parts}
            assert all(data == path.read_bytes() for path, data in places.items())

    watched = CarStore(store.root, Watching(disk.top))
    watched.prepare()
    keys = [watched.put_data(os.urandom(500), PROFILE).car.key for _ in range(10)]
    assert sorted(watched.keys()) == sorted(keys)


def test_what_is_adopted_survives_a_power_cut(tmp_path: Path, disk: RecordingDisk, store: CarStore) -> None:
    local = CarStore(tmp_path / "local", disk)
    local.prepare()
    key = store.put_data(b"media", PROFILE).car.key
    local.adopt(key, store)
    store.remove(key)
    assert safe(disk, local, key)


def test_a_publication_survives_a_power_cut(tmp_path: Path, disk: RecordingDisk) -> None:
    log = PublicationLog(tmp_path / "publications.jsonl", disk)
    root = Cid.of_data(Codec.DAG_PB, b"root")
    for seq in (1, 2):
        log.append(PublishedLine("main", "s", seq, root, "a.m3u8", final=False, settings="{}", published_at=1.0))
        assert disk.after_power_cut()[log.path] == log.path.read_bytes()


def test_a_disk_whose_sync_fails_keeps_nothing(tmp_path: Path) -> None:
    class Failing(Disk):
        def sync_file(self, handle: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(handle))

    store = CarStore(tmp_path / "spool", Failing())
    store.prepare()
    with pytest.raises(StorageError, match="Input/output error") as caught:
        store.put_data(b"media", PROFILE)
    assert "dmesg" in caught.value.hint
    assert list(store.keys()) == list((store.root / "tmp").iterdir()) == []
