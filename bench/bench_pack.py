"""Packing: files into CARs, CIDs onto paper, as ratios measured side by side.

    python bench/bench_pack.py [--json]

The yardsticks are the bare hash of the same file in this process, `ipfs-car` of tests/node (left out where it is not
installed) and `multiformats`. The best of some turns counts, each turn with every contender. Exit status 1 when a figure
misses what it must reach.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from threading import Thread
from time import perf_counter, process_time

import multiformats
from rows import Row, main

from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.profile import UNIXFS_V1_2025
from hlspub.ipld.tree import Tree
from hlspub.spool.pack import pack_file

MIB = 1 << 20
LONG = 512 * MIB
SEGMENTS, SEGMENT = 500, 512 * 1024
SHARED, SHARE = 64, 4 * MIB  # files that two threads pack between them
ROUNDS = 5
CIDS, CIDS_OF_JUDGE = 100_000, 2_000
IPFS_CAR = Path(__file__).parents[1] / "tests" / "node" / "node_modules" / ".bin" / "ipfs-car"

Contenders = Mapping[str, Callable[[], object]]


def seconds(
    folder: Path, contenders: Contenders, rounds: int = ROUNDS, clock: Callable[[], float] = perf_counter
) -> dict[str, float]:
    """The best time of each, turn by turn; the CARs in `folder` are taken away before each, unmeasured."""
    took: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            for car in folder.glob("*.car"):
                car.unlink()
            start = clock()
            work()
            took[name].append(clock() - start)
    return {name: min(times) for name, times in took.items()}


def made(path: Path, size: int, seed: int) -> Path:
    """A file that no two blocks of are alike."""
    with path.open("wb") as file:
        for at in range(0, size, MIB):
            file.write((sha256(b"%d:%d" % (seed, at)).digest() * (MIB // 32))[: size - at])
    return path


def bare(path: Path) -> None:
    buffer, digest = memoryview(bytearray(MIB)), sha256()
    with path.open("rb", buffering=0) as file:
        while got := file.readinto(buffer):
            digest.update(buffer[:got])


def pack(path: Path, car: Path, *, sync: bool = False, want_car_hash: bool = False) -> tuple[Cid, int]:
    with path.open("rb") as source, car.open("w+b") as target:
        packed = pack_file(source.fileno(), target.fileno(), UNIXFS_V1_2025, want_car_hash=want_car_hash)
        if sync:
            os.fsync(target.fileno())
    return packed.cid, packed.tsize


def copy_all(paths: list[Path], folder: Path) -> None:
    """What no packer can be faster than: each file read, hashed and written, through one buffer."""
    buffer = memoryview(bytearray(SEGMENT))
    for path in paths:
        with path.open("rb", buffering=0) as source, (folder / f"{path.name}.car").open("wb", buffering=0) as target:
            source.readinto(buffer)
            sha256(buffer).digest()
            target.write(buffer)


def pack_all(paths: list[Path], folder: Path, *, threads: int = 1, sync: str = "") -> Tree:
    """Every file into a CAR of its own by so many threads, and one directory; `sync` is "each", "group" or nothing."""
    found: dict[str, tuple[Cid, int]] = {}

    def work(share: list[Path]) -> None:
        for path in share:
            found[path.name] = pack(path, folder / f"{path.name}.car", sync=sync == "each")

    workers = [Thread(target=work, args=(paths[i::threads],)) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if sync == "group":
        for path in paths:
            with (folder / f"{path.name}.car").open("rb") as car:
                os.fsync(car.fileno())
    tree = Tree(UNIXFS_V1_2025)
    for path in paths:
        tree.put(path.name, *found[path.name])
    tree.root()
    return tree


def ipfs_car(source: Path, car: Path) -> None:
    subprocess.run([IPFS_CAR, "pack", "--no-wrap", "-o", car, source], check=True, capture_output=True)


def long_file(folder: Path) -> list[Row]:
    path, car = made(folder / "long", LONG, 0), folder / "long.car"
    contenders: dict[str, Callable[[], object]] = {
        "bare": lambda: bare(path),
        "pack": lambda: pack(path, car),
        "fsync": lambda: pack(path, car, sync=True),
        "hashed": lambda: pack(path, car, want_car_hash=True),
    }
    took = seconds(folder, contenders)
    busy = seconds(folder, {name: contenders[name] for name in ("bare", "pack")}, clock=process_time)
    speed = {name: LONG / MIB / took[name] for name in took}
    note = f"{speed['pack']:.0f} against {speed['bare']:.0f} MiB/s"
    rows = [
        Row(
            "512 MiB into a CAR, speed of the bare hash",
            took["bare"] / took["pack"],
            "x",
            0.78,
            0.93,
            at_least=True,
            note=note,
        ),
        Row(
            "  processor time, of the bare hash's",
            busy["pack"] / busy["bare"],
            "x",
            note="on two cores; the bare hash has one",
        ),
        Row("  and fsync", took["bare"] / took["fsync"], "x", note=f"{speed['fsync']:.0f} MiB/s"),
        Row("  and the CAR's own sha256", took["bare"] / took["hashed"], "x", note=f"{speed['hashed']:.0f} MiB/s"),
    ]
    if IPFS_CAR.exists():
        theirs = seconds(folder, {"ipfs-car": lambda: ipfs_car(path, folder / "theirs.car")}, 1)["ipfs-car"]
        note = f"{took['pack']:.2f} against {theirs:.2f} s"
        rows.append(Row("512 MiB, faster than ipfs-car", theirs / took["pack"], "x", 4, 5, at_least=True, note=note))
    return rows


def segments(folder: Path) -> list[Row]:
    source = folder / "segments"
    source.mkdir()
    paths = [made(source / f"seg_{i:05d}.ts", SEGMENT, i) for i in range(SEGMENTS)]
    contenders: dict[str, Callable[[], object]] = {
        "copied": lambda: copy_all(paths, folder),
        "one thread": lambda: pack_all(paths, folder),
        "two threads": lambda: pack_all(paths, folder, threads=2),
        "group": lambda: pack_all(paths, folder, sync="group"),
        "each": lambda: pack_all(paths, folder, sync="each"),
    }
    took = seconds(folder, contenders)
    rows: list[Row] = []
    if IPFS_CAR.exists():
        theirs = seconds(folder, {"ipfs-car": lambda: ipfs_car(source, folder / "theirs.car")}, 1)["ipfs-car"]
        note = f"{took['two threads']:.2f} against {theirs:.2f} s, hash_threads = 2"
        what = "500 x 512 KiB and a directory, faster than ipfs-car"
        rows.append(Row(what, theirs / took["two threads"], "x", 5, 10, at_least=True, note=note))
        note = f"{took['one thread']:.2f} s; {took['copied']:.2f} s to read, hash and write with nothing around it"
        rows.append(Row("  with one thread", theirs / took["one thread"], "x", note=note))
    return [
        *rows,
        *(
            Row(
                f"  fsync, {name}: longer by",
                (took[key] - took["one thread"]) / SEGMENTS * 1e3,
                "ms",
                note="for each file",
            )
            for key, name in (("each", "a file at a time"), ("group", "500 files together"))
        ),
    ]


def two_at_once(folder: Path) -> list[Row]:
    paths = [made(folder / f"{i}.ts", SHARE, i) for i in range(SHARED)]
    ends = [made(folder / f"long{i}", 2 * SHARED * MIB, i) for i in range(2)]
    contenders: dict[str, Callable[[], object]] = {
        "one": lambda: pack_all(paths, folder),
        "two": lambda: pack_all(paths, folder, threads=2),
        "long one": lambda: pack_all(ends, folder),
        "long two": lambda: pack_all(ends, folder, threads=2),
    }
    took = seconds(folder, contenders)
    note = "one alone has both cores already"
    return [
        Row(
            "two segments at once, against one",
            took["one"] / took["two"],
            "x",
            1.7,
            1.9,
            at_least=True,
            note="4 MiB each",
        ),
        Row("  two long files at once, against one", took["long one"] / took["long two"], "x", note=note),
    ]


def cids() -> list[Row]:
    digests = [sha256(b"%d" % i).digest() for i in range(1000)]

    def ours() -> None:
        for i in range(CIDS):
            str(Cid.of_digest(Codec.RAW, digests[i % 1000]))

    def theirs() -> None:
        for i in range(CIDS_OF_JUDGE):
            str(multiformats.CID("base32", 1, "raw", ("sha2-256", digests[i % 1000])))

    took = seconds(Path(os.devnull), {"ours": ours, "theirs": theirs})
    rate, judge = CIDS / took["ours"], CIDS_OF_JUDGE / took["theirs"]
    note = f"{rate:,.0f} against {judge:,.0f} a second"
    return [Row("CIDs made and printed, against multiformats", rate / judge, "x", 20, 100, at_least=True, note=note)]


def measure() -> dict[str, list[Row]]:
    if not IPFS_CAR.exists():
        print("No ipfs-car (cd tests/node && npm install): the rows against it are left out.", file=sys.stderr)
    rows = cids()
    for part in (long_file, segments, two_at_once):
        with tempfile.TemporaryDirectory(prefix="bench-pack-") as folder:
            rows += part(Path(folder))
    return {UNIXFS_V1_2025.name: rows}


if __name__ == "__main__":
    sys.exit(main("measure packing", measure))
