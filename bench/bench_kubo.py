"""A real Kubo node as the target: from a closed file to its confirmation, and what one more segment costs in a long stream.

    python bench/bench_kubo.py

The node runs on this machine, offline. The long streams are sent as they are: the node holds every file and the root before;
then a root with one more segment is put and bound, as hlspub does (`pin/update`), and beside it as a client does that knows no
better (`pin/add` of each root, then `pin/rm`). Requests are counted at a door in front of the node.
"""

import asyncio
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from random import Random

import structlog

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.rows import Row, main
from hlspub.config.kinds import KuboTarget
from hlspub.ipld.block import Block
from hlspub.ipld.car import node_car
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid
from hlspub.ipld.profile import UNIXFS_V1_2025
from hlspub.model import CarKind
from hlspub.spool.car_file import CarFile as Blocks
from hlspub.spool.pack import pack_bytes
from hlspub.spool.store import CarStore
from hlspub.targets import http
from hlspub.targets.base import CarFile
from hlspub.targets.kubo import KuboTarget as KuboNode
from hlspub.targets.kubo_rpc import KuboRpc
from hlspub.targets.multipart import Form, Part
from tests.pipeline.house import site
from tests.support.kubo import KuboDaemon, kubo_daemon
from tests.targets.scenes import Growing, spool_in
from tests.targets.unruly import unruly

LENGTHS = (100, 1_000, 20_000)
TIMES = 9
SEGMENT = 1_500_000  # bytes: two seconds of a 6 Mbit/s rendition
FILES = 60


def middle(values: Sequence[float], share: float = 0.5) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


async def confirmations(folder: Path, daemon: KuboDaemon) -> list[float]:
    """Milliseconds from a file's closing to Kubo's confirmation, with a stream of three renditions at twenty times its pace."""
    took: list[float] = []
    closed: dict[str, float] = {}
    done = asyncio.Event()
    async with site(folder, table=KuboTarget(url=daemon.url), entry="i.m3u8", publish_interval=1.0) as here:
        courier = next(one for one in here.house.couriers if one.target.name == "place")
        told = courier.confirmed

        def confirmed(target: str, key: str) -> None:
            if key in closed:
                took.append((time.monotonic() - closed[key]) * 1000)
                if len(took) == FILES:
                    done.set()
            told(target, key)

        courier.confirmed = confirmed

        for number in range(FILES):
            data = Random(number).randbytes(SEGMENT)
            key = pack_bytes(data, UNIXFS_V1_2025)[1].car.key
            (here.folder / f"s{number}.ts").write_bytes(data)
            closed[key] = time.monotonic()
            await asyncio.sleep(2 / 3 / 5)
        await done.wait()
    return took


async def one_more(folder: Path, length: int) -> tuple[list[float], list[float], int]:
    """Milliseconds to publish one more segment by pin/update and by pin/add, and the requests of the former."""
    updates, adds, requests = list[float](), list[float](), 0
    index: dict[Cid, bytes] = {}

    async def block(cid: Cid) -> bytes | None:
        return index.get(cid)

    def learn(spool: CarStore, car: CarFile) -> CarFile:
        if car.kind is CarKind.NODES:
            with Blocks(spool.path(car.key)) as blocks:
                index.update({cid: data for cid in blocks._places if (data := blocks.get(cid)) is not None})  # noqa: SLF001
        return car

    with kubo_daemon(folder / "repo") as daemon:
        async with unruly(daemon.url) as door:
            client, plain = http.make_client(), http.make_client()
            spool = spool_in(folder)
            growing = Growing(spool, length)
            target = KuboNode("node", KuboRpc(door.url, client, {}), client, spool.open, block)
            rpc = KuboRpc(daemon.url, plain, {})
            files = [growing.file(size=40) for _ in range(length)]
            merged = growing.nodes()
            await send_all(rpc, spool, files)
            await KuboNode("node", rpc, plain, spool.open, block).put([learn(spool, merged)])
            before = merged.root
            await target.bind(before, supersedes=None)
            for _ in range(TIMES):
                file = growing.file(size=40)
                nodes = learn(spool, growing.nodes())
                door.requests.clear()
                started = time.monotonic()
                await target.put([file])
                await target.put([nodes])
                await target.bind(nodes.root, supersedes=before)
                updates.append((time.monotonic() - started) * 1000)
                requests = len(door.requests)
                before = nodes.root
            for _ in range(3):
                file = growing.file(size=40)
                nodes = learn(spool, growing.nodes())
                started = time.monotonic()
                await target.put([file])
                await target.put([nodes])
                await target.rpc.call("pin/add", str(nodes.root), last="Pins", progress="true")
                await target.rpc.call("pin/rm", str(before), last="Pins")
                adds.append((time.monotonic() - started) * 1000)
                before = nodes.root
            await client.aclose()
            await plain.aclose()
    return updates, adds, requests


async def send_all(rpc: KuboRpc, spool: CarStore, cars: Sequence[CarFile]) -> None:
    """Many files in one CAR, without pins: the root will cover them."""

    blocks: list[Block] = []
    for car in cars:
        with spool.open(car.key) as file:
            blocks += list(CarReader(file.read))
    data, _ = node_car(cars[0].root, blocks)
    form = Form([Part("all.car", BytesIO(data), len(data))])
    await rpc.lines("dag/import", upload=form, last="Stats", pin_roots="false", stats="true")


def measure() -> Mapping[str, Sequence[Row]]:
    rows: dict[str, list[Row]] = {}
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    folder = Path(tempfile.mkdtemp(prefix="hlspub-bench-"))
    try:
        with kubo_daemon(folder / "one") as daemon:
            took = asyncio.run(confirmations(folder, daemon))
        rows["a file of 1.5 MB, closed"] = [
            Row("until Kubo has confirmed it, p50", middle(took), "ms"),
            Row("until Kubo has confirmed it, p95", middle(took, 0.95), "ms"),
        ]
        first: float | None = None
        for length in LENGTHS:
            updates, adds, requests = asyncio.run(one_more(folder / str(length), length))
            first = middle(updates) if first is None else first
            rows[f"one more segment after {length}"] = [
                Row("by pin/update: put, put, bind", middle(updates), "ms"),
                Row("requests", requests, ""),
                Row("by pin/add of each root", middle(adds), "ms"),
                Row("times that of the shortest stream", middle(updates) / first, "x", must=4, aim=2),
            ]
    finally:
        structlog.reset_defaults()
        shutil.rmtree(folder, ignore_errors=True)
    return rows


if __name__ == "__main__":
    sys.exit(main(str(__doc__), measure))
