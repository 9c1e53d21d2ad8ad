"""A bucket, measured: requests and bytes a stream-minute, a gateway beside the store's own reads, a cold start at 100,000 CARs.

Needs SeaweedFS (`weed`) and ffmpeg. Ratios and counts are what to compare: absolute times are this machine's.
"""

import asyncio
import hashlib
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import httpx
import obstore

from hlspub.ipld import block_index
from hlspub.ipld.block import BlockAt
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.profile import UNIXFS_V1_2025
from hlspub.spool.store import CarStore
from hlspub.targets.base import Capabilities, CarFile
from hlspub.targets.s3 import keys
from hlspub.targets.s3.bucket import Address, Bucket
from hlspub.targets.s3.documents import Manifest, Segment
from hlspub.targets.s3.target import S3Target

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.support import buckets
from tests.support.daemon import Daemon
from tests.support.site import Site
from tests.support.transcoder import Ffmpeg
from tests.targets.s3.moody import moody

SECONDS = 40
FILES, SIZE, AT_ONCE = 48, 2 << 20, 8
CARS = 100_000
CONFIRMED = """
SELECT confirmed_at - mtime_ns / 1e9 FROM file JOIN shard_car USING (car_id) JOIN shard USING (shard_id)
JOIN target USING (target_id) WHERE name = 'bucket' AND path NOT LIKE '%.m3u8'
"""
GATEWAY = (sys.executable, "-m", "hlspub", "gateway")


def table(folder: Path, endpoint: str, more: str = "") -> str:
    for name, secret in (("access", buckets.KEY), ("secret", buckets.SECRET)):
        (folder / name).write_text(secret)
        (folder / name).chmod(0o600)
    return (
        f'[target.bucket]\nkind = "s3"\nprofile = "seaweedfs"\nendpoint = "{endpoint}"\nbucket = "{buckets.BUCKET}"\n'
        f'access_key = {{ file = "{folder / "access"}" }}\nsecret_key = {{ file = "{folder / "secret"}" }}\n{more}'
    )


def confirmed(site: Site) -> str:
    """How long segments take from their last byte to the bucket's word."""
    with sqlite3.connect(site.data / "journal.sqlite") as journal:
        late = sorted(seconds for (seconds,) in journal.execute(CONFIRMED))
    return (
        f"closed -> confirmed p50 {late[len(late) // 2]:.2f} s, p95 {late[len(late) * 19 // 20]:.2f} s of {len(late)}"
    )


async def requests(folder: Path, weed: buckets.Server) -> None:
    """One transcoder, three daemons: without and with coalescing into servers that count, and into SeaweedFS."""
    async with moody() as plain, moody() as joined:
        sites = []
        places = [("plain", plain.endpoint, ""), ("joined", joined.endpoint, 'shard_age = "10s"\n')]
        for name, endpoint, more in (*places, ("far", weed.endpoint, 'prefix = "live"\n')):
            site = Site(folder / name)
            site.root.mkdir()
            path = str(folder / "hls")
            site.configure(path=path, publish_interval="10s", end_on=["signal", "endlist"])
            with site.config.open("a") as config:
                config.write(table(folder, endpoint, more))
            sites.append(site)
        (folder / "hls").mkdir()
        lives = [site.daemon() for site in sites]
        with Ffmpeg(folder / "hls", SECONDS, segment_s=2) as transcoder:
            await asyncio.to_thread(transcoder.finish)
        for life in lives:
            await asyncio.to_thread(life.wait, "root.published", 60, final=True)
            await asyncio.to_thread(life.stop)
        for name, server, site in zip(("each CAR by itself", "shard_age = 10s"), (plain, joined), sites, strict=False):
            minutes = SECONDS / 60
            cars = [data for key, (data, _) in server.objects.items() if key.startswith("car/")]
            print(
                f"{name:20} PUT {server.asked['PUT'] / minutes:6.0f}  GET {server.asked['GET'] / minutes:5.0f}  "
                f"DELETE/POST {(server.asked['POST'] + server.asked['DELETE']) / minutes:4.0f} a stream-minute; "
                f"{len(cars)} CAR objects, {sum(map(len, cars)) / minutes / 1e6:.2f} MB a minute; "
                f"{confirmed(site)}"
            )
        print(f"{'into SeaweedFS':20} {confirmed(sites[-1])}")


async def many(what: str, act: Callable[[int], Awaitable[int]]) -> float:
    started, size, left = time.perf_counter(), 0, list(range(FILES))

    async def work() -> None:
        nonlocal size
        while left:
            got = await act(left.pop())
            size += got

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    took = time.perf_counter() - started
    print(f"{what:34} {size / took / (1 << 20):7.0f} MiB/s  {FILES / took:7.0f} requests/s")
    return size / took


async def reads(folder: Path, server: buckets.Server) -> None:
    """The store's own reads of the CARs, and a gateway's of the files in them."""
    bucket = Bucket("bucket", Address(buckets.BUCKET, buckets.KEY, buckets.SECRET, server.endpoint))
    spool = CarStore(folder / "spool")
    spool.prepare()
    target = S3Target("bucket", bucket, lambda: "bench", spool.open, Capabilities(concurrency=4))
    packed = [spool.put_data(os.urandom(SIZE), UNIXFS_V1_2025) for _ in range(FILES)]
    started = time.perf_counter()
    lag: list[float] = []

    async def put(number: int) -> int:
        begun, car = time.perf_counter(), packed[number].car
        await target.put([CarFile(car.key, car.kind, car.root, car.size_bytes)])
        lag.append(time.perf_counter() - begun)
        return car.size_bytes

    await many(f"put, {AT_ONCE} at once", put)
    lag.sort()
    print(
        f"{'':34} p50 {lag[len(lag) // 2] * 1e3:.0f} ms, p95 {lag[int(len(lag) * 0.95)] * 1e3:.0f} ms a 2 MiB CAR and index"
    )
    digests = [hashlib.sha256(spool.path(one.car.key).read_bytes()).digest() for one in packed]
    urls = [obstore.sign(bucket._store, "GET", keys.car(one), timedelta(hours=1)) for one in digests]  # noqa: SLF001
    config = folder / "gateway.toml"
    config.write_text(
        f'data_dir = "gateway"\nlog_format = "json"\n[gateway]\nlisten = "127.0.0.1:0"\n{table(folder, server.endpoint)}'
    )
    with Daemon(config, GATEWAY) as gateway:
        url = await asyncio.to_thread(lambda: gateway.wait("gateway.ready")["gateway"])
        async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=AT_ONCE)) as client:

            async def own(number: int) -> int:
                return len((await client.get(urls[number])).content)

            async def through(number: int) -> int:
                answer = await client.get(f"{url}/ipfs/{packed[number].cid}")
                assert answer.status_code == 200, answer.text
                return len(answer.content)

            store = await many("SeaweedFS, whole CARs", own)
            cold = await many("gateway, cold", through)
            warm = await many("gateway, warm (its disk)", through)
            store = max(store, await many("SeaweedFS, whole CARs again", own))
            print(f"{'':34} cold {cold / store:.2f}, warm {warm / store:.2f} of the store's own")
    print(f"  ({time.perf_counter() - started:.0f} s)")


async def cold_start(folder: Path, server: buckets.Server) -> None:
    """A bucket with the index of 100,000 CARs of 3 blocks and one real CAR among them."""
    address = Address(buckets.BUCKET, buckets.KEY, buckets.SECRET, server.endpoint, prefix="large")
    bucket = Bucket("bucket", address)
    segments: list[Segment] = []
    for start in range(0, CARS, CARS // 2):
        entries = (
            entry
            for number in range(start, start + CARS // 2)
            for entry in block_index.entries_of(
                hashlib.sha256(b"car %d" % number).digest(),
                [BlockAt(Cid.of_data(Codec.RAW, b"%d %d" % (number, each)), 100, 1) for each in range(3)],
            )
        )
        data = await asyncio.to_thread(block_index.encode, entries)
        key = keys.segment("w", hashlib.sha256(data).digest())
        await bucket.put(key, data)
        segments.append(Segment(key, block_index.count(data)))
    await bucket.put(keys.manifest("w"), Manifest(0, tuple(segments)).encode())
    spool = CarStore(folder / "spool-2")
    spool.prepare()
    packed = spool.put_data(os.urandom(100_000), UNIXFS_V1_2025)
    data = spool.path(packed.car.key).read_bytes()
    await bucket.create(keys.car(hashlib.sha256(data).digest()), data)
    await bucket.create(
        keys.log_entry("w", 0),
        block_index.encode(block_index.entries_of(hashlib.sha256(data).digest(), packed.car.blocks)),
    )
    config = folder / "large.toml"
    config.write_text(
        'data_dir = "large"\nlog_format = "json"\n[gateway]\nlisten = "127.0.0.1:0"\n'
        + table(folder, server.endpoint, 'prefix = "large"\n')
    )
    begun = time.perf_counter()
    with Daemon(config, GATEWAY) as gateway:
        url = await asyncio.to_thread(lambda: gateway.wait("gateway.ready")["gateway"])
        ready = time.perf_counter() - begun
        answer = await asyncio.to_thread(httpx.get, f"{url}/ipfs/{packed.cid}")
        assert answer.status_code == 200, answer.text
        first = time.perf_counter() - begun
        absent = time.perf_counter()
        one = Cid.of_data(Codec.RAW, b"99999 1")  # in the index, by one page of a segment; its CAR is not there
        assert (await asyncio.to_thread(httpx.get, f"{url}/ipfs/{one}")).status_code == 404
        print(
            f"cold start at {CARS} CARs: ready {ready:.2f} s, first file {first:.2f} s after the start of the process; "
            f"a look into a cold segment of {segments[0].entries} entries {time.perf_counter() - absent:.3f} s; "
            f"peak memory {gateway.peak_rss_bytes() >> 20} MiB"
        )


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with buckets.running(buckets.seaweedfs(folder / "weed")) as server:
            await reads(folder, server)
            await cold_start(folder, server)
            await requests(folder, server)


if __name__ == "__main__":
    asyncio.run(main())
