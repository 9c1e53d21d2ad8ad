"""A gateway without a daemon: the composition root of `hlspub gateway`.

Rule: it owns nothing but its cache, shares nothing with its siblings but the bucket, and writes nothing there. Blocks of this
machine's own store come first, where there is one. obstore must be there: `building_s3.need_extra` is asked before.
"""

import os
import signal
from dataclasses import dataclass

import anyio
import anyio.to_thread
import structlog

from hlspub import __version__
from hlspub.building_s3 import build_bucket, s3_table
from hlspub.config.model import Config
from hlspub.config.places import JOURNAL_NAME
from hlspub.errors import ConfigError, ExitCode, one_error
from hlspub.gateway.app import Gateway
from hlspub.gateway.serve import serve
from hlspub.ipld.cid import Cid
from hlspub.journal.reader import JournalReads
from hlspub.pipeline.bucket_view import BucketView
from hlspub.pipeline.shelf import LocalBlocks
from hlspub.spool.cache import DiskCache
from hlspub.spool.disk import explained
from hlspub.spool.store import CarStore
from hlspub.targets.s3.blocks import BucketBlocks
from hlspub.targets.s3.lookup import Lookup
from hlspub.targets.s3.reader import BucketReader
from hlspub.telemetry.clock import SystemClock
from hlspub.telemetry.log import configure
from hlspub.telemetry.metrics import Metrics

CACHE = "cache"  # in the data directory

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Both:
    """This machine's blocks first, then the bucket's."""

    here: LocalBlocks
    there: BucketBlocks

    async def get(self, cid: Cid) -> bytes | None:
        """A whole block."""
        data = await self.here.get(cid)
        return await self.there.get(cid) if data is None else data


def run(config: Config, name: str | None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    configure(config.log_format, config.log_level)
    with one_error():
        return anyio.run(_run, config, name)


async def _run(config: Config, name: str | None) -> int:
    place, table = s3_table(config, name)
    if config.gateway.listen is None:
        raise ConfigError('gateway.listen is "off"', hint="Set it to an address: this command does nothing else.")
    bucket, metrics, listen = build_bucket(place, table, os.environ), Metrics(__version__), config.gateway.listen
    cache = DiskCache(config.data_dir / CACHE, config.gateway.cache_size)
    with explained(f"opening the cache {cache.root}"):
        await anyio.to_thread.run_sync(cache.open)
    lookup = Lookup(bucket, cache)
    blocks = BucketBlocks(bucket, lookup, cache)
    view = BucketView(place, BucketReader(bucket), lookup.renew)
    journal = config.data_dir / JOURNAL_NAME
    reads = JournalReads(journal) if journal.is_file() else None
    stores = (CarStore(config.data_dir / "local"), CarStore(config.data_dir / "spool"))
    gateway = Gateway(
        blocks=blocks if reads is None else _Both(LocalBlocks(reads, stores), blocks),
        streams=view,
        health=view,
        metrics=metrics.render,
        observe=metrics.gateway_responded,
        clock=SystemClock(),
    )

    def started(url: str) -> None:
        log.info("gateway.ready", gateway=url, target=place, cache=str(cache.root), cache_bytes=cache.used)

    async with anyio.create_task_group() as tasks:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            tasks.start_soon(view.run)
            tasks.start_soon(lambda: serve(gateway, listen, started=started))
            async for _ in signals:
                break
            tasks.cancel_scope.cancel()
    if reads is not None:
        reads.close()
    log.info("gateway.stopped", fetched_blocks=blocks.fetched, fetched_bytes=blocks.fetched_bytes)
    return ExitCode.OK
